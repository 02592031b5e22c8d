"""The options of the readers that have any, one light module each, so that the configuration can check them."""
