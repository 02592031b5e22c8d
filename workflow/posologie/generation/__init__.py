"""Items that are made: synthesis from documents, translation, and the model backends that both use."""
