"""One name, one place and one colour for every model, in every table and figure."""

from collections.abc import Sequence

from posologie.records.components import Colour
from posologie.statistics.spec import EvaluatedModel

INK, MUTED, GRID, PAPER = "#1c1f23", "#565d66", "#e3e5e8", "#fefefe"
COLOURS: dict[Colour, str] = {
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#009e73",
    "purple": "#cc79a7",
    "sky": "#56b4e9",
    "orange": "#e69f00",
    "brown": "#554400",
    "indigo": "#3300cc",
    "wine": "#993366",
    "violet": "#9966ff",
    "sand": "#bbbb99",
    "black": INK,
}
"""The palette of components. The first six are of Okabe and Ito (2008); the others were chosen so that, with normal
sight and with each common form of colour blindness (Machado, Oliveira and Fernandes 2009), no two of the twelve are
closer than the closest two of those six."""

HATCHES = ("", "////", "....", "xxxx")
"""Textures of bars: every sixth component gets the next one, so that no bar is known by its colour alone."""

MIX_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", INK)
DASHES = ("solid", "dashed", "dotted", "dashdot")


def label(model: EvaluatedModel, models: Sequence[EvaluatedModel]) -> str:
    """Return the short name of a model: its mix, with backbone or seed only where the study has several of them."""
    if model.kind == "published":
        return model.name.removeprefix("published/")
    parts = [model.mix or "base"]
    if model.seed is not None and len({other.seed for other in models if other.seed is not None}) > 1:
        parts.append(f"seed {model.seed}")
    if len({other.backbone for other in models if other.backbone is not None}) > 1:
        parts.append(f"({model.backbone})")
    return " ".join(parts)


def ordered(models: Sequence[EvaluatedModel], mixes: Sequence[str]) -> list[EvaluatedModel]:
    """Return the models backbone by backbone: base, then the mixes in the study's order, then published models."""
    place = {name: number for number, name in enumerate(mixes)}
    backbones = list(dict.fromkeys(model.backbone for model in models if model.kind != "published"))

    def key(model: EvaluatedModel) -> tuple[int, int, int]:
        if model.kind == "published":
            return (len(backbones), 0, 0)
        backbone = backbones.index(model.backbone)
        return (backbone, -1 if model.mix is None else place.get(model.mix, len(place)), model.seed or 0)

    return sorted(models, key=key)


def hatch(position: int) -> str:
    """Return the texture of the component at a position."""
    return HATCHES[position // 6 % len(HATCHES)]


def line_style(position: int) -> tuple[str, str]:
    """Return colour and dash of the mix at a position: no two among the first 28 share both."""
    return MIX_COLOURS[position % len(MIX_COLOURS)], DASHES[position // len(MIX_COLOURS) % len(DASHES)]
