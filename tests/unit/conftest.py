from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[2] / "resources" / "demo" / "native" / "Train" / "mcqu" / "mcqu_train.json"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Return the manifest of an untrained causal model."""
    import torch

    from posologie.models.untrained import main

    torch.set_num_threads(1)
    manifest = tmp_path_factory.mktemp("models") / "tiny@untrained" / "manifest.json"
    untrained = f'{{"corpus": ["{CORPUS}"], "hidden": 32, "vocabulary": 600}}'
    main(["--spec", f'{{"name": "tiny", "backbone": {{"untrained": {untrained}}}}}', "--manifest", str(manifest)])
    return manifest


@pytest.fixture(scope="session")
def tiny_translator(tmp_path_factory):
    """Return the manifest of an untrained Marian model with real SentencePiece tokenizers."""
    from models_made import make_marian

    return make_marian(tmp_path_factory.mktemp("models") / "marian@untrained", CORPUS)
