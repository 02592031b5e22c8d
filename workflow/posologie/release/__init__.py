"""What leaves a study: merged models, model cards, uploads to the hub."""
