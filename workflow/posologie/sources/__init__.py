"""From published files to shards: one module per published form, and the cleaning that they share."""
