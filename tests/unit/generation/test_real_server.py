"""Everything between a document and its items through `transformers serve`, an OpenAI-compatible server not of ours.

The model is made by the tests and untrained: what it writes is no question. Shown is that requests, replies, limits and
token counts are understood on both sides, and that every request is accounted for.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backends_made import ask, question
from models_made import make_walking

from posologie.backends.causal import CausalBackend
from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.spec import Causal, OpenaiEndpoint, Running
from posologie.records.files import read_json, write_parquet
from posologie.records.tables import document_schema

pytest.importorskip("fastapi", reason="transformers serve needs fastapi")
pytest.importorskip("uvicorn", reason="transformers serve needs uvicorn")
from real_server import served_model

PROMPTS = Path(__file__).parents[3] / "resources" / "prompts" / "fr" / "synthesis"
TEXTS = ["Quel est le traitement de l'asthme ?", "Une femme de 32 ans a de la fièvre.", "Non", "Le cœur " * 9]


@pytest.fixture(scope="module")
def walking(tiny_model, tmp_path_factory):
    return make_walking(tiny_model, tmp_path_factory.mktemp("served") / "walking")


@pytest.fixture(scope="module")
def served(walking):
    with served_model(walking.parent) as served:
        yield served


def described(served):
    """Return the backend as a study describes it: this server takes neither a schema nor asks for probabilities."""
    return {
        "kind": "openai_endpoint",
        "url": served.url,
        "model": served.model,
        "key_variable": None,
        "structured": "none",
        "label_probabilities": False,
    }


def test_greedy_replies_are_those_of_the_same_model_without_a_server(served, walking, tmp_path):
    requests = [question(text, max_new_tokens=most) for text in TEXTS for most in (1, 12)]
    endpoint = OpenaiEndpointBackend(OpenaiEndpoint(**described(served)), Running(concurrency=4))
    remote = ask(endpoint, tmp_path / "remote", requests)
    local = CausalBackend(Causal(backbone="tiny", precision="float32", threads=1), Running(), walking)
    here = ask(local, tmp_path / "here", requests)
    assert [reply.text for reply in remote] == [reply.text.strip() for reply in here], "this server strips replies"
    assert len({reply.text for reply in remote}) > 1
    assert [reply.prompt_tokens for reply in remote] == [reply.prompt_tokens for reply in here]
    assert {reply.finish for reply in remote} <= {"stop", "length"}
    assert all(0 < reply.generated_tokens <= 12 for reply in remote)


def synthesis(served, folder, count=6):
    """Return the command that asks for a question on each of some documents, and its outputs."""
    texts = [f"Cas {n} : un homme de {40 + n} ans prend 5 mg de ramipril par jour." for n in range(count)]
    columns = {"id": [f"d{n}" for n in range(count)], "collection": ["cas"] * count, "title": [""] * count}
    columns |= {"text": texts, "group": [f"d{n}" for n in range(count)], "meta": ["{}"] * count}
    write_parquet(folder / "documents.parquet", pa.table(columns, schema=document_schema()))
    generator = {"backend": described(served), "tasks": {"mcqu": 1, "factual": 1}, "decoding": {"max_new_tokens": 8}}
    spec = {"name": "served", "collection": "cas", "generator": generator}
    outputs = {name: folder / f"{name}.parquet" for name in ("items", "rejects")} | {"report": folder / "report.json"}
    command = [
        *(sys.executable, "-m", "posologie.generation.synthesis", "--backend", "openai_endpoint"),
        *("--spec", json.dumps(spec)),
        *("--documents", str(folder / "documents.parquet"), "--work", str(folder / "work")),
        *("--prompts", *(f"{task}={PROMPTS / task}.md" for task in ("mcqu", "factual"))),
        *("--running", json.dumps({"concurrency": 2})),
        *(word for name, path in outputs.items() for word in (f"--{name}", str(path))),
    ]
    return command, outputs


def rows(folder, statement):
    connection = sqlite3.connect(folder / "work/responses.sqlite")
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_was_and_accounts_for_every_question(served, tmp_path):
    command, outputs = synthesis(served, tmp_path)
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while killed.poll() is None:
        if (tmp_path / "work/responses.sqlite").exists() and len(_stored(tmp_path)) >= 3:
            break
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = dict(rows(tmp_path, "SELECT key, stored || raw FROM replies"))
    assert 3 <= len(before) < 24
    assert not outputs["items"].exists(), "nothing half made is left"
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    after = dict(rows(tmp_path, "SELECT key, stored || raw FROM replies"))
    assert before.items() <= after.items(), "what was answered before the kill was not asked again"
    (answered,) = rows(tmp_path, "SELECT requests FROM spending WHERE kind = 'answered'")
    assert answered == (len(after),), "every reply was paid once"
    report = read_json(outputs["report"])
    rejected = pq.read_table(outputs["rejects"]).to_pylist()
    assert pq.read_metadata(outputs["items"]).num_rows + len(rejected) == 6 * 2
    assert report["backend"]["requests"] == len(after) == 24, "each of twelve requests, and one repair of each"
    assert {row["reason"] for row in rejected} <= {"malformed reply", "reply cut at the token limit"}


def _stored(folder):
    try:
        return rows(folder, "SELECT key FROM replies")
    except sqlite3.OperationalError:  # the tables are not there yet
        return []
