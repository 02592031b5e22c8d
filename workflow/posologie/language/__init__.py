"""Languages: their data files, words, facts, and the marks in texts of models."""
