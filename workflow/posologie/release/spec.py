"""How trained models are released; what a merged model, a model card and a push to the hub depend on."""

import re
from string import Formatter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from posologie.records.specs import Spec

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def _checked_repository(value: str) -> str:
    if not _REPOSITORY.fullmatch(value) or ".." in value or "--" in value:
        raise ValueError("a repository of the hub, `owner/name`")
    return value


Repository = Annotated[str, AfterValidator(_checked_repository)]


_PLACES = ("study", "backbone", "mix", "seed", "form")


def _checked_template(value: str) -> str:
    try:
        used = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
        shown = value.format(**dict.fromkeys(_PLACES, "x")) if used <= set(_PLACES) else ""
    except (ValueError, IndexError, KeyError):
        shown = ""
    if not _REPOSITORY.fullmatch(shown):
        raise ValueError(f"`owner/name` on the hub, in which {', '.join(f'{{{name}}}' for name in _PLACES)} may stand")
    return value


Form = Literal["adapter", "merged"]


class Release(Spec):
    """What leaves the study on request: `snakemake release` builds it, `snakemake push` uploads it to the hub."""

    models: tuple[str, ...] | None = Field(
        default=None, description="`{backbone}/{mix}/seed-{seed}`; every model that the study trains if left out"
    )
    forms: tuple[Form, ...] = Field(
        default=("adapter", "merged"), min_length=1, description="adapters, and models with their adapter merged in"
    )
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = Field(
        default=None, description="language of the data (ISO 639); the languages of the training sources if left out"
    )
    tags: tuple[str, ...] = Field(default=(), description="tags of the model card, such as its domain")
    limits: tuple[str, ...] = Field(
        default=(),
        description="sentences that the card adds to its limits, such as what the model must not be used for",
    )
    license: str | None = Field(default=None, description="license of what is released, as the hub names licenses")
    repository: Annotated[str, AfterValidator(_checked_template)] | None = Field(
        default=None,
        description="`owner/name` on the hub, with `{study}`, `{backbone}`, `{mix}`, `{seed}` and `{form}` for the "
        "model's own; needed to push",
    )
    private: bool = Field(default=True, description="make a repository that does not exist yet private")
    revision: str = Field(default="main", description="branch that is pushed to")
    message: str = Field(default="Add a model trained with Posologie", description="of the commit")


class MergeSpec(Spec):
    """Exactly what a merged model depends on, beside its input files."""

    model: str = Field(description="`{backbone}/{mix}/seed-{seed}`")


class CardSpec(Spec):
    """Exactly what a model card depends on, beside its input files."""

    model: str = Field(description="`{backbone}/{mix}/seed-{seed}`")
    study: str = Field(description="name of the study")
    merged: bool = Field(default=False, description="the card of a merged model instead of an adapter's")
    base: str | None = Field(default=None, description="the backbone's repository on the hub")
    languages: tuple[str, ...] = Field(default=(), description="ISO 639 codes of the data's languages, where known")
    tags: tuple[str, ...] = Field(default=(), description="tags of the card")
    limits: tuple[str, ...] = Field(default=(), description="limits that the study states")
    license: str | None = Field(default=None, description="license of what is published, as the hub names licenses")


class PushSpec(Spec):
    """Exactly what a push to the hub depends on, beside its input files."""

    repository: Repository = Field(description="`owner/name` on the hub")
    base: str | None = Field(default=None, description="the backbone's repository, which a pushed adapter names")
    private: bool = Field(default=True, description="make the repository private if it does not exist yet")
    revision: str = Field(default="main", description="branch that is pushed to")
    message: str = Field(default="Add a model trained with Posologie", description="of the commit")
