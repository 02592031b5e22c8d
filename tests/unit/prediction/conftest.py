"""A tiny model that answers."""

import json

import pytest
import torch
from prediction_made import make_item

from posologie.models.spec import ModelSpec
from posologie.models.untrained import main as make_untrained
from posologie.prediction.model import load


@pytest.fixture(scope="session")
def tiny_manifest(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    corpus = folder / "corpus.json"
    texts = [f"{item.question}\nChoix de réponses :\n(A) {item.options[0]}" for item in map(make_item, range(40))]
    corpus.write_text(json.dumps([{"instruction": text} for text in texts]), encoding="utf-8")
    untrained = {"corpus": [str(corpus)], "vocabulary": 400, "layers": 2, "hidden": 32}
    spec = ModelSpec.model_validate({"name": "tiny", "backbone": {"untrained": untrained}})
    manifest = folder / "tiny@none" / "manifest.json"
    make_untrained(["--spec", spec.canonical_json(), "--manifest", str(manifest)])
    return manifest


@pytest.fixture(scope="session")
def tiny(tiny_manifest):
    model = load(tiny_manifest, "float32")
    # Random weights this small repeat the last token for ever; larger ones answer with different texts.
    with torch.no_grad():
        for name, weight in model.network.model.layers.named_parameters():
            if "proj" in name:
                weight.mul_(12)
    return model
