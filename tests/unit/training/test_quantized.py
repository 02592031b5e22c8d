"""Backbones in 4 and 8 bits: QLoRA and QDoRA."""

import importlib.machinery
import shutil
import sys
from types import ModuleType

import peft
import pytest
import torch
import transformers
from adapted_models import adapted
from training_made import some_items

from posologie.models.load import load_tokenizer
from posologie.models.store import write_manifest
from posologie.records.prompting import Prompting
from posologie.running.errors import InputError
from posologie.training.batches import updates_of_epoch
from posologie.training.examples import tokenise
from posologie.training.student import _quantization

FOUR = {"quantization": "4bit", "dropout": 0.0, "learning_rate": 1e-2, "warmup_ratio": 0.0, "epochs": 2}


@pytest.fixture
def wide(backbone, tmp_path):
    """A backbone whose layers fill the blocks of 64 weights that bitsandbytes scales together."""
    folder = tmp_path / "wide@none"
    folder.mkdir()
    made = transformers.AutoConfig.from_pretrained(backbone.parent)
    made.hidden_size = made.intermediate_size = 64
    made.num_attention_heads, made.num_key_value_heads, made.head_dim = 2, 1, 32
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(made).save_pretrained(folder)
    for pattern in ("tokenizer*", "chat_template*"):
        for path in backbone.parent.glob(pattern):
            shutil.copy(path, folder)
    return write_manifest(folder, {"name": "tiny", "kind": "untrained", "revision": "none"}, folder.iterdir())


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_a_backbone_in_4_bits_trains_with_the_losses_of_stock_peft(job, wide, method):
    pytest.importorskip("bitsandbytes", reason="by hand: pip install bitsandbytes, whose wheel works on a CPU")
    items, backbone = some_items(8), wide
    done = job(recipe={**FOUR, "method": method}, items=items, backbone=backbone).run()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        backbone.parent, quantization_config=_quantization("4bit", torch.float32, torch.device("cpu"))
    )
    stock = adapted(model, done.spec.recipe).train()  # on a CPU, bitsandbytes rounds more in evaluation
    examples = tokenise(items, load_tokenizer(backbone.parent), Prompting(), 2048)
    [first, _] = updates_of_epoch(
        examples.ids, examples.lengths, effective_batch=4, seed=42, epoch=0, group_by_length=True
    )
    losses = []
    for index in first:
        tokens = torch.from_numpy(examples.tokens[examples.starts[index] : examples.starts[index + 1]].astype("int64"))
        losses.append((float(stock(input_ids=tokens[None], labels=tokens[None]).loss.detach()), len(tokens) - 1))
    expected = sum(loss * count for loss, count in losses) / sum(count for _, count in losses)
    assert done.history()[0]["loss"] == pytest.approx(expected, rel=1e-4)
    assert done.history()[-1]["loss"] < done.history()[0]["loss"]
    plain = transformers.AutoModelForCausalLM.from_pretrained(backbone.parent)
    assert peft.PeftModel.from_pretrained(plain, done.folder).peft_config["default"].r == 4  # a standard adapter


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_gradients_and_losses_are_those_of_the_same_backbone_unpacked(job, wide, tmp_path, method):
    bitsandbytes = pytest.importorskip("bitsandbytes", reason="by hand: pip install bitsandbytes")
    packed = transformers.AutoModelForCausalLM.from_pretrained(
        wide.parent, quantization_config=_quantization("4bit", torch.float32, torch.device("cpu"))
    )
    unpacked = transformers.AutoModelForCausalLM.from_pretrained(wide.parent)
    with torch.no_grad():
        for name, module in packed.named_modules():
            if isinstance(module, bitsandbytes.nn.Linear4bit):
                weight = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
                unpacked.get_submodule(name).weight.copy_(weight)
    folder = tmp_path / "unpacked@none"
    shutil.copytree(wide.parent, folder)
    unpacked.save_pretrained(folder)
    (folder / "manifest.json").unlink()
    backbone = write_manifest(folder, {"name": "tiny", "kind": "untrained", "revision": "none"}, folder.iterdir())
    recipe = {**FOUR, "method": method}  # a second epoch, since a validation pass lies between
    in_4_bits = job("packed", recipe, backbone=wide).run()
    plain = job("plain", {**recipe, "quantization": "none"}, backbone=backbone).run()
    for plain_row, packed_row in zip(plain.history(), in_4_bits.history(), strict=True):
        for key in ("loss", "gradient_norm", "validation_loss"):
            assert packed_row[key] == (
                plain_row[key] if plain_row[key] is None else pytest.approx(plain_row[key], rel=1e-3)
            )


def test_8_bits_are_refused_without_a_gpu(job, monkeypatch):
    fake = ModuleType("bitsandbytes")
    fake.__spec__ = importlib.machinery.ModuleSpec("bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes", fake)
    with pytest.raises(InputError, match=r"quantization = '8bit': bitsandbytes trains such layers on a GPU;"):
        job(recipe={"quantization": "8bit"}).run()
