"""A job starts its engine, asks it, and leaves nothing behind, whatever the engine or the job does."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from backends_made import ask, question
from judging_made import PROMPT, items, predictions, shard

from posologie.backends.cache import Cache
from posologie.backends.causal import CausalBackend
from posologie.backends.engine import EngineBackend
from posologie.backends.interface import Failure, LabelLanguage, Request, Session
from posologie.backends.openai_forms import request_body
from posologie.backends.spec import Causal, Decoding, Engine, OpenaiEndpoint, Running
from posologie.judging import command as judging
from posologie.records.files import read_json
from posologie.running.commands import Progress
from posologie.running.errors import InputError

FAKE = Path(__file__).with_name("fake_engine.py")


@pytest.fixture(scope="module")
def manifest(tiny_model, tmp_path_factory):
    """Return a model of which there is a GGUF file too: the fake engine does not read it."""
    from posologie.models.store import write_manifest

    folder = tmp_path_factory.mktemp("gguf") / "tiny"
    folder.mkdir()
    for path in tiny_model.parent.iterdir():
        if path.name != "manifest.json":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "tiny.gguf").write_bytes(b"GGUF")
    return write_manifest(folder, {"name": "tiny", "kind": "folder"}, [p for p in folder.iterdir() if p.is_file()])


def engine(folder, manifest, fault=None, running=None, **spec):
    words = ["--record", str(folder / "record"), *(["--fault", fault] if fault else [])]
    described = Engine(engine="llama_cpp", model="tiny", arguments=words, **spec)
    asked = {"command": [sys.executable, str(FAKE)], "longest_wait_seconds": 0.05, "compared_items": 0}
    return EngineBackend(described, Running(**{**asked, **(running or {})}), manifest)


def record(folder):
    lines = (folder / "record").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def gone(*processes, seconds=8.0):
    """Return whether processes end in so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(_lives(process) for process in processes):
            return True
        time.sleep(0.05)
    return False


def _lives(process):
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def asked(backend, folder, texts):
    try:
        return ask(backend, folder, [question(text) for text in texts])
    finally:
        backend.close()


def test_an_engine_is_started_asked_and_stopped_with_all_that_it_started(manifest, tmp_path, capfd):
    backend = engine(tmp_path, manifest, "slow start", version="b77-fake")
    replies = asked(backend, tmp_path, [f"q{number}" for number in range(5)])
    assert [reply.text for reply in replies] == ["1"] * 5
    started, *requests = record(tmp_path)
    assert len(requests) == 5
    assert gone(started["pid"], started["worker"], seconds=1.0)
    key = started["environment"]["LLAMA_API_KEY"]
    assert len(key) > 20
    assert key not in " ".join(started["words"]), "the key is no word of the command line, which every user can see"
    assert started["words"][started["words"].index("--model") + 1].endswith("/tiny.gguf")
    assert {word for word in started["words"] if word.startswith("127.")} == {"127.0.0.1"}
    stderr = capfd.readouterr().err
    assert "llama_cpp: loading" in stderr, "what the engine writes is in the job's log"
    assert key not in stderr
    again = asked(engine(tmp_path, manifest, "crash on start", version="b77-fake"), tmp_path / "other", ["q0"][:0])
    assert again == []


def test_what_is_answered_already_starts_no_engine_where_the_version_is_pinned(manifest, tmp_path):
    asked(engine(tmp_path, manifest, version="b77-fake"), tmp_path, ["q"])
    before = len(record(tmp_path))
    (reply,) = asked(engine(tmp_path, manifest, version="b77-fake"), tmp_path, ["q"])
    assert reply.text == "1"
    assert len(record(tmp_path)) == before


def test_the_identity_holds_engine_version_arguments_and_files_but_not_where_it_runs(manifest, tmp_path):
    backend = engine(tmp_path, manifest)
    identity = backend.identity()
    backend.close()
    assert (identity["engine"], identity["version"]) == ("llama_cpp", "b77-fake")
    assert identity["arguments"] == ["--record", str(tmp_path / "record")]
    assert set(identity["weights"]) == {"model", "tiny.gguf"}
    assert "127.0.0.1" not in json.dumps(identity)


@pytest.mark.parametrize(
    ("fault", "running", "message"),
    [
        ("crash on start", {}, r"llama_cpp: ended with status 1 .*its last lines: loading .*bad magic in the file"),
        ("out of memory", {}, r"CUDA error: out of memory \(out of memory: raise tensor_parallel"),
        ("never ready", {"start_seconds": 0.6}, r"llama_cpp: not ready after 0.6 s; its last lines: loading"),
        ("wrong name", {"start_seconds": 0.6}, r"llama_cpp: not ready after 0.6 s"),
    ],
)
def test_an_engine_that_does_not_come_up_is_one_line_with_the_end_of_its_log(
    manifest, tmp_path, fault, running, message
):
    with pytest.raises(InputError, match=message):
        asked(engine(tmp_path, manifest, fault, running), tmp_path, ["q"])
    started = record(tmp_path)[0]
    assert gone(started["pid"], started["worker"], seconds=1.0)


def test_another_version_than_the_study_says_is_refused(manifest, tmp_path):
    with pytest.raises(InputError, match="llama_cpp: found version b77-fake, but the study asks for b76"):
        asked(engine(tmp_path, manifest, version="b76"), tmp_path, ["q"])


def test_an_engine_whose_port_was_taken_gets_another(manifest, tmp_path):
    (reply,) = asked(engine(tmp_path, manifest, "port taken once", version="b77-fake"), tmp_path, ["q"])
    assert reply.text == "1"
    ports = [line["words"][line["words"].index("--port") + 1] for line in record(tmp_path) if "words" in line]
    assert len(ports) == 2


def test_an_engine_that_ends_in_the_middle_ends_the_job_and_keeps_what_it_answered(manifest, tmp_path, capfd):
    backend = engine(tmp_path, manifest, "crash in the middle", {"concurrency": 1}, version="b77-fake")
    with pytest.raises(
        InputError,
        match=r"ended with status 139 while it was answering; .*run again"
        " .*segfault",
    ) as error:
        asked(backend, tmp_path, ["one", "two", "boom", "three"])
    key = record(tmp_path)[0]["environment"]["LLAMA_API_KEY"]
    assert key not in str(error.value) + capfd.readouterr().err
    with Cache(tmp_path / "responses.sqlite") as cache:
        assert cache.observed().replies == 2


def test_a_stuck_request_is_cut_and_fails_alone(manifest, tmp_path):
    running = {"timeout_seconds": 0.5, "attempts": 2}
    backend = engine(tmp_path, manifest, "stuck", running, version="b77-fake")
    good, bad = asked(backend, tmp_path, ["good", "stuck"])
    assert good.text == "1"
    assert isinstance(bad, Failure)
    assert "no whole reply" in bad.error


def test_a_judge_behind_an_engine_judges_all_suites_in_one_job_that_starts_it_once(manifest, tmp_path):
    made = items(3)
    suites = ("oeq", "cases")
    tables = {suite: predictions(tmp_path, suite, made, {"q0": f"answer to {suite}"}) for suite in suites}
    backend = {"kind": "engine", "engine": "llama_cpp", "model": "tiny", "version": "b77-fake"}
    backend["arguments"] = ["--record", str(tmp_path / "record")]
    spec = {"name": "j", "model": "q/base", "suites": suites, "judge": {"backend": backend}}
    running = {"command": [sys.executable, str(FAKE)], "compared_items": 0}
    words = [
        *("--backend", "engine", "--spec", json.dumps(spec), "--running", json.dumps(running), "--prompt", str(PROMPT)),
        *("--work", str(tmp_path / "work"), "--backbone", str(manifest)),
        *("--items", f"open={shard(tmp_path, made)}"),
        *("--answers", *(f"{suite}={tables[suite]}" for suite in suites)),
        *("--judgements", *(f"{suite}={tmp_path / suite}.parquet" for suite in suites)),
        *("--run", *(f"{suite}={tmp_path / suite}.json" for suite in suites)),
    ]
    judging.main(words)
    assert len([line for line in record(tmp_path) if "pid" in line]) == 1
    records = [read_json(tmp_path / f"{suite}.json") for suite in suites]
    assert [record["spec"]["suite"] for record in records] == list(suites)
    assert len({record["started"] for record in records}) == 1, "each states the whole job"
    for suite in suites:
        assert [row["label"] for row in pq.read_table(tmp_path / f"{suite}.parquet").to_pylist()] == [1] * 3
        assert any(f"answer to {suite}" in json.dumps(line) for line in record(tmp_path))
    judging.main(words)
    assert len([line for line in record(tmp_path) if "pid" in line]) == 1, "all is answered: nothing is started"


JOB = """
    import sys, time
    from posologie.running.serving import Server, free_port
    record, fake = sys.argv[1:]
    words = ["--record", record, "--model", "m", "--alias", "m", "--host", "127.0.0.1", "--port", str(free_port())]
    server = Server("fake", [sys.executable, fake, *words], {"LLAMA_API_KEY": "k"}, "k")
    server.wait_until(lambda: server.said() == "loading m", 20)
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("killed", ["job", "keeper"])
def test_no_engine_outlives_a_job_that_is_killed(tmp_path, killed):
    words = [sys.executable, "-c", textwrap.dedent(JOB), str(tmp_path / "record"), str(FAKE)]
    job = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert job.stdout.readline() == b"ready\n"
    started = record(tmp_path)[0]
    keeper = int(Path(f"/proc/{started['pid']}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    os.kill(job.pid if killed == "job" else keeper, signal.SIGKILL)
    assert gone(started["pid"], *([started["worker"]] if killed == "job" else []))
    job.kill()
    job.wait()
    if killed == "keeper" and _lives(started["worker"]):
        os.kill(started["worker"], signal.SIGKILL)


def test_the_run_record_says_how_far_the_engine_agrees_with_our_own_code(manifest, tmp_path):
    requests = [Request((("user", f"Question {n} ?"),), Decoding(max_new_tokens=4), ("0", "1")) for n in range(6)]
    backend = engine(tmp_path, manifest, running={"compared_items": 4})
    with Cache(tmp_path / "responses.sqlite") as cache:
        session = Session(backend, cache)
        session.complete(requests, Progress(tmp_path, "test", len(requests), "requests"))
        facts = session.facts(tmp_path, backend.running)
        chosen = sorted(requests, key=session.key)[:4]
        session.close()
    started = record(tmp_path)[0]
    assert gone(started["pid"], seconds=1.0), "the engine's memory is free before the model is loaded a second time"
    assert facts["engine"]["identity"]["version"] == "b77-fake"
    own = CausalBackend(Causal(backbone="tiny", precision="float32", threads=1), Running(), manifest)
    replies = ask(own, tmp_path / "own", chosen)
    shares = [reply.label_steps[0].probabilities for reply in replies]
    agreement = facts["agreement_with_own_engine"]
    assert agreement["items"] == 4
    assert agreement["labels_equal"] == sum(share[1] > share[0] for share in shares)
    largest = max(abs(share[1] - 0.75) for share in shares)
    assert agreement["largest_probability_difference"] == pytest.approx(largest, abs=1e-6)
    assert agreement["prompt_tokens_equal"] == sum(reply.prompt_tokens == 7 for reply in replies)


def test_words_that_the_job_sets_itself_are_refused():
    for words in (["--port", "1"], ["--api-key=x"], ["--trust-remote-code"], ["--served_model_name", "x"]):
        with pytest.raises(ValueError, match="arguments without --"):
            Engine(engine="vllm", model="m", arguments=words)


def accepted(grammar, text):
    """Return whether a grammar of our form derives a text: rules of alternatives, read from left to right."""
    rules = dict(line.split(" ::= ", 1) for line in grammar.splitlines())

    def ends(rule, places):
        ports = set()
        for alternative in rules[rule].split(" | "):
            head, _, rest = alternative.partition(" (")
            label = json.loads(head.removeprefix('" "? '))
            for place in places:
                at = place + (text[place : place + 1] == " ")
                if text.startswith(label, at):
                    after = at + len(label)
                    ports.add(after)
                    if rest:
                        separator, _, following = rest.removesuffix(")?").rpartition(" ")
                        separator = json.loads(separator)
                        if text.startswith(separator, after):
                            ports |= ends(following, {after + len(separator)})
        return ports

    return len(text) in ends("root", {0})


@pytest.mark.parametrize(
    ("text", "several", "labels"),
    [
        ("A", False, (0,)),
        (" C", False, (2,)),
        ("A,B", False, None),
        ("E", False, None),
        ("C,A", True, (0, 2)),
        (" A, D,B", True, (0, 1, 3)),
        ("A,A", True, None),
        ("A,", True, None),
        ("", True, None),
        ("A;B", True, None),
    ],
)
def test_a_grammar_takes_the_answers_that_a_local_model_can_give(text, several, labels):
    language = LabelLanguage(("A", "B", "C", "D"), several, ",")
    assert language.read(text) == labels
    assert accepted(language.grammar(), text) == (labels is not None)


def test_with_many_labels_a_grammar_stays_small_and_asks_for_ascending_ones():
    language = LabelLanguage(tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), True, ", ")
    grammar = language.grammar()
    assert accepted(grammar, "A, C, Z")
    assert not accepted(grammar, "C, A")
    assert len(grammar) < 20_000


@pytest.mark.parametrize(
    ("structured", "path"),
    [
        ("grammar", ["grammar"]),
        ("ebnf", ["ebnf"]),
        ("structured_outputs", ["structured_outputs", "grammar"]),
        ("guided", ["guided_grammar"]),
    ],
)
def test_each_kind_of_server_gets_the_grammar_in_its_own_field(structured, path):
    language = LabelLanguage(("A", "B"), False, ",")
    request = Request((("user", "?"),), Decoding(), language=language)
    body = request_body(OpenaiEndpoint(model="m", structured=structured), request)
    for key in path:
        body = body[key]
    assert body == language.grammar()
    assert request.canonical_json() != Request((("user", "?"),), Decoding()).canonical_json()
