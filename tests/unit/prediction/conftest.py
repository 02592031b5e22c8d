"""A tiny model that answers."""

import pytest
import torch
from prediction_made import make_tiny

from posologie.prediction.model import load


@pytest.fixture(scope="session")
def tiny_manifest(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_manifest):
    model = load(tiny_manifest, "float32")
    # Random weights this small repeat the last token for ever; larger ones answer with different texts.
    with torch.no_grad():
        for name, weight in model.network.model.layers.named_parameters():
            if "proj" in name:
                weight.mul_(12)
    return model
