"""What a merged model, a model card and a push to the hub depend on."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from posologie.specs import Spec

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def _checked_repository(value: str) -> str:
    if not _REPOSITORY.fullmatch(value) or ".." in value or "--" in value:
        raise ValueError("a repository of the hub, `owner/name`")
    return value


Repository = Annotated[str, AfterValidator(_checked_repository)]


class MergeSpec(Spec):
    """Exactly what a merged model depends on, beside its input files."""

    model: str = Field(description="`{backbone}/{mix}/seed-{seed}`")


class CardSpec(Spec):
    """Exactly what a model card depends on, beside its input files."""

    model: str = Field(description="`{backbone}/{mix}/seed-{seed}`")
    study: str = Field(description="name of the study")
    merged: bool = Field(default=False, description="the card of a merged model instead of an adapter's")
    base: str | None = Field(default=None, description="the backbone's repository on the hub")
    language: str = Field(default="fr", description="ISO 639 code of the data's language")
    license: str | None = Field(default=None, description="license of what is published, as the hub names licenses")


class PushSpec(Spec):
    """Exactly what a push to the hub depends on, beside its input files."""

    repository: Repository = Field(description="`owner/name` on the hub")
    private: bool = Field(default=True, description="make the repository private if it does not exist yet")
    revision: str = Field(default="main", description="branch that is pushed to")
    message: str = Field(default="Add a model trained with Posologie", description="of the commit")
