"""What stands where a record should be that could not be read by itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Malformed:
    """Stands where a record should be that could not be read by itself.

    Attributes:
        detail: what was found.
        raw: the text as it stands in the file.
    """

    detail: str
    raw: str
