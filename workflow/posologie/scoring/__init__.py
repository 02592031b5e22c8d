"""One score per item and metric."""
