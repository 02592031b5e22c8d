"""A small model with random weights: two layers of Qwen3 and a byte-level tokenizer trained on a corpus."""

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from posologie.models.origins import install
from posologie.models.spec import Backbone, Untrained
from posologie.records.files import read_json, read_text
from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.sources.world_recipe import read_recipe

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PADDING, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"


def main(argv: list[str]) -> None:
    """Make an untrained model."""
    install("posologie.models.untrained", __doc__ or "", _make, argv)


def _make(backbone: Backbone, target: Path, _: Path) -> dict[str, Any]:
    if backbone.untrained is None:
        raise InputError("untrained: missing, and required")
    make_untrained(backbone.untrained, target)
    return {"kind": "untrained"}


def make_untrained(spec: Untrained, target: Path) -> None:
    """Write the model, its tokenizer and its chat template to `target`: the same bytes for the same spec and corpus."""
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=_trained_tokenizer(spec),
        eos_token=END,
        pad_token=PADDING,
        chat_template=CHAT_TEMPLATE,
        model_max_length=4096,
    )
    tokenizer.save_pretrained(target)
    configuration = transformers.Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=spec.hidden,
        intermediate_size=2 * spec.hidden,
        num_hidden_layers=spec.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=spec.hidden // 4,
        max_position_embeddings=4096,
        initializer_range=spec.spread,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(spec.seed)
    model = transformers.Qwen3ForCausalLM(configuration)
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(target)


def _trained_tokenizer(spec: Untrained) -> Tokenizer:
    texts = []
    for name in spec.corpus:
        path = Path(name)
        if not path.is_file():
            raise InputError(
                f"corpus = '{name}': no such file; expected JSON records with 'instruction', a recipe or text"
            )
        if path.suffix == ".yaml":
            texts += read_recipe(path).texts()
        elif path.suffix in (".md", ".txt"):
            texts += read_text(path).splitlines()
        else:
            texts += [str(record["instruction"]) for record in read_json(path)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=spec.vocabulary,
        special_tokens=[PADDING, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


if __name__ == "__main__":
    run(main)
