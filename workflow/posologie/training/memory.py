"""Running out of memory, said with what to lower.

Training lowers the micro-batch by itself, which changes no result, and says so; nothing else is lowered.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from posologie.running.errors import InputError

_SIGNS = ("out of memory", "not enough memory", "can't allocate memory")

LOADING = "for its weights; take a device with more memory, or set training.recipe.quantization"

MOMENTS = (
    "for AdamW's moments; lower training.recipe.rank, or train an adapter (training.recipe.method dora or lora) "
    "instead of all weights, or take a device with more memory"
)


class OutOfMemoryError(InputError):
    """Memory ran out, and this says for what."""


def of_batch(*, examples: int, tokens: int, longest: int, micro_batch: int) -> str:
    """Return what there was no memory for where a micro-batch did not fit, and what to lower.

    Args:
        examples: examples in the micro-batch.
        tokens: their tokens together.
        longest: tokens of the longest one.
        micro_batch: the setting.
    """
    smaller = "" if micro_batch == 1 else f"devices.training_micro_batch (now {micro_batch}; it changes no result), or "
    return (
        f"with {examples} examples of {tokens} tokens in a micro-batch, the longest of {longest}; lower "
        f"{smaller}training.recipe.max_length, or turn on training.recipe.gradient_checkpointing"
    )


@contextmanager
def memory_explained(when: str, what: str) -> Iterator[None]:
    """Turn an error about memory in the block into one line; other errors stay what they are.

    Args:
        when: such as `update 3`.
        what: what there was no memory for, and what to lower.

    Raises:
        OutOfMemoryError: if memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # by name, because torch computes, and this module must not import what does
        certain = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
        if not certain and not any(sign in str(error) for sign in _SIGNS):
            raise
        raise OutOfMemoryError(f"{when}: out of memory {what}") from error
