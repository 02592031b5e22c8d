"""Options of the reader of PubMedQA."""

from typing import Literal

from pydantic import Field

from posologie.records.specs import Spec


class Options(Spec):
    """Options of the reader."""

    task: Literal["mcqu", "oeq"] = Field(
        default="mcqu", description="mcqu: choose yes, no or maybe; oeq: the conclusion of the abstract is the answer"
    )
