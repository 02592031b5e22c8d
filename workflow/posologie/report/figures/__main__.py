"""Draw the study's figures, each as SVG and PDF."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from posologie.report.figures import components, effects, published, scores
from posologie.report.figures.style import SETTINGS, empty_figure, write
from posologie.report.inputs import Inputs
from posologie.report.spec import ReportSpec
from posologie.running.commands import parser, run

DRAWN: dict[str, Callable[[Inputs], Figure | None]] = {
    "answer": effects.draw_answer,
    "effects": effects.draw,
    "transfer": effects.draw_transfer,
    "attribution": components.draw_attribution,
    "dose_response": components.draw_doses,
    "mcqa": scores.draw_choices,
    "oeq": scores.draw_texts,
    "position": scores.draw_position,
    "surface": components.draw_surface,
    "published": published.draw,
    "agreement": scores.draw_agreement,
    "calibration": scores.draw_calibration,
    "generator": scores.draw_generator,
    "composition": components.draw_composition,
    "screening": components.draw_screening,
    "leakage": components.draw_leakage,
    "compute": components.draw_compute,
    "training": scores.draw_training,
}


def main(argv: list[str]) -> None:
    """Draw the figures."""
    arguments = parser("posologie.report.figures", __doc__ or "")
    arguments.add_argument("--results", required=True, type=Path, help="the study's folder")
    arguments.add_argument("--figures", required=True, type=Path, help="the folder to write to")
    options = arguments.parse_args(argv)
    spec = ReportSpec.from_json(options.spec)
    inputs = Inputs(spec, options.results)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        for name in spec.figures():
            write(DRAWN[name](inputs) or empty_figure(name), options.figures / name)


if __name__ == "__main__":
    run(main)
