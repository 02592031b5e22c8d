"""Synthesis: documents become questions."""
