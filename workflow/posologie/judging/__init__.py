"""Judges: a language model's binary verdict on each open answer, human ratings, and the kit for raters."""
