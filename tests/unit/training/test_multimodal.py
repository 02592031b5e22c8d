"""Text-only use of a backbone that also sees: Gemma 3 with its vision tower, as MedGemma is."""

import json

import peft
import pytest
import safetensors.torch
import torch
from adapted_models import merged
from seeing_models import make_seeing

from posologie.models.load import load_model
from posologie.models.store import checked_folder
from posologie.prediction.forward import Padded
from posologie.prediction.model import merged as merged_for_prediction
from posologie.running.errors import InputError

TOKENS = torch.arange(5, 40)[None]


@pytest.fixture(scope="module")
def seeing(backbone, tmp_path_factory):
    """The manifest of a tiny Gemma 3 with a vision tower."""
    return make_seeing(backbone.parent, tmp_path_factory.mktemp("seeing") / "gemma@none")


def logits(network):
    return network(input_ids=TOKENS).logits.detach()


@pytest.mark.parametrize("method", ["dora", "full"])
def test_it_is_trained_merged_and_predicts_with_its_text_layers_alone(job, seeing, tmp_path, method):
    done = job(recipe={"method": method, "learning_rate": 1e-2}, backbone=seeing).run(micro_batch=4)
    trained = safetensors.torch.load_file(done.options.weights)
    base = load_model(seeing.parent, precision="float32", device="cpu")
    plain = logits(base)
    if method == "dora":
        assert len(trained) == 2 * 7 * 3
        assert all(".language_model." in name for name in trained)
        stock = peft.PeftModel.from_pretrained(base, done.folder).eval()
        expected = logits(stock)
        base = load_model(seeing.parent, precision="float32", device="cpu")
    else:
        vision = dict(base.named_parameters())
        seen = [name for name in trained if "vision" in name]
        assert seen
        assert all(torch.equal(trained[name], vision[name]) for name in seen)
        expected = None
    for_prediction = merged_for_prediction(base, done.options.weights, done.options.config)
    merged_logits = logits(for_prediction)
    assert float((merged_logits - plain).abs().max()) > 0.01
    if expected is not None:
        torch.testing.assert_close(merged_logits, expected, rtol=1e-4, atol=1e-4)
    _, last = Padded.plant(for_prediction, [TOKENS[0].tolist()])
    torch.testing.assert_close(last[0], merged_logits[0, -1], rtol=1e-4, atol=1e-4)

    folder = checked_folder(merged(done, seeing, tmp_path))
    torch.testing.assert_close(
        logits(load_model(folder, precision="float32", device="cpu")), merged_logits, rtol=1e-4, atol=1e-4
    )
    names = [set(safetensors.torch.load_file(place / "model.safetensors")) for place in (seeing.parent, folder)]
    assert names[0] == names[1]
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"] == "gemma3"


def test_a_trained_tensor_without_a_gradient_stops_at_the_first_update(job, monkeypatch):
    from posologie.training import loop

    backward = loop.backward

    def without(student, *arguments):
        loss = backward(student, *arguments)
        next(parameter for name, parameter in student.weights.items() if "layers.1" in name).grad = None
        return loss

    monkeypatch.setattr(loop, "backward", without)
    with pytest.raises(InputError, match=r"1 of 42 trained tensors get no gradient, such as '.*layers\.1"):
        job().run()
