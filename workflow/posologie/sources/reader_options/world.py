"""Options of the reader of invented worlds."""

from pydantic import Field

from posologie.specs import Name, Spec


class Options(Spec):
    """Options of the reader."""

    part: Name = Field(description="the part of the recipe whose items are made")
