"""Posologie: how much of which data should an adapted language model be given?"""
