"""How a local model answers: choices under a mask, open questions greedily, thoughts before the answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch

from posologie.language.marks import has_mark, part
from posologie.prediction.automaton import END, GO_ON, Automaton, State, best_move
from posologie.prediction.forward import Padded, Tokens
from posologie.prediction.requests import Answer


class Texts(Protocol):
    """Texts that grow token by token from computed prompts: a forest, or left-padded rows."""

    def extend(self, parents: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        """Grow new texts, each from an old text by one token, and return the logits behind them."""
        ...


@dataclass(frozen=True)
class ChoiceQuestion:
    """How one choice question is to be answered.

    Attributes:
        labels: number of options.
        single: whether one label is the answer: it is then the likeliest, and nothing need be decoded for it.
        new_tokens: of the greedy text, at most.
        look_on: says of greedy tokens that have run out whether one more should be looked at, as that can change their
            meaning.
    """

    automaton: Automaton
    labels: int
    single: bool
    new_tokens: int
    look_on: Callable[[Sequence[int]], bool]


@dataclass
class ChoiceAnswer:
    """What the model answered to one choice question.

    Attributes:
        tokens: of the greedy text, with the end token if it ended.
        labels: under constraint, displayed positions, ascending.
        label_shares: probability of each label at the first step under the full vocabulary.
    """

    label_shares: np.ndarray
    tokens: list[int] = field(default_factory=list)
    ended: bool = False
    labels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Branch:
    """A text under way.

    Attributes:
        greedy: whether it is the greedy text.
        state: where it stands as the constrained text, or None. A text can be both as long as they agree.
        blank: its probability and where it stands, if it is the blank of a label that is spelt as blank and letter.
    """

    question: int
    greedy: bool
    state: State | None
    blank: tuple[float, State] | None = None


def answer_choices(
    questions: Sequence[ChoiceQuestion], logits: torch.Tensor, texts: Texts, end_tokens: Sequence[int]
) -> list[ChoiceAnswer]:
    """Answer choice questions whose prompts have just been computed.

    Greedy and constrained decoding go on as one text while they choose the same token, and part where they do not.

    Args:
        questions: one for each text, in the order of `logits`.
        logits: behind each prompt, float32, shape (questions, vocabulary).
        texts: the prompts, which grow here.
        end_tokens: ids of the tokens that end an answer.
    """
    answers = [ChoiceAnswer(np.zeros(question.labels)) for question in questions]
    branches = [_Branch(index, True, question.automaton.start) for index, question in enumerate(questions)]
    first = True
    while branches:
        best, normalisers = logits.argmax(dim=-1).tolist(), torch.logsumexp(logits, dim=-1).tolist()
        scores = _scores(questions, branches, logits)
        grown: list[tuple[int, int, _Branch]] = []
        for text, branch in enumerate(branches):
            question, answer = questions[branch.question], answers[branch.question]
            if first:
                blanks = _add_shares(question, answer, 1.0, question.automaton.start, scores[text], normalisers[text])
                grown += [(text, token, _Branch(branch.question, False, None, blank)) for token, blank in blanks]
            elif branch.blank is not None:
                _add_shares(question, answer, *branch.blank, scores[text], normalisers[text])
            greedy = branch.greedy and _greedy_goes_on(question, answer, best[text], end_tokens)
            move = None
            if branch.state is not None and not (first and question.single):
                move = best_move(question.automaton.moves(branch.state), scores[text])
                answer.labels = move.state.labels
                if move.symbol == END or question.automaton.complete(move.state):
                    move = None
            token = None if move is None else question.automaton.tokens[move.slot]
            if greedy:
                agrees = move is not None and token == best[text]
                grown.append(
                    (text, best[text], _Branch(branch.question, True, move.state if agrees and move else None))
                )
                if agrees:
                    continue
            if move is not None and token is not None:
                grown.append((text, token, _Branch(branch.question, False, move.state)))
        branches = [branch for _, _, branch in grown]
        first = False
        if branches:
            logits = texts.extend([text for text, _, _ in grown], [token for _, token, _ in grown])
    for question, answer in zip(questions, answers, strict=True):
        if question.single:
            answer.labels = (int(answer.label_shares.argmax()),)
    return answers


def _scores(questions: Sequence[ChoiceQuestion], branches: Sequence[_Branch], logits: torch.Tensor) -> list[np.ndarray]:
    """Return the logits of each branch's own automaton tokens, read from the device once for each set of tokens."""
    read: dict[tuple[int, ...], np.ndarray] = {}
    scores = []
    for text, branch in enumerate(branches):
        tokens = questions[branch.question].automaton.tokens
        if tokens not in read:
            read[tokens] = logits[:, torch.tensor(tokens, device=logits.device)].cpu().numpy()
        scores.append(read[tokens][text])
    return scores


def _add_shares(
    question: ChoiceQuestion,
    answer: ChoiceAnswer,
    weight: float,
    state: State,
    scores: np.ndarray,
    normaliser: float,
) -> list[tuple[int, tuple[float, State]]]:
    """Add what a text of some probability gives to each label's; return the blanks that may follow, as tokens."""
    blanks = []
    for move in question.automaton.moves(state):
        share = weight * float(np.exp(scores[move.slot] - normaliser))
        if move.symbol >= 0:
            answer.label_shares[move.symbol] += share
        elif move.symbol == GO_ON:
            blanks.append((question.automaton.tokens[move.slot], (share, move.state)))
    return blanks


def _greedy_goes_on(question: ChoiceQuestion, answer: ChoiceAnswer, token: int, end_tokens: Sequence[int]) -> bool:
    answer.tokens.append(token)
    answer.ended = token in end_tokens
    if answer.ended or len(answer.tokens) > question.new_tokens:
        return False
    return len(answer.tokens) < question.new_tokens or question.look_on(answer.tokens)


Plant = Callable[[Sequence[int]], tuple[Padded, torch.Tensor]]
"""Computes the prompts with the given numbers; returns their rows and the logits behind them."""


@dataclass
class OpenAnswer:
    """The greedy answer to one open question: tokens (with the end token if it ended)."""

    number: int
    tokens: list[int] = field(default_factory=list)
    ended: bool = False


def answer_open(
    lengths: Sequence[int],
    new_tokens: Sequence[int],
    columns: int,
    plant: Plant,
    end_tokens: Sequence[int],
    stops: Callable[[Sequence[int]], bool] = lambda _: False,
) -> Iterator[list[OpenAnswer]]:
    """Answer open questions in the order given, and yield answers as they finish.

    A row is filled again when at least a quarter of the room is free, so that prompts are computed several at a time.

    Args:
        lengths: tokens of each prompt.
        new_tokens: tokens of each answer, at most.
        columns: key and value states that the rows may hold together; one question is always answered.
        stops: says of the tokens of an answer that no more are wanted.
    """
    waiting = list(range(len(lengths)))[::-1]
    texts: Padded | None = None
    running: list[OpenAnswer] = []
    logits = torch.empty(0)
    while waiting or running:
        width = max((lengths[answer.number] + new_tokens[answer.number] for answer in running), default=0)
        fresh = _next_to_fill(waiting, lengths, new_tokens, columns, len(running), width)
        if fresh:
            rows, behind = plant(fresh)
            del waiting[-len(fresh) :]
            if texts is None or not running:
                texts, logits = rows, behind
            else:
                texts.join(rows)
                logits = torch.cat([logits, behind])
            running += [OpenAnswer(number) for number in fresh]
        assert texts is not None  # noqa: S101 - filled by the first turn
        best = logits.argmax(dim=-1).tolist()
        for answer, token in zip(running, best, strict=True):
            answer.tokens.append(token)
            answer.ended = token in end_tokens
        unfinished = [
            index
            for index, answer in enumerate(running)
            if not answer.ended and len(answer.tokens) < new_tokens[answer.number] and not stops(answer.tokens)
        ]
        finished = [answer for index, answer in enumerate(running) if index not in set(unfinished)]
        if finished:
            yield finished
        running = [running[index] for index in unfinished]
        if running:
            logits = texts.extend(unfinished, [best[index] for index in unfinished])


def _next_to_fill(
    waiting: Sequence[int], lengths: Sequence[int], new_tokens: Sequence[int], columns: int, running: int, width: int
) -> list[int]:
    """Return the questions to begin now, the last of `waiting` first."""
    chosen: list[int] = []
    for number in reversed(waiting):
        wider = max(width, lengths[number] + new_tokens[number])
        if (running + len(chosen) + 1) * wider > columns and running + len(chosen) > 0:
            break
        width = wider
        chosen.append(number)
    room = columns // max(width, 1)
    enough = not running or len(chosen) == len(waiting) or 4 * len(chosen) >= room
    return chosen if enough else []


_TAIL = 24
"""Tokens that are decoded to see whether a thought has been closed."""

Text = Callable[[Sequence[int]], str]
"""Returns the text of tokens, special ones included."""


@dataclass(frozen=True)
class Thought:
    """What was thought before an answer.

    Attributes:
        prompt: what the answer follows: the prompt and the thought.
        text: of the thought.
        tokens: of the thought, its marks included.
        closed: whether the answer may follow; a thought that ran out of tokens has none.
    """

    prompt: Tokens
    text: str
    tokens: int
    closed: bool

    def before(self, answer: Answer) -> Answer:
        """Return the answer with this thought, whose tokens are no longer counted as the prompt's."""
        prompt_tokens = answer.prompt_tokens - (self.tokens if self.closed else 0)
        return replace(answer, thoughts=self.text, thought_tokens=self.tokens, prompt_tokens=prompt_tokens)

    def unanswered(self, place: int) -> Answer:
        """Return the answer that is none, because the thought never ended."""
        return self.before(Answer(place, "", len(self.prompt), 0, "length"))


def thought_stop(text: Text, opened: bool) -> Callable[[Sequence[int]], bool]:
    """Return what says of tokens that the answer has begun.

    Args:
        opened: whether the prompt opened the thought, so that a closing mark is due.
    """

    def stop(tokens: Sequence[int]) -> bool:
        tail = text(tokens[-_TAIL:])
        if part(tail, opened=True).answer.strip():
            return True
        # A model that begins with anything but a mark does not think.
        begins = text(tokens[:_TAIL])
        return not opened and len(tokens) == _TAIL and not has_mark(begins)

    return stop


def thought_in(prompt: Tokens, tokens: Sequence[int], text: Text, *, opened: bool, ended: bool) -> Thought:
    """Return the thought in what was written behind a prompt."""
    written = text(tokens)
    if not opened and not has_mark(written):
        if ended or len(tokens) >= _TAIL:  # an answer without a thought: asked for again, from the prompt
            return Thought(prompt, "", 0, closed=True)
        return Thought(prompt, written, len(tokens), closed=False)
    parted = part(written, opened=opened)
    if ended or not parted.answer:
        return Thought(prompt, parted.thoughts, len(tokens), closed=False)
    length = next(count for count in range(len(tokens), -1, -1) if not part(text(tokens[:count]), opened=opened).answer)
    return Thought((*prompt, *tokens[:length]), parted.thoughts, length, closed=True)
