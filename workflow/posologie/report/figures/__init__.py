"""The study's figures: files for a paper, which the page shows too."""
