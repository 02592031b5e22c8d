"""What happens to the logits of a step: the labels' probabilities are noted, and a token may be drawn."""

from collections.abc import Sequence
from typing import Any

import torch
import transformers

from posologie.errors import InputError
from posologie.generation.backends.spec import Decoding


def label_tokens(tokenizer: Any, labels: Sequence[str]) -> list[list[int]]:
    """Return for each label every token that is its text, with or without white space around it.

    Raises:
        InputError: if a label is no single token of the model.
    """
    found: dict[str, list[int]] = {label: [] for label in labels}
    special = set(tokenizer.all_special_ids)
    candidates = {
        token
        for label in labels
        for text in (label, f" {label}", f"\n{label}", f"▁{label}", f"Ġ{label}", f"Ċ{label}")
        for token in [tokenizer.convert_tokens_to_ids(text), *tokenizer(text, add_special_tokens=False)["input_ids"]]
        if token is not None and token not in special
    }
    for token in sorted(candidates):
        text = tokenizer.decode([token]).strip()
        if text in found:
            found[text].append(token)
    for label, tokens in found.items():
        if not tokens:
            raise InputError(f"labels: '{label}' is not a single token of the model; expected labels that are")
    return list(found.values())


class LabelRecorder(transformers.LogitsProcessor):  # type: ignore[misc]
    """Notes the probabilities of the labels at every step, and changes nothing."""

    def __init__(self, tokens: Sequence[Sequence[int]]) -> None:
        """Take the tokens of each label."""
        self.tokens = [list(of_label) for of_label in tokens]
        self.of_any_label = {token for of_label in self.tokens for token in of_label}
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Note log-probabilities under the full vocabulary: (batch, labels)."""
        total = torch.logsumexp(scores.float(), dim=-1, keepdim=True)
        of_labels = [torch.logsumexp(scores[:, tokens].float(), dim=-1) for tokens in self.tokens]
        self.steps.append((torch.stack(of_labels, dim=-1) - total).cpu())
        return scores

    def label_positions(self, row: int, tokens: Sequence[int]) -> list[int]:
        """Return the first position, and those at which a row's token is a label."""
        return [0, *(position for position, token in enumerate(tokens) if position and token in self.of_any_label)]

    def at(self, position: int, row: int) -> tuple[tuple[float, ...], float]:
        """Return the probabilities among the labels at a position, and the labels' common mass."""
        logs = self.steps[position][row].double()
        return tuple(torch.softmax(logs, dim=-1).tolist()), min(float(torch.logsumexp(logs, dim=-1).exp()), 1.0)


class GumbelSampling(transformers.LogitsProcessor):  # type: ignore[misc]
    """Sampling by the Gumbel-max trick with a generator per row, so that no draw depends on the batch around it.

    The token of largest logit/temperature + Gumbel noise is distributed as softmax(logits/temperature) (Maddison et
    al., A* Sampling, NeurIPS 2014, section 2). Greedy decoding of what this returns is therefore a draw.
    """

    def __init__(self, keys: Sequence[bytes], decoding: Decoding) -> None:
        """Seed each row with its request's key, which covers prompt, decoding and seed."""
        self.temperature = float(decoding.temperature or 1.0)
        self.top_p = decoding.top_p
        self.generators = [torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1) for key in keys]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the noisy logits: (batch, vocabulary)."""
        scores = scores.float() / self.temperature
        if self.top_p < 1:
            scores = transformers.TopPLogitsWarper(self.top_p)(input_ids, scores)
        exponential = torch.stack(
            [torch.empty(scores.shape[-1]).exponential_(generator=one) for one in self.generators]
        )
        return scores - exponential.log().to(scores.device)  # -log of an exponential variable is a Gumbel variable
