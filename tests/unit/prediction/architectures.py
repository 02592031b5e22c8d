"""Tiny models of other architectures, and the logits that a text has by itself."""

import torch
import transformers


def alone(model, tokens):
    """Return the logits behind one text, computed by itself without any cache."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens])).logits[0, -1].float()


WINDOWED = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "sliding_window": 16,
    "bos_token_id": None,
    "eos_token_id": 2,
}


def windowed_model(vocabulary):
    torch.manual_seed(1)
    settings = transformers.MistralConfig(vocab_size=vocabulary, num_hidden_layers=2, **WINDOWED)
    return transformers.MistralForCausalLM(settings).eval()


def layers_of_both_kinds(vocabulary):
    """Layers that look back over a window and layers that look at everything, in turns, as Gemma."""
    torch.manual_seed(1)
    settings = transformers.Gemma2Config(
        vocab_size=vocabulary, num_hidden_layers=4, head_dim=8, pad_token_id=0, **WINDOWED
    )
    return transformers.Gemma2ForCausalLM(settings).eval()


def absolute_positions(vocabulary):
    torch.manual_seed(1)
    settings = transformers.GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=4)
    return transformers.GPT2LMHeadModel(settings).eval()


def biases_in_place_of_positions(vocabulary):
    """ALiBi, as Bloom: a position is read from the mask."""
    torch.manual_seed(1)
    settings = transformers.BloomConfig(vocab_size=vocabulary, hidden_size=32, n_layer=2, n_head=4)
    return transformers.BloomForCausalLM(settings).eval()
