"""Items to train on."""

from posologie.records.items import Item
from posologie.training.checkpoints import Update

WORDS = ("le", "patient", "fièvre", "toux", "douleur", "thorax", "scanner", "dose")
WORDS += ("foie", "rein", "aigu", "chronique", "sang", "test", "signe", "enfant")


def an_item(number, task="mcqu", words=12, context="", **changes):
    """Return an item whose words depend on its number alone."""
    picked = [WORDS[(number * 7 + position * (3 + number % 5)) % len(WORDS)] for position in range(words)]
    values = {
        "id": f"{(number * 7919) % 999_983:020x}",
        "source": "demo",
        "provenance": "native",
        "split": "train",
        "task": task,
        "question": f"Question {number} : " + " ".join(picked) + " ?",
        "context": context,
        "options": tuple(f"{WORDS[(number + label) % 16]} {label}" for label in range(4)),
        "gold": (number % 4,) if task == "mcqu" else (0, 2),
        "answer": "",
        "group": f"{number:020x}",
        "meta": {},
    }
    return Item(**{**values, **changes})


def some_items(count, start=0):
    """Return items of different lengths, single and multiple choice."""
    return [an_item(start + n, "mcq" if n % 3 == 2 else "mcqu", words=4 + 5 * (n % 7)) for n in range(count)]


def a_pair(number, **changes):
    words = an_item(number).options
    answers = (" ".join(words[: 1 + number % 3]), words[3] + " " + words[0])
    return an_item(number, task="preference", options=answers, gold=(0,), **changes)


def pairs(count, start=0):
    return [a_pair(start + number) for number in range(count)]


def an_update(step, loss):
    return Update(
        step, 1, loss, learning_rate=1e-4, gradient_norm=1.0, examples=4, tokens=100, targets=96,
        validation_loss=None, validation_answer_loss=None, seconds=0.5,
    )  # fmt: skip
