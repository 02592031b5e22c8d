"""Making data: synthesis from documents, translation of items, and the backends that answer the prompts."""
