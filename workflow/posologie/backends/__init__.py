"""What answers prompts: one module per backend, all with the interface of `posologie.backends.interface`."""
