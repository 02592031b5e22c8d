"""One name, one place and one colour for every model, in every table and figure."""

from collections.abc import Sequence

from posologie.statistics.spec import EvaluatedModel

INK, MUTED, GRID, PAPER = "#1c1f23", "#565d66", "#e3e5e8", "#fefefe"
PROVENANCE_COLOURS = {"native": "#0072b2", "translated": "#d55e00", "synthetic": "#009e73"}
"""Of Okabe and Ito (2008): told apart with every common form of colour blindness."""

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


def line_style(position: int) -> tuple[str, str]:
    """Return colour and dash of the mix at a position: no two among the first 28 share both."""
    return MIX_COLOURS[position % len(MIX_COLOURS)], DASHES[position // len(MIX_COLOURS) % len(DASHES)]
