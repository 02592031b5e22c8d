"""Posologie: how much of which data provenance should an adapted language model be given?"""

__version__ = "0.1.0"
