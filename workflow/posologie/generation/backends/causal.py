"""A local causal language model: batched, sorted by length, with the labels' probabilities at each step.

The batches are cut from all requests, answered ones included, and a batch is stored as a whole. So a killed run
goes on with the batches of the first run, and ends with the same texts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
import transformers

from posologie.code_digest import digest
from posologie.errors import InputError
from posologie.generation.backends.cache import Cache
from posologie.generation.backends.interface import LabelStep, Reply, Request, cache_entry
from posologie.generation.backends.local import batches, weights_identity
from posologie.generation.backends.sampling import GumbelSampling, LabelRecorder, label_tokens
from posologie.generation.backends.spec import Causal, Running
from posologie.models.chats import Chats
from posologie.models.load import end_token_ids, load_model, load_tokenizer
from posologie.models.spec import ChatForm
from posologie.models.store import checked_folder
from posologie.progress import Progress
from posologie.thoughts import Parted, opens_thought, part

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
        """Return the reply in a row's new tokens: up to the first end token, whatever the batch went on with."""
        end = next((position for position, token in enumerate(generated) if token in self._ends), None)
        tokens = generated[:end]
        parted = part(self._raw(tokens), opened=self._opened)
        first = 0 if not parted.thoughts else self._answer_begins(tokens, parted)
        answer = tokens[first:]
        steps = []
        if recorder is not None and answer:
            for position in recorder.label_positions(row, answer):
                shares, mass = recorder.at(first + position, row)
                steps.append(LabelStep(len(self._text(answer[:position])), shares, mass))
        used = len(generated) if end is None else end + 1
        finish: Literal["stop", "length"] = "length" if end is None else "stop"
        return Reply(self._text(answer), finish, prompt_tokens, used, tuple(steps), parted.thoughts, first)

    def _answer_begins(self, tokens: list[int], parted: Parted) -> int:
        """Return the first token of the answer behind a thought: the first that writes beyond its closing mark."""
        if not parted.answer:
            return len(tokens)
        places = range(len(tokens))
        return next(place for place in places if len(self._raw(tokens[: place + 1])) > parted.start)

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
