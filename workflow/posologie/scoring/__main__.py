"""From predictions to scores: one value per item, variant, metric and decoding."""

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.language.marks import without_control
from posologie.records.files import write_parquet
from posologie.records.items import Item, read_items
from posologie.running.commands import named_path, parser, run
from posologie.scoring.choices import choice_scores
from posologie.scoring.spec import Scores, ScoringSpec
from posologie.scoring.tables import check_complete, read_predictions, reference_texts, table_of


def main(argv: list[str]) -> None:
    """Score one model's predictions on one suite."""
    arguments = parser("posologie.scoring", __doc__ or "")
    arguments.add_argument("--predictions", required=True)
    arguments.add_argument("--items", nargs="+", type=named_path, required=True, metavar="SOURCE=SHARD")
    arguments.add_argument("--scores", required=True)
    options = arguments.parse_args(argv)
    spec = ScoringSpec.from_json(options.spec)
    predictions = read_predictions(options.predictions)
    items: dict[str, dict[str, Item]] = {}
    for source, shard in options.items:
        items.setdefault(source, {}).update((item.id, item) for item in read_items(shard))
    check_complete(predictions, items, spec.suite, options.predictions)
    choice = predictions.filter(pc.not_equal(predictions["task"], "oeq"))
    opened = predictions.filter(pc.equal(predictions["task"], "oeq"))
    choice_part = list(choice_scores(choice)) if len(choice) else []
    open_part = text_scores(opened, reference_texts(spec.suite, items), spec) if len(opened) else []
    write_parquet(options.scores, table_of([(choice, choice_part), (opened, open_part)]))


def text_scores(table: pa.Table, references: Mapping[tuple[str, str], str], spec: ScoringSpec) -> list[Scores]:
    """Return every metric of a table of predictions on open questions.

    Args:
        references: the reference text of each open question, by benchmark and item.
    """
    # nltk and sacreBLEU take a second to import, which a job on choice questions need not spend.
    from posologie.scoring.text import text_scorer

    columns = (table[name].to_pylist() for name in ("benchmark", "item", "greedy_text"))
    rows = [
        text_scorer(spec.text_of(benchmark))(without_control(answer), references[benchmark, item])
        for benchmark, item, answer in zip(*columns, strict=True)
    ]
    scores = [
        Scores(metric, "greedy", signature, np.array([row[metric] for row in rows], dtype=float))
        for metric, signature in _signatures(spec, rows[0]).items()
    ]
    cut = pc.equal(table["finish"], "length").to_numpy().astype(float)
    return [*scores, Scores("cut_at_length", "greedy", "tokens|v1", cut)]


def _signatures(spec: ScoringSpec, metrics: Iterable[str]) -> dict[str, str]:
    """Return how each metric was computed, and how for sources in another language where that differs."""
    from posologie.scoring.text import text_signatures

    signatures = text_signatures(spec.text, metrics)
    joined = dict(signatures)
    for source in sorted(spec.sources):
        for metric, signature in text_signatures(spec.sources[source], metrics).items():
            if signature != signatures[metric]:
                joined[metric] += f"; {source}: {signature}"
    return joined


if __name__ == "__main__":
    run(main)
