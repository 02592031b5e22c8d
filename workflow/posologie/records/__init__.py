"""Records: what is read and written, and its form: items, files, specs, prompts, paths, run records."""
