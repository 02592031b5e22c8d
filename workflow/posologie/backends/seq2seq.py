"""A local sequence-to-sequence translation model: text in pieces at sentence borders, batched, sorted by length.

The last turn of a request is the text to translate. Line breaks stay where they are. The batches are cut from all
requests, answered ones included, and a reply is stored with its last piece: a killed run ends with the same texts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import transformers

from posologie.backends.cache import Cache
from posologie.backends.interface import Reply, Request, batches, cache_entry, weights_identity
from posologie.backends.spec import Running, Seq2seq
from posologie.backends.texts import pieces
from posologie.models.load import default_device
from posologie.models.store import checked_folder
from posologie.running.code_digest import digest
from posologie.running.commands import Progress
from posologie.running.errors import InputError

_WINDOW = 256
"""Requests that are cut into pieces and sorted together."""


@dataclass(slots=True)
class _Piece:
    """A piece of the text of the request at a position of the window."""

    of: int
    text: str
    tokens: list[int]
    attempt: int
    translation: str = ""
    generated: int = 0
    cut: bool = False


class Seq2seqBackend:
    """The backend of `Seq2seq`."""

    def __init__(self, spec: Seq2seq, running: Running, manifest: Path) -> None:
        """Take a model by its manifest; the weights are loaded when the first request has no reply yet."""
        self.spec, self.running, self.manifest = spec, running, manifest
        self._model: Any = None
        self._tokenizer: Any = None

    def identity(self) -> dict[str, Any]:
        """Return what a reply depends on beside the request: weights, the spec and this code."""
        described = self.spec.model_dump(exclude={"backbone", "threads"})
        return {**described, "model": weights_identity(self.manifest), "code": digest(__name__)}

    def read(self, request: Request, raw: str) -> Reply:
        """Return the reply that `complete` stored."""
        return Reply.from_json(raw)

    def complete(self, requests: Iterator[tuple[bytes, Request]], cache: Cache, progress: Progress) -> None:
        """Translate every request that has no reply yet."""
        while taken := list(islice(requests, _WINDOW)):
            window = list(dict(taken).items())  # equal texts, such as an option of many items, once
            progress.advance(len(taken) - len(window))
            answered = [cache.has(key) for key, _ in window]
            progress.advance(sum(answered))
            if all(answered):
                continue
            self._load()
            for replies in self._translated([request for _, request in window], answered):
                cache.put((window[of][0], *cache_entry(window[of][1], reply)) for of, reply in replies)
                progress.advance(len(replies))

    def _load(self) -> None:
        if self._model is not None:
            return
        torch.set_num_threads(self.spec.threads)
        folder = checked_folder(self.manifest)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **self.spec.tokenizer_options)
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
            folder, dtype=getattr(torch, self.spec.precision), use_safetensors=True
        )
        self._model = model.to(default_device()).eval()

    def _translated(self, requests: list[Request], answered: list[bool]) -> Iterator[list[tuple[int, Reply]]]:
        """Yield the replies of requests without answer, with their positions, as soon as all their pieces are done."""
        cut = [list(pieces(request.turns[-1][1], self._count, self.spec.window)) for request in requests]
        every = [
            [_Piece(of, text, self._encode(text), request.attempt) if text.strip() else None for text in texts]
            for of, (request, texts) in enumerate(zip(requests, cut, strict=True))
        ]
        left = [sum(piece is not None for piece in of_request) for of_request in every]
        blank = [of for of, count in enumerate(left) if not count and not answered[of]]
        yield [(of, _joined(cut[of], every[of])) for of in blank]
        waiting = [piece for of_request in every for piece in of_request if piece is not None]
        waiting.sort(key=lambda piece: (piece.attempt, -len(piece.tokens), piece.text))
        for batch in batches(
            waiting, self._width, lambda piece: (piece.attempt, self._most_new(piece)), self.running.batch_tokens
        ):
            if all(answered[piece.of] for piece in batch):
                continue
            self._translate_batch(batch)
            done = []
            for piece in batch:
                left[piece.of] -= 1
                if not left[piece.of] and not answered[piece.of]:
                    done.append(piece.of)
            yield [(of, _joined(cut[of], every[of])) for of in done]

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(self.spec.prefix + text.strip())["input_ids"])

    def _count(self, text: str) -> int:
        return len(self._encode(text))

    def _width(self, piece: _Piece) -> int:
        return (len(piece.tokens) + self._most_new(piece)) * self._beams(piece.attempt)

    def _most_new(self, piece: _Piece) -> int:
        """Return the limit on new tokens, in steps of 64: no translation of a sentence is three times as long.

        Only pieces of equal limits share a batch, so that the limit of a piece does not depend on its neighbours.
        """
        steps = -(-(3 * len(piece.tokens) + 16) // 64)
        return min(64 * steps, int(getattr(self._model.config, "max_position_embeddings", 512)) - 1)

    def _beams(self, attempt: int) -> int:
        return self.spec.beams if attempt == 0 else self.spec.retry_beams

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _translate_batch(self, batch: list[_Piece]) -> None:
        padded = self._tokenizer.pad({"input_ids": [piece.tokens for piece in batch]}, return_tensors="pt")
        options: dict[str, Any] = {}
        if self.spec.first_token is not None:
            options["forced_bos_token_id"] = self._tokenizer.convert_tokens_to_ids(self.spec.first_token)
        most = self._most_new(batch[0])
        try:
            output = self._model.generate(
                **padded.to(self._model.device),
                num_beams=self._beams(batch[0].attempt),
                do_sample=False,
                max_new_tokens=most,
                max_length=None,
                **options,
            )
        except torch.cuda.OutOfMemoryError as error:
            raise InputError(
                f"batch_tokens = {self.running.batch_tokens}: a batch of {len(batch)} pieces does not fit into the"
                " device's memory; expected a smaller number"
            ) from error
        ends = self._tokenizer.eos_token_id
        for piece, tokens in zip(batch, output.tolist(), strict=True):
            piece.translation = str(self._tokenizer.decode(tokens, skip_special_tokens=True)).strip()
            piece.generated = sum(token != self._tokenizer.pad_token_id for token in tokens)
            piece.cut = ends not in tokens[1:]


def _joined(texts: list[str], translated: list[_Piece | None]) -> Reply:
    """Return the reply of one request, with each piece between the white space that surrounded it."""
    parts = []
    for text, piece in zip(texts, translated, strict=True):
        if piece is None:
            parts.append(text)
        else:
            start = len(text) - len(text.lstrip())
            parts.append(text[:start] + piece.translation + text[len(text.rstrip()) :])
    done = [piece for piece in translated if piece is not None]
    return Reply(
        "".join(parts),
        "length" if any(piece.cut for piece in done) else "stop",
        sum(len(piece.tokens) for piece in done),
        sum(piece.generated for piece in done),
    )


def open_backend(spec: Seq2seq, running: Running, manifest: Path | None) -> Seq2seqBackend:
    """Return the backend.

    Raises:
        InputError: if no model is given.
    """
    if manifest is None:
        raise InputError("--backbone: missing; expected the manifest of the local model")
    return Seq2seqBackend(spec, running, manifest)
