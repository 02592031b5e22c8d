"""Items to ask a model."""

from posologie.records.items import Item

WORDS = ("le", "patient", "fièvre", "toux", "douleur", "thorax", "scanner", "dose")
WORDS += ("foie", "rein", "aigu", "chronique", "sang", "test", "signe", "enfant")


def make_item(number, task="mcqu", options=4, words=12, **changes):
    """Return an item whose words depend on its number alone."""
    picked = [WORDS[(number * 7 + position * (3 + number % 5)) % len(WORDS)] for position in range(words)]
    values = {
        "id": f"{number:020x}",
        "source": "demo",
        "provenance": "native",
        "split": "test",
        "task": task,
        "question": f"Question {number} : " + " ".join(picked) + " ?",
        "context": "",
        "options": ()
        if task == "oeq"
        else tuple(f"{WORDS[(number + label) % 16]} {label}" for label in range(options)),
        "gold": {"oeq": (), "mcqu": (number % options,), "mcq": (0, options - 1)}[task],
        "answer": "repos" if task == "oeq" else "",
        "group": f"{number:020x}",
        "meta": {},
    }
    return Item(**{**values, **changes})
