"""A judge that also sees, such as MedGemma, judges, rates and writes by its text layers alone."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import transformers
from judging_made import PROMPT, items, predictions, shard
from models_made import GreedyModel
from seeing_models import make_seeing

from posologie.backends.prompts import read_prompt
from posologie.generation import translation
from posologie.judging import command
from posologie.judging.answers import open_answers
from posologie.judging.command import judge_request
from posologie.judging.spec import Judge
from posologie.models.untrained import main as make_untrained
from posologie.records.files import read_json
from posologie.screening import rating

CORPUS = Path(__file__).parents[3] / "resources" / "demo" / "native" / "Train" / "mcqu" / "mcqu_train.json"
RATING = PROMPT.parents[1] / "quality" / "item.md"
TRANSLATION = PROMPT.parents[1] / "translation" / "item.md"
BACKEND = {"kind": "causal", "backbone": "tiny", "precision": "float32", "threads": 1}


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    """The manifest of a tiny Gemma 3 with a vision tower, whose tokenizer knows French exam questions."""
    folder = tmp_path_factory.mktemp("seeing")
    spec = {"name": "tiny", "backbone": {"untrained": {"corpus": [str(CORPUS)], "hidden": 32, "vocabulary": 400}}}
    manifest = folder / "text" / "manifest.json"
    make_untrained(["--spec", json.dumps(spec), "--manifest", str(manifest)])
    return make_seeing(manifest.parent, folder / "gemma", spread=0.2)


@pytest.fixture(scope="module")
def plain(seeing):
    """The same model as transformers has it, asked one chat and one token at a time."""
    model = GreedyModel(seeing)
    model.model = transformers.Gemma3ForConditionalGeneration.from_pretrained(seeing.parent, dtype=torch.float32).eval()
    assert any("vision_tower" in name for name, _ in model.model.named_parameters())
    return model


def expected(plain, turns, most, labels):
    """Return the text that the model writes, and the probabilities of the labels at its first token."""
    tokens, steps, _ = plain.answer([{"role": role, "content": content} for role, content in turns], most)
    masses = [sum(float(steps[0][token].exp()) for token in plain.spelling(label)) for label in labels]
    return plain.tokenizer.decode(tokens, skip_special_tokens=True), [mass / sum(masses) for mass in masses]


def test_its_verdicts_are_those_of_the_model_without_a_picture(seeing, plain, tmp_path):
    judge = {"backend": BACKEND, "decoding": {"max_new_tokens": 4}, "verdict": "([01])"}
    spec = {"name": "j", "model": "q/base", "suite": "s", "judge": judge}
    made = items(5)
    answered = predictions(tmp_path, "one", made, {"q0": "juste", "q1": "faux"})
    shards = {"open": shard(tmp_path, made)}
    outputs = tmp_path / "j.parquet", tmp_path / "j.json"
    words = ["--backend", "causal", "--spec", json.dumps(spec), "--prompt", str(PROMPT), "--backbone", str(seeing)]
    words += ["--work", str(tmp_path / "work"), "--predictions", str(answered), "--items", f"open={shards['open']}"]
    command.main([*words, "--judgements", str(outputs[0]), "--run", str(outputs[1])])

    rows = {row["item"]: row for row in pq.read_table(outputs[0]).to_pylist()}
    prompt = read_prompt(PROMPT)
    for answer in open_answers(answered, shards):
        turns = judge_request(answer, Judge.model_validate(judge), prompt).turns
        text, shares = expected(plain, turns, 4, ("0", "1"))
        row = rows[answer["item"]]
        assert row["text"] == text
        assert row["probability"] == pytest.approx(shares[1], abs=1e-5)
    assert len({row["probability"] for row in rows.values()}) == len(rows) == 5
    assert read_json(outputs[1])["without_probability"] == 0


def test_its_ratings_are_those_of_the_model_without_a_picture(seeing, plain, tmp_path):
    spec = {"judge": "j", "source": "open", "tasks": ["mcqu"], "backend": BACKEND}
    spec["rating"] = {"decoding": {"max_new_tokens": 4}}
    choice = items(0)[0]
    rated = [replace(choice, id=f"c{number}", question=f"Choix {number} ?") for number in range(2)]
    path = shard(tmp_path, rated)
    words = ["--backend", "causal", "--spec", json.dumps(spec), "--prompt", str(RATING), "--backbone", str(seeing)]
    words += ["--items", str(path), "--work", str(tmp_path / "work")]
    rating.main([*words, "--ratings", str(tmp_path / "quality.parquet"), "--run", str(tmp_path / "run.json")])
    rows = pq.read_table(tmp_path / "quality.parquet").to_pylist()
    prompt = read_prompt(RATING)
    asked = [prompt.turns(rating.places(item)) for item in rated]
    assert [row["text"] for row in rows] == [expected(plain, turns, 4, ("0", "1"))[0] for turns in asked]


def test_what_it_is_asked_to_translate_is_accounted_for(seeing, tmp_path):
    """An untrained model writes no translation: each item is asked for, asked for again, and rejected."""
    translator = {"backend": BACKEND, "decoding": {"max_new_tokens": 8}}
    spec = {"name": "t", "source": "open", "split": "test", "translator": translator}
    path = shard(tmp_path, items(2))
    words = ["--backend", "causal", "--spec", json.dumps(spec), "--prompt", str(TRANSLATION), "--source", str(path)]
    words += ["--backbone", str(seeing), "--work", str(tmp_path / "work"), "--items", str(tmp_path / "fr.parquet")]
    words += ["--rejects", str(tmp_path / "rejects.parquet"), "--report", str(tmp_path / "report.json")]
    translation.main(words)
    report = read_json(tmp_path / "report.json")
    assert (report["items"], report["accepted"]) == (3, 0)
    reasons = pq.read_table(tmp_path / "rejects.parquet")["reason"].to_pylist()
    assert len(reasons) == 3
    assert set(reasons) <= {"malformed reply", "reply cut at the token limit"}
