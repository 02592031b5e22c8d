"""Posologie: how much of which data provenance should an adapted language model be given?"""
