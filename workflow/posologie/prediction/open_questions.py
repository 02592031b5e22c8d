"""Greedy answers to open questions, in rows that are filled again as answers finish."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from posologie.prediction.forward import Padded

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
        kept = [
            index
            for index, answer in enumerate(running)
            if not answer.ended and len(answer.tokens) < new_tokens[answer.number] and not stops(answer.tokens)
        ]
        finished = [answer for index, answer in enumerate(running) if index not in set(kept)]
        if finished:
            yield finished
        running = [running[index] for index in kept]
        if running:
            logits = texts.extend(kept, [best[index] for index in kept])


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
