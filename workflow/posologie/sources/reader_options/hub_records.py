"""Options of the reader of hub records."""

from pydantic import Field

from posologie.records.specs import Spec


class Options(Spec):
    """Options of the reader."""

    origins: tuple[str, ...] | None = Field(
        default=None, description="keep only records of these origins, such as those of one provenance out of `…/ALL`"
    )
