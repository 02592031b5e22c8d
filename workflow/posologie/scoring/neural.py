"""From predictions on open questions to BERTScore: a command and a file of its own, so that re-scoring needs no GPU."""

import logging
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from posologie.commands import named_path, parser, run
from posologie.control_marks import without_control
from posologie.devices import claim_devices
from posologie.files import write_parquet
from posologie.items import Item, read_items
from posologie.models.encoders import encoder_folder, encoder_name
from posologie.models.packages import check_version
from posologie.scoring.bertscore import BertScorer
from posologie.scoring.completeness import check_complete
from posologie.scoring.schema import Scores
from posologie.scoring.spec import Encoder, NeuralSpec
from posologie.scoring.tables import read_predictions, reference_texts, table_of

log = logging.getLogger(__name__)


def main(argv: list[str]) -> None:
    """Score one model's open answers on one suite."""
    arguments = parser("posologie.scoring.neural", __doc__ or "")
    arguments.add_argument("--predictions", required=True)
    arguments.add_argument("--items", nargs="+", type=named_path, required=True, metavar="SOURCE=SHARD")
    arguments.add_argument("--encoder", metavar="MANIFEST", help="manifest of an encoder from the hub")
    arguments.add_argument("--scores", required=True)
    arguments.add_argument("--threads", type=int, default=1, help="torch's thread count on the CPU")
    arguments.add_argument("--chunk-tokens", type=int, default=16384, help="tokens in one forward pass")
    given = arguments.parse_args(argv)
    claim_devices(given.devices)
    spec = NeuralSpec.from_json(given.spec)
    check_version("scoring.encoder.package", spec.encoder.package, spec.package_version)
    predictions = read_predictions(given.predictions)
    items: dict[str, dict[str, Item]] = {}
    for source, shard in given.items:
        items.setdefault(source, {}).update((item.id, item) for item in read_items(shard))
    check_complete(predictions, items, spec.suite, given.predictions)
    table = predictions.filter(pc.equal(predictions["task"], "oeq"))
    references = reference_texts(spec.suite, items)
    wanted = [references[key] for key in zip(*(table[name].to_pylist() for name in ("benchmark", "item")), strict=True)]
    values, signature = bertscores(
        [without_control(text) for text in table["greedy_text"].to_pylist()],
        wanted,
        spec.encoder,
        given.encoder,
        threads=given.threads,
        chunk_tokens=given.chunk_tokens,
    )
    write_parquet(given.scores, table_of([(table, [Scores("bertscore", "greedy", signature, values)])]))


def bertscores(
    answers: Sequence[str],
    references: Sequence[str],
    encoder: Encoder,
    manifest: str | None,
    *,
    threads: int,
    chunk_tokens: int = 16384,
) -> tuple[NDArray[np.float64], str]:
    """Return BERTScore-F1 of each pair, and its signature."""
    torch.set_num_threads(threads)
    folder = encoder_folder(encoder, manifest)
    scorer = BertScorer(folder, layer=encoder.layer, device="cuda" if torch.cuda.is_available() else "cpu")
    values = np.array(scorer.f1(answers, references, chunk_tokens))
    if scorer.cut:
        log.warning("%d texts are longer than the encoder can read and were cut", scorer.cut)
    return (
        values,
        f"f1|no idf|no baseline|no special tokens|layer:{scorer.layer}|{encoder_name(encoder, folder, manifest)}",
    )


if __name__ == "__main__":
    run(main)
