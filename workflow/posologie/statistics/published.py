"""The published numbers beside ours."""

import os
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import Field, ValidationError

from posologie.errors import InputError
from posologie.files import read_text
from posologie.specs import Spec, first_problem


class Compared(Spec):
    """The numbers of ours that a published aggregate may be compared with; its own definition is not known."""

    metric: str
    decoding: str
    variants: str = "original"
    aggregates: tuple[str, ...]


class PublishedAggregate(Spec):
    """One published column."""

    title: str
    unit: str
    compared_with: Compared
    values: dict[str, float] = Field(description="mix or `base` → value as printed; what is not known is left out")


class Published(Spec):
    """`resources/published/results.yaml`."""

    source: str
    aggregates: dict[str, PublishedAggregate]
    agreement: dict[str, float] = Field(
        default_factory=dict, description="judge or metric → Pearson's correlation with people, over all answers"
    )


@dataclass(frozen=True)
class PublishedValue:
    """A published value, in the unit of our tables, and the published aggregate that it belongs to."""

    value: float
    aggregate: str


def read_published(path: str | os.PathLike[str] | None) -> Published | None:
    """Read the published numbers; None if no file is given.

    Raises:
        InputError: naming the first key that does not fit.
    """
    if path is None:
        return None
    try:
        content: Any = yaml.safe_load(read_text(path))
        return Published.model_validate(content)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from error


def published_value(
    published: Published | None, label: str, metric: str, decoding: str, variants: str, scope: str, task: str, cell: str
) -> PublishedValue | None:
    """Return the published value of a mix or `base` that a number of ours may be compared with.

    Only numbers over all items and tasks of a suite have one. Names of mixes are compared without regard to case.

    Args:
        cell: our aggregate.
    """
    if published is None or scope != "all" or task != "all":
        return None
    family = metric.partition(":")[0]  # whichever judge it was
    for name, aggregate in published.aggregates.items():
        compared = aggregate.compared_with
        if (family, decoding, variants) != (compared.metric, compared.decoding, compared.variants):
            continue
        values = {mix.lower(): value for mix, value in aggregate.values.items()}
        if cell in compared.aggregates and label.lower() in values:
            scale = 100 if aggregate.unit == "1" else 1
            return PublishedValue(values[label.lower()] * scale, name)
    return None
