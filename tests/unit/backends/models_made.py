"""Small models that the tests make, and a causal model answered the plain way."""

import json
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers
from endpoint_server import Answer, completion

from posologie.models.store import write_manifest


def make_marian(folder: Path, corpus: Path) -> Path:
    """Make an untrained Marian model, two layers wide enough to run, and return its manifest."""
    folder.mkdir(parents=True)
    texts = [record["instruction"] for record in json.loads(corpus.read_text(encoding="utf-8"))]
    text_file = folder.parent / "text.txt"
    text_file.write_text("\n".join(texts), encoding="utf-8")
    for side in ("source", "target"):
        sentencepiece.SentencePieceTrainer.train(
            input=str(text_file), model_prefix=str(folder / side), vocab_size=400, minloglevel=2
        )
        (folder / f"{side}.model").rename(folder / f"{side}.spm")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    vocabulary = {"</s>": 0, "<unk>": 1}
    for number in range(pieces.get_piece_size()):
        vocabulary.setdefault(pieces.id_to_piece(number), len(vocabulary))
    vocabulary["<pad>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer = transformers.MarianTokenizer(
        source_spm=str(folder / "source.spm"), target_spm=str(folder / "target.spm"), vocab=str(folder / "vocab.json")
    )
    tokenizer.save_pretrained(folder)
    pad = vocabulary["<pad>"]
    configuration = transformers.MarianConfig(
        vocab_size=len(vocabulary), d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=128,
        pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad, forced_eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.MarianMTModel(configuration)
    model.generation_config = transformers.GenerationConfig(
        decoder_start_token_id=pad, eos_token_id=0, pad_token_id=pad, bad_words_ids=[[pad]], forced_eos_token_id=0
    )
    model.save_pretrained(folder)
    return write_manifest(
        folder, {"name": "marian", "kind": "untrained"}, [p for p in folder.rglob("*") if p.is_file()]
    )


def make_walking(manifest: Path, folder: Path) -> Path:
    """Copy a causal model so that each token calls for the seventh after it, and return the copy's manifest.

    An untrained model repeats its last token, a line break; this one says something else at every step.
    """
    model = transformers.AutoModelForCausalLM.from_pretrained(manifest.parent, dtype=torch.float32)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.get_input_embeddings().weight.detach().roll(7, dims=0).clone())
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(manifest.parent).save_pretrained(folder)
    return write_manifest(
        folder, {"name": "walking", "kind": "untrained"}, [p for p in folder.iterdir() if p.is_file()]
    )


class GreedyModel:
    """A causal model answered the plain way: one chat, one token at a time, nothing cached."""

    def __init__(self, manifest: Path) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(manifest.parent)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(manifest.parent, dtype=torch.float32).eval()

    def spelling(self, label: str) -> list[int]:
        """Return every token of the vocabulary that is a label and white space."""
        return [token for token in range(len(self.tokenizer)) if self.tokenizer.decode([token]).strip() == label]

    def prompt(self, messages: list[dict[str, str]]) -> list[int]:
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    @torch.inference_mode()
    def answer(self, messages: list[dict[str, str]], most: int) -> tuple[list[int], list[torch.Tensor], bool]:
        """Return new tokens, the log-probabilities of each step, and whether an end token came."""
        tokens, steps = self.prompt(messages), []
        start = len(tokens)
        for _ in range(most):
            logs = torch.log_softmax(self.model(torch.tensor([tokens])).logits[0, -1].double(), dim=-1)
            steps.append(logs)
            best = int(logs.argmax())
            if best == self.tokenizer.eos_token_id:
                return tokens[start:], steps, True
            tokens.append(best)
        return tokens[start:], steps, False

    async def serve(self, body: dict[str, Any], before: int) -> Answer:
        """Answer a request as an OpenAI-compatible server does."""
        most = body.get("max_completion_tokens") or body["max_tokens"]
        tokens, steps, ended = self.answer(body["messages"], most)
        choice: dict[str, Any] = {"finish_reason": "stop" if ended else "length"}
        if body.get("logprobs"):
            content = []
            for token, logs in zip(tokens, steps, strict=False):
                top = torch.topk(logs, min(body["top_logprobs"], len(logs)))
                shown = [
                    self._shown(int(token), float(log)) for log, token in zip(top.values, top.indices, strict=True)
                ]
                content.append({**self._shown(token, float(logs[token])), "top_logprobs": shown})
            choice["logprobs"] = {"content": content}
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return Answer(completion(text, len(self.prompt(body["messages"])), len(tokens) + ended, **choice))

    def _shown(self, token: int, log: float) -> dict[str, Any]:
        return {"token": self.tokenizer.decode([token]), "logprob": log, "bytes": None}
