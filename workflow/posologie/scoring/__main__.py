"""From predictions to scores: one value per item, variant, metric and decoding."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.commands import named_path, parser, run
from posologie.errors import InputError
from posologie.files import read_parquet, write_parquet
from posologie.items import Item, read_items
from posologie.prediction.schema import prediction_schema
from posologie.scoring.choices import Scores, choice_scores
from posologie.scoring.completeness import check_complete
from posologie.scoring.schema import score_schema
from posologie.scoring.spec import ScoringSpec, TextMetrics

KEYS = ("item", "benchmark", "variant", "provenance", "task", "group")


def main(argv: list[str]) -> None:
    """Score one model's predictions on one suite."""
    arguments = parser("posologie.scoring", __doc__ or "")
    arguments.add_argument("--predictions", required=True)
    arguments.add_argument("--items", nargs="+", type=named_path, required=True, metavar="SOURCE=SHARD")
    arguments.add_argument("--scores", required=True)
    given = arguments.parse_args(argv)
    spec = ScoringSpec.from_json(given.spec)
    predictions = read_predictions(given.predictions)
    items: dict[str, dict[str, Item]] = {}
    for source, shard in given.items:
        items.setdefault(source, {}).update((item.id, item) for item in read_items(shard))
    check_complete(predictions, items, spec.suite, given.predictions)
    references = {
        (name, item.id): item.answer
        for name, benchmark in spec.suite.benchmarks.items()
        for item in items[benchmark.source].values()
        if item.task == "oeq"
    }
    write_parquet(given.scores, score_table(predictions, references, spec.text))


def read_predictions(path: str) -> pa.Table:
    """Read a predictions file, ordered by benchmark, item and variant.

    Raises:
        InputError: naming the first column that is missing.
    """
    table = read_parquet(path)
    if missing := [name for name in prediction_schema().names if name not in table.column_names]:
        raise InputError(f"{path}: column '{missing[0]}' is missing; expected a table of predictions")
    return table.sort_by([("benchmark", "ascending"), ("item", "ascending"), ("variant", "ascending")])


def score_table(predictions: pa.Table, references: Mapping[tuple[str, str], str], text: TextMetrics) -> pa.Table:
    """Return the scores of predictions that are in order, with `score_schema`.

    Args:
        references: the reference text of each open question, by benchmark and item.
    """
    blocks = []
    choice = predictions.filter(pc.not_equal(predictions["task"], "oeq"))
    if len(choice):
        keys = _keys(choice)
        blocks += [(scores, keys) for scores in choice_scores(choice)]
    opened = predictions.filter(pc.equal(predictions["task"], "oeq"))
    if len(opened):
        keys = _keys(opened)
        blocks += [(scores, keys) for scores in _text_scores(opened, references, text)]
    blocks.sort(key=lambda block: (block[0].decoding, block[0].metric))
    return pa.concat_tables([_block(scores, keys) for scores, keys in blocks]).unify_dictionaries().combine_chunks()


def _text_scores(table: pa.Table, references: Mapping[tuple[str, str], str], text: TextMetrics) -> list[Scores]:
    # nltk and sacreBLEU take a second to import, which a job on choice questions need not spend.
    from posologie.scoring.text import text_scorer, text_signatures

    score = text_scorer(text)
    columns = (table[name].to_pylist() for name in ("benchmark", "item", "greedy_text"))
    rows = [score(answer, references[benchmark, item]) for benchmark, item, answer in zip(*columns, strict=True)]
    signatures = text_signatures(text, rows[0])
    scores = [
        Scores(metric, "greedy", signature, np.array([row[metric] for row in rows], dtype=float))
        for metric, signature in signatures.items()
    ]
    cut = pc.equal(table["finish"], "length").to_numpy().astype(float)
    return [*scores, Scores("cut_at_length", "greedy", "tokens|v1", cut)]


def _keys(table: pa.Table) -> dict[str, pa.Array]:
    return {name: table[name].combine_chunks().dictionary_encode() for name in KEYS}


def _block(scores: Scores, keys: Mapping[str, pa.Array]) -> pa.Table:
    rows = len(scores.values)
    constants = {name: getattr(scores, name) for name in ("metric", "decoding", "signature")}
    columns = dict(keys)
    for name, value in constants.items():
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([value]))
    columns["value"] = pa.array(scores.values, mask=np.isnan(scores.values))
    return pa.table(columns, schema=score_schema())


if __name__ == "__main__":
    run(main)
