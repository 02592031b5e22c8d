"""Running out of memory, said with what to lower. Nothing is lowered silently: that would change the batch."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from posologie.errors import InputError

_SIGNS = ("out of memory", "not enough memory", "can't allocate memory")


@contextmanager
def memory_explained(when: str, what: str) -> Iterator[None]:
    """Turn an error about memory in the block into one line; other errors stay what they are.

    Args:
        when: such as `update 3`.
        what: what there was no memory for, and what to lower.

    Raises:
        InputError: if memory ran out.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        plain = isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError)
        if plain and not any(sign in str(error) for sign in _SIGNS):
            raise
        raise InputError(f"{when}: out of memory {what}") from error
