"""BERTScore: how well the words of an answer are matched, in the vectors of an encoder, by those of its reference.

torchmetrics has it too, but pairs the wrong texts in a batch: it sorts answers and references by length apart from each
other and puts them back in the sorted order instead of its inverse (Lightning-AI/torchmetrics, issue 2728). One pair at
a time it agrees with what is here, and a test holds the two together.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from posologie.errors import InputError
from posologie.models.encoding import batches, load_encoder

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
        found: dict[str, torch.Tensor] = {}
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
                found[texts[place]] = vectors[row, [column + offset for column in own]]
        return found


def pair_f1(answer: torch.Tensor, reference: torch.Tensor) -> float:
    """Return F1 of two texts from their vectors [token, dimension] of length 1; 0 if one has no token."""
    if not len(answer) or not len(reference):
        return 0.0
    similarity = (answer @ reference.T).clamp(min=0)
    precision = float(similarity.max(dim=1).values.double().mean())
    recall = float(similarity.max(dim=0).values.double().mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
