"""Why a model's text is not accepted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a generated question or a translation is not accepted: a reason of a small vocabulary, and what was found."""

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason
