"""Score open answers with BERTScore."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from posologie.language.marks import without_control
from posologie.models.encoders import batches, encoder_folder, encoder_name, load_encoder
from posologie.models.store import check_version
from posologie.records.files import write_parquet
from posologie.records.items import Item, read_items
from posologie.running.commands import claim_devices, named_path, parser, run
from posologie.running.errors import InputError
from posologie.scoring.spec import Encoder, NeuralSpec, Scores
from posologie.scoring.tables import check_complete, read_predictions, reference_texts, table_of

_PAIRS = 256
"""Pairs whose vectors are held at once."""


class BertScorer:
    """An encoder and its tokenizer, loaded once."""

    def __init__(self, folder: Path, *, layer: int | None = None, device: str = "cpu") -> None:
        """Load the encoder of a folder: safetensors only, no remote code.

        Raises:
            InputError: for a layer that the encoder does not have.
        """
        loaded = load_encoder(folder, device)
        self.tokenizer, self.model, self.longest, self.device = loaded.tokenizer, loaded.model, loaded.longest, device
        layers = int(self.model.config.num_hidden_layers)
        if layer is not None and layer > layers:
            raise InputError(f"encoder.layer = {layer}: expected at most {layers}, the encoder's number of layers")
        self.layer = layers if layer is None else layer
        self.cut = 0

    def f1(self, answers: Sequence[str], references: Sequence[str], chunk_tokens: int = 16384) -> list[float]:
        """Return F1 of each pair (Zhang et al. 2020, section 3), without idf weights and without baseline.

        Each token is matched with the most similar token of the other text; precision is the mean over the answer's
        tokens, recall that over the reference's. Special tokens are left out, and a token that resembles none matches
        nothing (as in torchmetrics). An empty text scores 0. A text that is longer than the encoder can read is cut;
        `cut` counts them.

        Args:
            chunk_tokens: tokens in one forward pass, padding included; it changes no result beyond float noise.
        """
        order = sorted(range(len(answers)), key=lambda place: len(answers[place]))
        scores = [0.0] * len(answers)
        for start in range(0, len(order), _PAIRS):
            places = order[start : start + _PAIRS]
            texts = list(dict.fromkeys(text for place in places for text in (answers[place], references[place])))
            vectors = self._vectors(texts, chunk_tokens)
            for place in places:
                scores[place] = pair_f1(vectors[answers[place]], vectors[references[place]])
        return scores

    def _vectors(self, texts: Sequence[str], chunk_tokens: int) -> dict[str, torch.Tensor]:
        """Return, for each text, [token, dimension]: vectors of length 1, special tokens left out."""
        encoded = self.tokenizer(list(texts), add_special_tokens=True, truncation=False)["input_ids"]
        self.cut += sum(len(ids) > self.longest for ids in encoded)
        encoded = self.tokenizer(list(texts), truncation=True, max_length=self.longest, return_special_tokens_mask=True)
        by_text: dict[str, torch.Tensor] = {}
        for batch in batches([len(ids) for ids in encoded["input_ids"]], chunk_tokens):
            padded = self.tokenizer.pad(
                {"input_ids": [encoded["input_ids"][place] for place in batch]}, return_tensors="pt"
            )
            with torch.inference_mode():
                hidden = self.model(**padded.to(self.device), output_hidden_states=True).hidden_states[self.layer]
            vectors = torch.nn.functional.normalize(hidden.float(), dim=-1).cpu()
            for row, place in enumerate(batch):
                own = [column for column, special in enumerate(encoded["special_tokens_mask"][place]) if not special]
                offset = (
                    vectors.shape[1] - len(encoded["input_ids"][place]) if self.tokenizer.padding_side == "left" else 0
                )
                by_text[texts[place]] = vectors[row, [column + offset for column in own]]
        return by_text


def pair_f1(answer: torch.Tensor, reference: torch.Tensor) -> float:
    """Return F1 of two texts from their vectors [token, dimension] of length 1; 0 if one has no token."""
    if not len(answer) or not len(reference):
        return 0.0
    similarity = (answer @ reference.T).clamp(min=0)
    precision = float(similarity.max(dim=1).values.double().mean())
    recall = float(similarity.max(dim=0).values.double().mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


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
    options = arguments.parse_args(argv)
    claim_devices(options.devices)
    spec = NeuralSpec.from_json(options.spec)
    check_version("scoring.encoder.package", spec.encoder.package, spec.package_version)
    predictions = read_predictions(options.predictions)
    items: dict[str, dict[str, Item]] = {}
    for source, shard in options.items:
        items.setdefault(source, {}).update((item.id, item) for item in read_items(shard))
    check_complete(predictions, items, spec.suite, options.predictions)
    table = predictions.filter(pc.equal(predictions["task"], "oeq"))
    references = reference_texts(spec.suite, items)
    texts = [references[key] for key in zip(*(table[name].to_pylist() for name in ("benchmark", "item")), strict=True)]
    values, signature = bertscores(
        [without_control(text) for text in table["greedy_text"].to_pylist()],
        texts,
        spec.encoder,
        options.encoder,
        threads=options.threads,
        chunk_tokens=options.chunk_tokens,
    )
    write_parquet(options.scores, table_of([(table, [Scores("bertscore", "greedy", signature, values)])]))


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
