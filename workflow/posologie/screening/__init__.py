"""Duplicates, and overlap between what is trained on and what is tested on."""
