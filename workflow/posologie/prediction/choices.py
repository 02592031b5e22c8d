"""Answers to questions with options: greedy text, constrained labels and label probabilities from one prefill."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from posologie.prediction.automaton import END, GO_ON, Automaton, State, best_move


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
    found = []
    for text, branch in enumerate(branches):
        tokens = questions[branch.question].automaton.tokens
        if tokens not in read:
            read[tokens] = logits[:, torch.tensor(tokens, device=logits.device)].cpu().numpy()
        found.append(read[tokens][text])
    return found


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
