"""What every table of asked texts keeps of a reply: its text, how it ended, its prompt and its tokens."""

from typing import TYPE_CHECKING, Any

from posologie.generation.backends.interface import Failure, Reply

if TYPE_CHECKING:
    import pyarrow


def reply_fields() -> list["pyarrow.Field"]:
    """Return the fields that `reply_columns` fills."""
    import pyarrow as pa

    return [
        pa.field("text", pa.string(), nullable=False),  # the reply as it came
        pa.field("finish", pa.string()),  # stop | length | filtered; null when there was no reply
        pa.field("error", pa.string()),  # why there was no reply
        pa.field("prompt_sha256", pa.string(), nullable=False),
        pa.field("prompt_tokens", pa.int32(), nullable=False),
        pa.field("generated_tokens", pa.int32(), nullable=False),
    ]


def reply_columns(outcome: Reply | Failure, prompt_sha256: str) -> dict[str, Any]:
    """Return the columns of what became of one request; one without a reply has an empty text and its error."""
    if isinstance(outcome, Failure):
        kept = {"text": "", "finish": None, "error": outcome.error, "prompt_tokens": 0, "generated_tokens": 0}
    else:
        kept = {"text": outcome.text, "finish": outcome.finish, "error": None}
        kept |= {"prompt_tokens": outcome.prompt_tokens, "generated_tokens": outcome.generated_tokens}
    return {**kept, "prompt_sha256": prompt_sha256}
