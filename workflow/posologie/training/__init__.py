"""Adapters: collation, DoRA and the training loop."""
