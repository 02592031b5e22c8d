"""Options of the reader of WMT biomedical test sets."""

from pydantic import Field

from posologie.records.specs import Spec


class Options(Spec):
    """Options of the reader."""

    source_language: str = Field(default="en", description="language translated from, which is its files' suffix")
    target_language: str = Field(default="fr", description="language translated into, which is its files' suffix")
