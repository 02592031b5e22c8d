"""Small models that see as well as read, as published checkpoints such as MedGemma do."""

import shutil
from pathlib import Path

import safetensors.torch
import torch
import transformers

from posologie.models.load import load_tokenizer
from posologie.models.store import write_manifest


def make_seeing(text_model: Path, folder: Path, spread: float = 0.02) -> Path:
    """Make a tiny Gemma 3 with a vision tower and random weights, and return its manifest.

    Its tokenizer and chat template are those of a text model; the names of its tensors on disk are those that published
    checkpoints have.

    Args:
        text_model: folder of a model, whose tokenizer the other gets.
        spread: standard deviation of the weights; with 0.02, the published one, all prompts get about the same answer.
    """
    tokenizer = load_tokenizer(text_model)
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 16, "vocab_size": len(tokenizer)}
    text |= {"layer_types": ["sliding_attention", "full_attention"], "initializer_range": spread}
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 28, "patch_size": 14}
    torch.manual_seed(0)
    config = transformers.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, eos_token_id=tokenizer.eos_token_id
    )
    transformers.Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    published = {name.replace("vision_tower.", "vision_tower.vision_model."): value for name, value in weights.items()}
    safetensors.torch.save_file(published, folder / "model.safetensors", metadata={"format": "pt"})
    for path in (*text_model.glob("tokenizer*"), *text_model.glob("chat_template*")):
        shutil.copy(path, folder)
    return write_manifest(folder, {"name": "tiny", "kind": "untrained", "revision": "none"}, folder.iterdir())
