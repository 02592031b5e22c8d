"""Options of the reader of MedMCQA."""

from typing import Literal

from pydantic import Field

from posologie.records.specs import Spec


class Options(Spec):
    """Options of the reader."""

    cop_from: Literal[0, 1] = Field(default=1, description="whether `cop` counts the options from 0 or from 1")
