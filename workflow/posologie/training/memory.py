"""Running out of memory, said with what to lower. Nothing is lowered silently: that would change the batch."""

from collections.abc import Iterator
from contextlib import contextmanager

from posologie.running.errors import InputError

_SIGNS = ("out of memory", "not enough memory", "can't allocate memory")

LOADING = "for its weights; take a device with more memory, or set training.recipe.quantization"

MOMENTS = (
    "for AdamW's moments; lower training.recipe.rank, or train an adapter (training.recipe.method dora or lora) "
    "instead of all weights, or take a device with more memory"
)


def of_batch(*, examples: int, tokens: int, longest: int, micro_batch: int) -> str:
    """Return what there was no memory for where a micro-batch did not fit, and what to lower.

    Args:
        examples: examples in the micro-batch.
        tokens: their tokens together.
        longest: tokens of the longest one.
        micro_batch: the setting.
    """
    return (
        f"with {examples} examples of {tokens} tokens in a micro-batch, the longest of {longest}; lower "
        f"devices.training_micro_batch (now {micro_batch}; it changes no result), or training.recipe.max_length, or "
        f"turn on training.recipe.gradient_checkpointing"
    )


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
    except (MemoryError, RuntimeError) as error:
        # by name, because torch computes, and this module must not import what does
        certain = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
        if not certain and not any(sign in str(error) for sign in _SIGNS):
            raise
        raise InputError(f"{when}: out of memory {what}") from error
