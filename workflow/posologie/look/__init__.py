"""A look at the data before anything is trained: facts of the shards, as pages and in the terminal."""
