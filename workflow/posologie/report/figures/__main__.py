"""Draw the study's figures, each as SVG and PDF."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from posologie.commands import parser, run
from posologie.report.figures import effects, published, scores, shares, training
from posologie.report.figures.style import SETTINGS, empty_figure, write
from posologie.report.inputs import Inputs
from posologie.report.spec import ReportSpec

DRAWN: dict[str, Callable[[Inputs], Figure | None]] = {
    "effects": effects.draw,
    "mcqa": scores.draw_choices,
    "oeq": scores.draw_texts,
    "permutation": scores.draw_permutation,
    "published": published.draw,
    "composition": shares.draw,
    "training": training.draw,
}


def main(argv: list[str]) -> None:
    """Draw the figures."""
    arguments = parser("posologie.report.figures", __doc__ or "")
    arguments.add_argument("--results", required=True, type=Path, help="the study's folder")
    arguments.add_argument("--figures", required=True, type=Path, help="the folder to write to")
    given = arguments.parse_args(argv)
    spec = ReportSpec.from_json(given.spec)
    inputs = Inputs(spec, given.results)
    mpl.rcdefaults()
    with mpl.rc_context(SETTINGS):
        for name in spec.figures():
            write(DRAWN[name](inputs) or empty_figure(name), given.figures / name)


if __name__ == "__main__":
    run(main)
