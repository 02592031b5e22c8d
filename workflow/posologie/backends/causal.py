"""A local causal language model: batched, sorted by length, with the labels' probabilities at each step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
import transformers

from posologie.backends.cache import Cache
from posologie.backends.interface import LabelStep, Reply, Request, batches, cache_entry, weights_identity
from posologie.backends.spec import Causal, Decoding, Running
from posologie.language.marks import Parted, opens_thought, part
from posologie.models.chats import Chats
from posologie.models.load import end_token_ids, load_model, load_tokenizer
from posologie.models.spec import ChatForm
from posologie.models.store import checked_folder
from posologie.running.code_digest import digest
from posologie.running.commands import Progress
from posologie.running.errors import InputError


def label_tokens(tokenizer: Any, labels: Sequence[str]) -> list[list[int]]:
    """Return for each label every token that is its text, with or without white space around it.

    Raises:
        InputError: if a label is no single token of the model.
    """
    by_label: dict[str, list[int]] = {label: [] for label in labels}
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
        if text in by_label:
            by_label[text].append(token)
    for label, tokens in by_label.items():
        if not tokens:
            raise InputError(f"labels: '{label}' is not a single token of the model; expected labels that are")
    return list(by_label.values())


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
            [torch.empty(scores.shape[-1]).exponential_(generator=generator) for generator in self.generators]
        )
        return scores - exponential.log().to(scores.device)  # -log of an exponential variable is a Gumbel variable


_WINDOW = 1024
"""Requests that are sorted by length together: memory stays bounded, padding stays small."""


@dataclass(frozen=True, slots=True)
class _Prompt:
    key: bytes
    request: Request
    tokens: list[int]

    thought_tokens: int = 0

    @property
    def new_tokens(self) -> int:
        """Tokens of the longest reply, a thought before it included."""
        return self.request.decoding.max_new_tokens + self.thought_tokens

    @property
    def length(self) -> int:
        """Tokens of the prompt and of the longest reply."""
        return len(self.tokens) + self.new_tokens

    @property
    def manner(self) -> str:
        """What the prompts of one batch must share; not the seed, since every row draws by its own key."""
        decoding = self.request.decoding.model_dump(exclude={"seed"})
        return f"{sorted(decoding.items())} {self.request.labels}"


class CausalBackend:
    """The backend of `Causal`."""

    def __init__(self, spec: Causal, running: Running, manifest: Path) -> None:
        """Take a model by its manifest; the weights are loaded when the first request has no reply yet."""
        self.spec, self.running, self.manifest = spec, running, manifest
        self._model: Any = None
        self._tokenizer: Any = None
        self._chats: Any = None
        self._opened = False
        self._positions = 0
        self._ends: tuple[int, ...] = ()

    def identity(self) -> dict[str, Any]:
        """Return what a reply depends on beside the request: weights, precision, template options and this code."""
        return {
            "kind": "causal",
            "model": weights_identity(self.manifest),
            "precision": self.spec.precision,
            "chat": {name: getattr(self.spec, name) for name in ChatForm.model_fields},
            "code": digest(__name__),
        }

    def read(self, request: Request, raw: str) -> Reply:
        """Return the reply that `complete` stored."""
        return Reply.from_json(raw)

    def complete(self, requests: Iterator[tuple[bytes, Request]], cache: Cache, progress: Progress) -> None:
        """Answer every request that has no reply yet.

        Raises:
            InputError: if a batch does not fit into the device's memory.
        """
        while window := list(islice(requests, _WINDOW)):
            if all(cache.has(key) for key, _ in window):
                progress.advance(len(window))
                continue
            self._load()
            for batch in self._batches(window, cache):
                if not all(cache.has(prompt.key) for prompt in batch):
                    replies = self._generate(batch)
                    cache.put(
                        (prompt.key, *cache_entry(prompt.request, reply))
                        for prompt, reply in zip(batch, replies, strict=True)
                    )
                progress.advance(len(batch))

    def _load(self) -> None:
        if self._model is not None:
            return
        torch.set_num_threads(self.spec.threads)
        folder = checked_folder(self.manifest)
        self._tokenizer = load_tokenizer(folder)
        self._chats = Chats(self._tokenizer, self.spec, self.spec.backbone)
        self._opened = opens_thought(self._chats.prompt([{"role": "user", "content": "?"}]))
        several = torch.cuda.device_count() > 1
        self._model = load_model(folder, precision=self.spec.precision, **({"device_map": "auto"} if several else {}))
        self._ends = end_token_ids(self._model, self._tokenizer)
        # The model's own generation settings (sampling, penalties) would come on top of what the spec says.
        self._model.generation_config = transformers.GenerationConfig(
            do_sample=False, num_beams=1, eos_token_id=list(self._ends), pad_token_id=self._ends[0]
        )
        self._positions = int(getattr(self._model.config.get_text_config(), "max_position_embeddings", 0) or 0)

    def _batches(self, window: Sequence[tuple[bytes, Request]], cache: Cache) -> Iterator[list[_Prompt]]:
        """Yield batches of prompts that decode alike and are of similar length, the longest first."""
        prompts = []
        thought_tokens = self.spec.thought_tokens if self.spec.thinking else 0
        for key, request in window:
            prompt = _Prompt(key, request, self._encode(request), thought_tokens)
            if self._positions and prompt.length > self._positions:
                problem = f"prompt of {len(prompt.tokens)} tokens and {prompt.new_tokens} new ones"
                cache.fail(key, request.canonical_json(), f"{problem}; the model has {self._positions} positions")
            else:
                prompts.append(prompt)
        prompts.sort(key=lambda prompt: (prompt.manner, -prompt.length, prompt.key))
        return batches(prompts, lambda prompt: prompt.length, lambda prompt: prompt.manner, self.running.batch_tokens)

    def _encode(self, request: Request) -> list[int]:
        turns = [{"role": role, "content": content} for role, content in request.turns]
        return list(self._chats.ids(self._chats.prompt(turns)))

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _generate(self, batch: Sequence[_Prompt]) -> list[Reply]:
        """Answer one batch, prompts padded on the left."""
        request, width, device = batch[0].request, len(batch[0].tokens), self._model.device
        prompts = torch.full((len(batch), width), self._ends[0], dtype=torch.long)
        mask = torch.zeros_like(prompts)
        for row, prompt in enumerate(batch):
            prompts[row, width - len(prompt.tokens) :] = torch.tensor(prompt.tokens)
            mask[row, width - len(prompt.tokens) :] = 1
        processors = transformers.LogitsProcessorList()
        recorder = LabelRecorder(label_tokens(self._tokenizer, request.labels)) if request.labels else None
        if recorder is not None:
            processors.append(recorder)
        if request.decoding.temperature:
            processors.append(GumbelSampling([prompt.key for prompt in batch], request.decoding))
        try:
            output = self._model.generate(
                input_ids=prompts.to(device),
                attention_mask=mask.to(device),
                max_new_tokens=batch[0].new_tokens,
                logits_processor=processors,
            )
        except torch.cuda.OutOfMemoryError as error:
            raise InputError(
                f"batch_tokens = {self.running.batch_tokens}: a batch of {len(batch)} prompts of {width} tokens does"
                " not fit into the device's memory; expected a smaller number"
            ) from error
        generated = output[:, width:].tolist()
        return [self._reply(generated[row], len(batch[row].tokens), row, recorder) for row in range(len(batch))]

    def _reply(self, generated: list[int], prompt_tokens: int, row: int, recorder: LabelRecorder | None) -> Reply:
        """Return the reply in a row's new tokens: up to the first end token, whatever the batch generated after it."""
        end = next((position for position, token in enumerate(generated) if token in self._ends), None)
        tokens = generated[:end]
        parted = part(self._raw(tokens), opened=self._opened)
        first, last = self._answer_within(tokens, parted)
        answer = tokens[first:last]
        steps = []
        if recorder is not None and answer:
            for position in recorder.label_positions(row, answer):
                shares, mass = recorder.at(first + position, row)
                steps.append(LabelStep(len(self._text(answer[:position])), shares, mass))
        used = len(generated) if end is None else end + 1
        finish: Literal["stop", "length"] = "length" if end is None else "stop"
        return Reply(
            self._text(answer),
            finish,
            prompt_tokens,
            generated_tokens=used,
            label_steps=tuple(steps),
            thoughts=parted.thoughts,
            thought_tokens=len(tokens) - len(answer),
        )

    def _answer_within(self, tokens: list[int], parted: Parted) -> tuple[int, int]:
        """Return the first token that writes beyond the place where the answer starts, and that behind its end."""
        if parted.start == 0 and not parted.thoughts:  # nothing but an answer
            return 0, len(tokens)
        written = [len(self._raw(tokens[:count])) for count in range(len(tokens) + 1)]
        first = next((place for place in range(len(tokens)) if written[place + 1] > parted.start), len(tokens))
        return first, next(count for count in range(first, len(written)) if written[count] >= parted.end)

    def _raw(self, tokens: list[int]) -> str:
        """Return the text of tokens with special ones, which may mark thoughts."""
        return str(self._tokenizer.decode(tokens, skip_special_tokens=False))

    def _text(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))


def open_backend(spec: Causal, running: Running, manifest: Path | None) -> CausalBackend:
    """Return the backend.

    Raises:
        InputError: if no model is given.
    """
    if manifest is None:
        raise InputError("--backbone: missing; expected the manifest of the local model")
    return CausalBackend(spec, running, manifest)
