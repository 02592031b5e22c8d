"""Make a checkpoint of COMET's own form: a tiny XLM-R with random weights. Runs in COMET's environment.

python comet_made.py FOLDER TEXT makes FOLDER/checkpoints/model.ckpt, FOLDER/hparams.yaml and the encoder beside them;
python comet_made.py FOLDER SENTENCES.parquet --score prints COMET's own score of each segment, asked one at a time.
"""

import json
import sys
from pathlib import Path

import comet
import pyarrow.parquet as pq
import pytorch_lightning
import torch
import yaml
from comet.models import RegressionMetric
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import XLMRobertaConfig, XLMRobertaTokenizerFast


def make(folder: Path, text: str) -> None:
    """Train a vocabulary on a text file and write the checkpoint."""
    encoder = folder / "encoder"
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = Tokenizer(models.Unigram())
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces.train([text], trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>"))
    pieces.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer = XLMRobertaTokenizerFast(tokenizer_object=pieces)
    tokenizer.save_pretrained(encoder)
    XLMRobertaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=514, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    ).save_pretrained(encoder)  # fmt: skip
    torch.manual_seed(7)
    settings = {"encoder_model": "XLM-RoBERTa", "pretrained_model": str(encoder), "hidden_sizes": [48, 16]}
    model = RegressionMetric(**settings, load_pretrained_weights=False)
    trainer = pytorch_lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=0)
    trainer.strategy.connect(model)
    (folder / "checkpoints").mkdir()
    trainer.save_checkpoint(folder / "checkpoints/model.ckpt")
    described = {**settings, "class_identifier": "regression_metric"}
    (folder / "hparams.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")


def scores(folder: Path, sentences: str) -> list[float]:
    """Return COMET's score of each segment, without its batches and its trainer."""
    model = comet.load_from_checkpoint(str(folder / "checkpoints/model.ckpt")).eval()
    batches = []
    for row in pq.read_table(sentences).to_pylist():
        segment = {"src": row["source"], "mt": row["translation"], "ref": row["reference"]}
        inputs = model.prepare_for_inference([segment])
        with torch.no_grad():
            batches.append(float(model(**inputs).score))
    return batches


if __name__ == "__main__":
    if "--score" in sys.argv:
        print(json.dumps(scores(Path(sys.argv[1]), sys.argv[2])))
    else:
        make(Path(sys.argv[1]), sys.argv[2])
