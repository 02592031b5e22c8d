"""Items to ask a model, and a tiny model with random weights."""

import json
from pathlib import Path

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


def make_tiny(folder: Path) -> Path:
    """Make a tiny model below a folder and return its manifest."""
    import torch

    from posologie.models.spec import ModelSpec
    from posologie.models.untrained import main as make_untrained

    torch.set_num_threads(1)
    corpus = folder / "corpus.json"
    texts = [f"{item.question}\nChoix de réponses :\n(A) {item.options[0]}" for item in map(make_item, range(40))]
    corpus.write_text(json.dumps([{"instruction": text} for text in texts]), encoding="utf-8")
    untrained = {"corpus": [str(corpus)], "vocabulary": 400, "layers": 2, "hidden": 32}
    spec = ModelSpec.model_validate({"name": "tiny", "backbone": {"untrained": untrained}})
    manifest = folder / "tiny@none" / "manifest.json"
    make_untrained(["--spec", spec.canonical_json(), "--manifest", str(manifest)])
    return manifest
