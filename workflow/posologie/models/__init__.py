"""Backbones in one form on disk: safetensors, tokenizer and a manifest with checksums."""
