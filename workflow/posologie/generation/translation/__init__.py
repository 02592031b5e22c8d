"""Translation of items: question, context, options and answer together; the gold never changes."""
