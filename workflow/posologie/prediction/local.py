"""A model in this process answers: prompts packed by a budget of tokens, one prefill for all that is asked of them."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from posologie.errors import InputError
from posologie.prediction.automaton import LabelAutomaton, Vocabulary
from posologie.prediction.choices import ChoiceQuestion, answer_choices
from posologie.prediction.forest import bins, common_prefix, grow, tree_size
from posologie.prediction.forward import Forest, Logits, Padded, Prefix, prefix_of
from posologie.prediction.model import Model
from posologie.prediction.open_questions import answer_open
from posologie.prediction.parsing import is_bare_label
from posologie.prediction.requests import Answer, Request
from posologie.prediction.token_bytes import token_bytes
from posologie.prompting import Prompting, chat

log = logging.getLogger(__name__)

ROW_TOKENS = 256
"""Room of a packed row: attention costs its square, and beyond this more than a row's other work on two CPU cores."""

OPEN_COLUMNS = 4
"""States kept for open answers under way, as a multiple of the chunk's tokens."""


def default_chunk_tokens(device: str) -> int:
    """Return the chunk size where the command gives none."""
    return 16384 if device.startswith("cuda") else 2048


class LocalModel:
    """Answers windows of requests with a model in this process."""

    def __init__(self, model: Model, prompting: Prompting, chunk_tokens: int | None) -> None:
        """Compile the vocabulary.

        Args:
            chunk_tokens: prompt tokens that are computed at once; halved when memory runs out.
        """
        self.model = model
        self.prompting = prompting
        self.chunk_tokens = chunk_tokens or default_chunk_tokens(str(model.network.device))
        self.halvings = 0
        self.computed_tokens = 0
        written = token_bytes(model.tokenizer)
        self.vocabulary = Vocabulary(written, prompting.label_separator, model.end_tokens)
        self._automata: dict[tuple[int, bool], LabelAutomaton] = {}
        self._prefix = Prefix((), ())

    def facts(self) -> Mapping[str, Any]:
        """Return what the run record should say."""
        return {
            **self.model.facts,
            "chunk_tokens": self.chunk_tokens,
            "chunk_halvings": self.halvings,
            "computed_prompt_tokens": self.computed_tokens,
        }

    def answers(self, requests: Sequence[Request], done: frozenset[int]) -> Iterator[list[Answer]]:
        """Answer a window, the questions with options first."""
        prompts = {request.place: self._prompt(request) for request in requests}
        shared = common_prefix(list(prompts.values())) if len(prompts) > 1 else 0
        self._share(next(iter(prompts.values()))[:shared])
        choices = [request for request in requests if request.item.options]
        for chunk in self._chunks(choices, prompts):
            remaining = [request for request in chunk if request.place not in done]
            if remaining:
                yield from self._halving(remaining, prompts, self._answer_choices)
        open_questions = [request for request in requests if not request.item.options and request.place not in done]
        open_questions.sort(key=lambda request: (-len(prompts[request.place]), request.place))
        yield from self._answer_open(open_questions, prompts)

    def _prompt(self, request: Request) -> tuple[int, ...]:
        turns = chat(request.item, request.order, self.prompting)
        text = self.model.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return tuple(self.model.tokenizer.encode(text, add_special_tokens=False))

    def _share(self, tokens: tuple[int, ...]) -> None:
        if self._prefix.tokens != tokens:
            self._prefix = prefix_of(self.model.network, tokens)

    def _chunks(self, requests: Sequence[Request], prompts: Mapping[int, tuple[int, ...]]) -> Iterator[list[Request]]:
        """Yield requests that are computed together, variants of an item side by side, long ones first."""
        before = len(self._prefix.tokens)
        groups: dict[tuple[str, str, str], list[Request]] = {}
        for request in requests:
            groups.setdefault((request.suite, request.benchmark, request.item.id), []).append(request)
        sized = [
            (tree_size([prompts[request.place][before:] for request in group]), group) for group in groups.values()
        ]
        sized.sort(key=lambda pair: (-pair[0], pair[1][0].place))
        chunk: list[Request] = []
        filled = 0
        for size, group in sized:
            if chunk and filled + size > self.chunk_tokens:
                yield chunk
                chunk, filled = [], 0
            chunk += group
            filled += size
        if chunk:
            yield chunk

    def _halving(
        self,
        requests: list[Request],
        prompts: Mapping[int, tuple[int, ...]],
        answer: Callable[[list[Request], Mapping[int, tuple[int, ...]]], list[Answer]],
    ) -> Iterator[list[Answer]]:
        """Answer a chunk, or its halves if it does not fit into memory."""
        try:
            yield answer(requests, prompts)
            return
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if len(requests) == 1:
            length = len(prompts[requests[0].place])
            raise InputError(
                f"item '{requests[0].item.id}': its prompt of {length} tokens does not fit into memory by itself"
            )
        self._note_halving(len(requests), reason)
        middle = len(requests) // 2
        yield from self._halving(requests[:middle], prompts, answer)
        yield from self._halving(requests[middle:], prompts, answer)

    def _note_halving(self, size: int, reason: str) -> None:
        self.halvings += 1
        self.chunk_tokens = max(self.chunk_tokens // 2, 1)
        log.warning("out of memory (%s): %d prompts are answered in halves", reason, size)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _answer_choices(self, requests: list[Request], prompts: Mapping[int, tuple[int, ...]]) -> list[Answer]:
        forest, logits, order = self._plant([prompts[request.place] for request in requests])
        asked = [requests[number] for number in order]
        answers = answer_choices([self._question(request) for request in asked], logits, forest, self.model.end_tokens)
        found = []
        for request, answer in zip(asked, answers, strict=True):
            mass = float(answer.label_shares.sum())
            found.append(
                Answer(
                    place=request.place,
                    greedy_text=self._text(answer.tokens, answer.ended),
                    prompt_tokens=len(prompts[request.place]),
                    generated_tokens=len(answer.tokens),
                    finish="stop" if answer.ended else "length",
                    constrained_labels=answer.labels,
                    label_probabilities=tuple((answer.label_shares / mass).tolist()),
                    label_mass=mass,
                )
            )
        return found

    def _plant(self, prompts: Sequence[tuple[int, ...]]) -> tuple[Forest, Logits, list[int]]:
        """Compute prompts in one pass; return them as texts, the logits behind them, and which text is which prompt."""
        before = len(self._prefix.tokens)
        rests = [prompt[before:] for prompt in prompts]
        groups = _neighbours(rests)
        capacity = max(ROW_TOKENS, max(map(len, rests)))
        packed = bins([tree_size([rests[number] for number in group]) for group in groups], capacity)
        rows = [grow(rests, [number for index in filled for number in groups[index]]) for filled in packed]
        forest = Forest(self.model.network, self._prefix)
        logits = forest.plant(rows)
        self.computed_tokens += sum(len(row.tokens) for row in rows)
        return forest, logits, [number for row in rows for number in row.prompts]

    def _question(self, request: Request) -> ChoiceQuestion:
        options, several = len(request.order), request.item.task == "mcq"
        key = (options, several)
        if key not in self._automata:
            self._automata[key] = LabelAutomaton(self.vocabulary, options, several)
        return ChoiceQuestion(
            automaton=self._automata[key],
            labels=options,
            single=not several,
            new_tokens=request.new_tokens,
            look_on=lambda tokens: is_bare_label(self._text(tokens, False), options),
        )

    def _answer_open(
        self, requests: Sequence[Request], prompts: Mapping[int, tuple[int, ...]]
    ) -> Iterator[list[Answer]]:
        if not requests:
            return

        def plant(numbers: Sequence[int]) -> tuple[Padded, Logits]:
            forest, logits, order = self._plant([prompts[requests[number].place] for number in numbers])
            rows = forest.padded()
            back = sorted(range(len(order)), key=order.__getitem__)
            rows.select(back)
            return rows, logits[back]

        finished = answer_open(
            [len(prompts[request.place]) for request in requests],
            [request.new_tokens for request in requests],
            OPEN_COLUMNS * self.chunk_tokens,
            plant,
            self.model.end_tokens,
        )
        for answers in finished:
            yield [
                Answer(
                    place=requests[answer.number].place,
                    greedy_text=self._text(answer.tokens, answer.ended),
                    prompt_tokens=len(prompts[requests[answer.number].place]),
                    generated_tokens=len(answer.tokens),
                    finish="stop" if answer.ended else "length",
                )
                for answer in answers
            ]

    def _text(self, tokens: Sequence[int], ended: bool) -> str:
        """Return the greedy text as it is, without the end token."""
        kept = list(tokens[:-1] if ended else tokens)
        text: str = self.model.tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text


def _neighbours(prompts: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Group prompts that share a beginning of at least a quarter of the shorter one: they belong into one tree."""
    ordered = sorted(range(len(prompts)), key=lambda number: (prompts[number], number))
    groups: list[list[int]] = []
    for number in ordered:
        if groups:
            last = prompts[groups[-1][-1]]
            shared = len(last) + len(prompts[number]) - tree_size([last, prompts[number]])
            if 4 * shared >= min(len(last), len(prompts[number])):
                groups[-1].append(number)
                continue
        groups.append([number])
    return groups


def _out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out; on the CPU torch raises a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return "not enough memory" in text or "out of memory" in text
