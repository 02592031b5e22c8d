"""A model in this process answers: prompts packed by a budget of tokens, one prefill for all that is asked of them."""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from posologie.language.marks import opens_thought
from posologie.models.chats import Chats
from posologie.models.spec import ChatForm
from posologie.prediction.answering import (
    ChoiceAnswer,
    ChoiceQuestion,
    OpenAnswer,
    Thought,
    answer_choices,
    answer_open,
    thought_in,
    thought_stop,
)
from posologie.prediction.automaton import Automaton, LabelAutomaton, PublishedAutomaton, Vocabulary, token_bytes
from posologie.prediction.forward import (
    Forest,
    Padded,
    Prefix,
    Tokens,
    bins,
    common_prefix,
    grow,
    neighbours,
    packs,
    prefix_of,
    refuse_recurrent,
    tree_size,
)
from posologie.prediction.model import Model, Prompts, blank_first, memory_failure, positions_of
from posologie.prediction.parsing import is_bare_label
from posologie.prediction.requests import Answer, Request
from posologie.prediction.spec import LongPrompts
from posologie.records.items import stable_id
from posologie.records.prompting import Prompting
from posologie.running.errors import InputError

log = logging.getLogger(__name__)

ROW_TOKENS = 256
"""Room of a packed row. Attention costs its square: on two CPU cores, more than a row's other work beyond this."""

OPEN_COLUMNS = 4
"""States kept for open answers under way, as a multiple of the chunk's tokens."""

SAVED_SECONDS = 20.0
"""Finished open answers are saved at least this often."""

THOUGHTS_AT_ONCE = 64
"""Requests whose thoughts are written before their answers: a kill loses these."""

AUDITED_A_WINDOW, AUDITED = 16, 64
"""In bfloat16, so many prompts are computed once more by themselves, to count how many labels flip."""

Prompted = Mapping[int, Tokens]
"""The tokens of each request's prompt, by place."""


def default_chunk_tokens(device: str) -> int:
    """Return the chunk size where the command gives none."""
    return 16384 if device.startswith("cuda") else 2048


class LocalModel:
    """Answers windows of requests with a model in this process."""

    def __init__(
        self,
        model: Model,
        prompting: Prompting,
        chunk_tokens: int | None,
        form: ChatForm | None = None,
        long_prompts: LongPrompts = "refuse",
    ) -> None:
        """Compile the vocabulary.

        Args:
            chunk_tokens: prompt tokens that are computed at once; halved when memory runs out.
            form: how chats are put to the model.
            long_prompts: what becomes of an item that needs more positions than the model has.
        """
        self.chats = Chats(model.tokenizer, form)
        self.prompts = Prompts(self.chats, prompting, positions_of(model.network), long_prompts)
        self.model = model
        self.prompting = prompting
        self.chunk_tokens = self.asked_chunk_tokens = chunk_tokens or default_chunk_tokens(str(model.network.device))
        self.halvings = 0
        self.computed_tokens = 0
        self.audited = self.flipped = 0
        refuse_recurrent(model.network)
        self.packs = packs(model.network)
        if not self.packs:
            log.info("prompts are padded, not packed: this architecture does not attend to all that comes before")
        written = token_bytes(model.tokenizer)
        separator = prompting.label_separator
        self.vocabulary = Vocabulary(written, separator, model.end_tokens, blank_first(self.chats))
        self._automata: dict[tuple[str, int, bool], Automaton] = {}
        self._prefix = Prefix((), ())

    def facts(self) -> Mapping[str, Any]:
        """Return what the run record should say."""
        return {
            **self.model.facts,
            "threads": torch.get_num_threads(),
            "chunk_tokens": self.asked_chunk_tokens,
            "chunk_halvings": self.halvings,
            "prompts_packed": self.packs,
            "computed_prompt_tokens": self.computed_tokens,
            "chat": self.chats.form.model_dump(mode="json"),
            "text_before_answers": self.chats.lead,
            "contexts_cut": {"count": len(self.prompts.cut), "first": sorted(self.prompts.cut)[:5]},
            "recomputed_alone": {"prompts": self.audited, "likeliest_label_flipped": self.flipped},
        }

    def check(self, requests: Iterator[Request]) -> None:
        """Refuse items that do not fit, and a template under which training and prediction would differ."""
        self.prompts.check(requests)

    def answers(self, requests: Sequence[Request], done: frozenset[int]) -> Iterator[list[Answer]]:
        """Answer a window, the questions with options first."""
        if not self.chats.form.thinking:
            yield from self._answers(
                requests, {request.place: self.prompts.tokens(request) for request in requests}, done
            )
            return
        for start in range(0, len(requests), THOUGHTS_AT_ONCE):
            yield from self._thoughtful(
                [request for request in requests[start : start + THOUGHTS_AT_ONCE] if request.place not in done]
            )

    def _thoughtful(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Answer after a thought; a thought that ran out of tokens has no answer behind it."""
        if not requests:
            return
        thoughts = self._thoughts(requests)
        closed = [request for request in requests if thoughts[request.place].closed]
        prompts = {request.place: thoughts[request.place].prompt for request in closed}
        for answers in self._answers(closed, prompts, frozenset()) if closed else ():
            pairs = [(answer, thoughts[answer.place]) for answer in answers]
            yield [
                dataclasses.replace(
                    answer,
                    thoughts=thought.text,
                    thought_tokens=thought.tokens,
                    prompt_tokens=answer.prompt_tokens - thought.tokens,
                )
                for answer, thought in pairs
            ]
        if unfinished := [(request.place, thoughts[request.place]) for request in requests if request not in closed]:
            yield [
                Answer(
                    place, "", len(thought.prompt), 0, "length", thoughts=thought.text, thought_tokens=thought.tokens
                )
                for place, thought in unfinished
            ]

    def _thoughts(self, requests: Sequence[Request]) -> dict[int, Thought]:
        prompts = {request.place: self.prompts.tokens(request) for request in requests}
        opened = opens_thought(self.prompts.text(requests[0]))
        limit = self.chats.form.thought_tokens
        thinking = [dataclasses.replace(request, new_tokens=limit) for request in requests]
        self._share(())
        thoughts: dict[int, Thought] = {}
        for answers in self._open_stream(thinking, prompts, thought_stop(self._written, opened)):
            for answer in answers:
                place = thinking[answer.number].place
                tokens = answer.tokens[:-1] if answer.ended else answer.tokens
                thoughts[place] = thought_in(prompts[place], tokens, self._written, opened=opened, ended=answer.ended)
        return thoughts

    def _written(self, tokens: Sequence[int]) -> str:
        return self._text(tokens, False)

    def _answers(self, requests: Sequence[Request], prompts: Prompted, done: frozenset[int]) -> Iterator[list[Answer]]:
        shared = common_prefix(list(prompts.values())) if self.packs and len(prompts) > 1 else 0
        self._share(next(iter(prompts.values()))[:shared])
        audit = self._audit_of(requests)
        for chunk in self._chunks([request for request in requests if request.item.options], prompts):
            remaining = [request for request in chunk if request.place not in done]
            if remaining:
                for answers in self._halving(remaining, prompts):
                    self._audit([answer for answer in answers if answer.place in audit], audit, prompts)
                    yield answers
        waiting = [request for request in requests if not request.item.options and request.place not in done]
        waiting.sort(key=lambda request: (-len(prompts[request.place]), request.place))
        yield from self._answer_open(waiting, prompts)

    # Chunks

    def _share(self, tokens: Tokens) -> None:
        if self._prefix.tokens != tokens:
            self._prefix = prefix_of(self.model.network, tokens)

    def _chunks(self, requests: Sequence[Request], prompts: Prompted) -> Iterator[list[Request]]:
        """Yield requests that are computed together: variants of an item side by side, one task, long ones first.

        The tasks are apart because a chunk is decoded until its longest answer ends.
        """
        before = len(self._prefix.tokens)
        groups: dict[tuple[str, str, str], list[Request]] = {}
        for request in requests:
            groups.setdefault((request.suite, request.benchmark, request.item.id), []).append(request)
        sized = [
            (self._size([prompts[request.place][before:] for request in group]), group) for group in groups.values()
        ]
        sized.sort(key=lambda pair: (pair[1][0].item.task, -pair[0], pair[1][0].place))
        chunk: list[Request] = []
        filled = 0
        for size, group in sized:
            if chunk and (filled + size > self.chunk_tokens or group[0].item.task != chunk[0].item.task):
                yield chunk
                chunk, filled = [], 0
            chunk = chunk + group
            filled += size
        if chunk:
            yield chunk

    def _size(self, prompts: Sequence[Tokens]) -> int:
        return tree_size(prompts) if self.packs else sum(map(len, prompts))

    def _plant(self, prompts: Sequence[Tokens]) -> tuple[Forest | Padded, torch.Tensor, list[int]]:
        """Compute prompts in one pass; return them as texts, the logits behind them, and which text is which prompt."""
        if not self.packs:
            self.computed_tokens += sum(map(len, prompts))
            return *Padded.plant(self.model.network, prompts), list(range(len(prompts)))
        rests = [prompt[len(self._prefix.tokens) :] for prompt in prompts]
        groups = neighbours(rests)
        sizes = [tree_size([rests[number] for number in group]) for group in groups]
        packed = bins(sizes, max(ROW_TOKENS, *sizes))
        rows = [grow(rests, [number for index in filled for number in groups[index]]) for filled in packed]
        forest = Forest(self.model.network, self._prefix)
        logits = forest.plant(rows)
        self.computed_tokens += sum(len(row.tokens) for row in rows)
        return forest, logits, [number for row in rows for number in row.prompts]

    # Questions with options

    def _halving(self, requests: list[Request], prompts: Prompted) -> Iterator[list[Answer]]:
        """Answer a chunk of choice questions, or its halves if it does not fit into memory."""
        failure = None
        try:
            answers = self._answer_choices(requests, prompts)
        except (MemoryError, RuntimeError) as error:
            failure = memory_failure(error)
            if failure is None:
                raise
        if failure is None:
            yield answers
            return
        self._note_halving(failure, requests, prompts)
        middle = len(requests) // 2
        yield from self._halving(requests[:middle], prompts)
        yield from self._halving(requests[middle:], prompts)

    def _note_halving(self, failure: str, requests: Sequence[Request], prompts: Prompted) -> None:
        if len(requests) == 1 or self.chunk_tokens == 1:
            name, length = requests[0].item.id, len(prompts[requests[0].place])
            raise InputError(
                f"item '{name}': {length} prompt tokens do not fit into memory even on their own ({failure})"
            )
        self.halvings += 1
        self.chunk_tokens //= 2
        log.warning("out of memory (%s): continuing with %d tokens at once", failure, self.chunk_tokens)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _answer_choices(self, requests: Sequence[Request], prompts: Prompted) -> list[Answer]:
        texts, logits, order = self._plant([prompts[request.place] for request in requests])
        ordered = [requests[number] for number in order]
        answers = answer_choices([self._question(request) for request in ordered], logits, texts, self.model.end_tokens)
        return [self._choice(request, answer, prompts) for request, answer in zip(ordered, answers, strict=True)]

    def _question(self, request: Request) -> ChoiceQuestion:
        options, several = len(request.order), request.item.task == "mcq"
        key = (request.protocol, options, several)
        published = request.protocol == "published"
        if key not in self._automata and published:
            tokenizer, separator = self.model.tokenizer, self.prompting.label_separator
            self._automata[key] = PublishedAutomaton(tokenizer, separator, options, request.new_tokens)
        elif key not in self._automata:
            self._automata[key] = LabelAutomaton(self.vocabulary, options, several)
        return ChoiceQuestion(
            automaton=self._automata[key],
            labels=options,
            single=not several and not published,
            new_tokens=request.new_tokens,
            look_on=lambda tokens: not published and is_bare_label(self._text(tokens, False), options),
        )

    def _choice(self, request: Request, answer: ChoiceAnswer, prompts: Prompted) -> Answer:
        mass = float(answer.label_shares.sum())
        return Answer(
            place=request.place,
            greedy_text=self._text(answer.tokens, answer.ended),
            prompt_tokens=len(prompts[request.place]),
            generated_tokens=len(answer.tokens),
            finish="stop" if answer.ended else "length",
            constrained_labels=answer.labels,
            label_probabilities=tuple((answer.label_shares / mass).tolist()),
            label_mass=mass,
            constrained_by="published masks" if request.protocol == "published" else "automaton",
        )

    def _audit_of(self, requests: Sequence[Request]) -> dict[int, Request]:
        """Return the requests of a window to be computed once more by themselves: none in float32, where none flips."""
        if self.model.network.dtype == torch.float32:
            return {}
        choices = [request for request in requests if request.item.options]
        chosen = sorted(choices, key=lambda request: stable_id(request.item.id, request.variant))
        return {request.place: request for request in chosen[: min(AUDITED_A_WINDOW, AUDITED - self.audited)]}

    def _audit(self, answers: Sequence[Answer], audit: Mapping[int, Request], prompts: Prompted) -> None:
        for answer in answers:
            texts, logits = Padded.plant(self.model.network, [prompts[answer.place]])
            question = dataclasses.replace(self._question(audit[answer.place]), new_tokens=1, look_on=lambda _: False)
            alone = answer_choices([question], logits, texts, self.model.end_tokens)[0].label_shares
            self.audited += 1
            self.flipped += int(alone.argmax()) != int(np.argmax(answer.label_probabilities or ()))

    # Open questions

    def _answer_open(self, requests: Sequence[Request], prompts: Prompted) -> Iterator[list[Answer]]:
        """Answer open questions; those under way when memory runs out begin again, fewer at a time."""
        remaining = list(requests)
        while remaining:
            batch = remaining
            finished: list[Answer] = []
            answered: set[int] = set()
            failure = None
            saved = time.monotonic()
            try:
                for answers in self._open_stream(batch, prompts):
                    finished += [self._open(batch[answer.number], answer, prompts) for answer in answers]
                    answered.update(batch[answer.number].place for answer in answers)
                    if time.monotonic() - saved > SAVED_SECONDS:
                        yield finished
                        finished, saved = [], time.monotonic()
            except (MemoryError, RuntimeError) as error:
                failure = memory_failure(error)
                if failure is None:
                    raise
            if finished:
                yield finished
            remaining = [request for request in batch if request.place not in answered]
            if failure is not None:
                self._note_halving(failure, remaining, prompts)

    def _open_stream(
        self, requests: Sequence[Request], prompts: Prompted, stops: Callable[[Sequence[int]], bool] = lambda _: False
    ) -> Iterator[list[OpenAnswer]]:
        def plant(numbers: Sequence[int]) -> tuple[Padded, torch.Tensor]:
            texts, logits, order = self._plant([prompts[requests[number].place] for number in numbers])
            rows = texts.padded() if isinstance(texts, Forest) else texts
            back = sorted(range(len(order)), key=order.__getitem__)
            rows.select(back)
            return rows, logits[back]

        return answer_open(
            [len(prompts[request.place]) for request in requests],
            [request.new_tokens for request in requests],
            OPEN_COLUMNS * self.chunk_tokens,
            plant,
            self.model.end_tokens,
            stops,
        )

    def _open(self, request: Request, answer: OpenAnswer, prompts: Prompted) -> Answer:
        return Answer(
            place=request.place,
            greedy_text=self._text(answer.tokens, answer.ended),
            prompt_tokens=len(prompts[request.place]),
            generated_tokens=len(answer.tokens),
            finish="stop" if answer.ended else "length",
        )

    def _text(self, tokens: Sequence[int], ended: bool) -> str:
        """Return the greedy text as it is, without the end token."""
        shown = list(tokens[:-1] if ended else tokens)
        return str(self.model.tokenizer.decode(shown, skip_special_tokens=False, clean_up_tokenization_spaces=False))
