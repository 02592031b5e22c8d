"""Controlled mixes: quotas, nested sampling and composition."""
