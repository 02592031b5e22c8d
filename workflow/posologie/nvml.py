"""The driver's own library of the GPUs: it starts no CUDA, and there is nothing to read where there is no driver."""

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def driver() -> Iterator[Any]:
    """Give the library while the block runs; None where there is no driver, no library of it, or no permission."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()
