"""The components of a study: the parts of the training data whose doses are studied, with their names and colours."""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from pydantic import Field

from posologie.records.specs import Name, Spec

Kind = Literal["native", "translated", "synthetic"]
"""How items came about: written in the language, translated into it, or generated."""

Colour = Literal[
    "blue", "vermillion", "green", "purple", "sky", "orange", "brown", "indigo", "wine", "violet", "sand", "black"
]  # fmt: skip

PALETTE: tuple[Colour, ...] = get_args(Colour)
"""The colours in the order in which components get them that name none."""

RESERVED = ("all", "base")
"""Names that tables give to all components together and to the model without training."""


class Component(Spec):
    """A part of the training data whose dose is studied; sources name it, mixes dose it, tables and figures show it."""

    title: str = Field(default="", description="what tables and figures call it; its name if left out")
    colour: Colour | None = Field(default=None, description="its colour; the next free one of the list if left out")
    kind: Kind | None = Field(
        default=None,
        description="how its items were made; a validation set that names no components holds those of kind native",
    )
    price: float | None = Field(default=None, ge=0, description="of one item, in the study's `currency`")


DEFAULT: dict[str, Component] = {kind: Component(kind=kind) for kind in get_args(Kind)}
"""The components of a study that declares none: those of the published study."""


class Shown(Spec):
    """What the report needs of a component: no price, so that a new one draws no figure again."""

    name: Name
    title: str
    colour: Colour

    @classmethod
    def of(cls, components: Mapping[str, Component]) -> "tuple[Shown, ...]":
        """Return what is shown of components, in their order."""
        return tuple(
            cls(name=name, title=component.title, colour=component.colour or PALETTE[0])
            for name, component in completed(components).items()
        )


def completed(declared: Mapping[str, Component]) -> dict[str, Component]:
    """Return components with title and colour, in their order; colours repeat where the palette has too few."""
    taken = [component.colour for component in declared.values() if component.colour is not None]
    free = [colour for colour in PALETTE if colour not in taken]
    filled = {}
    for number, (name, component) in enumerate(declared.items()):
        colour = component.colour or (free.pop(0) if free else PALETTE[number % len(PALETTE)])
        filled[name] = component.model_copy(update={"title": component.title or name, "colour": colour})
    return filled


def in_order(names: Iterable[str], declared: Iterable[str]) -> list[str]:
    """Return names in the order of declaration; those that are not declared come last, by the alphabet."""
    place = {name: number for number, name in enumerate(declared)}
    return sorted(names, key=lambda name: (place.get(name, len(place)), name))
