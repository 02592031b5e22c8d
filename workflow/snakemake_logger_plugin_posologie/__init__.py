"""Snakemake's logger plugin `posologie`. Snakemake finds plugins by the names of their modules."""

from posologie.cli.live import LogHandler

__all__ = ["LogHandler"]
