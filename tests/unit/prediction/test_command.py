"""The command: what it selects, what it writes, what survives a kill, and what it says of bad input."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from prediction_made import make_item

from posologie.prediction import job
from posologie.prediction.__main__ import main
from posologie.prediction.job import Parts
from posologie.prediction.local import LocalModel
from posologie.prediction.requests import select
from posologie.prediction.spec import Benchmark, prediction_schema
from posologie.records.files import read_json, write_parquet
from posologie.records.items import items_to_table
from posologie.records.prompting import option_order
from posologie.running.errors import InputError

ITEMS = [
    *(make_item(number, options=2 + number % 5, meta={"origin": f"Origin-{number % 3}"}) for number in range(12)),
    *(make_item(number, task="mcq", options=3 + number % 4) for number in range(12, 20)),
    *(make_item(number, task="oeq") for number in range(20, 26)),
    *(make_item(number, split="validation") for number in range(26, 29)),
]
SPEC = {
    "model": "tiny/base",
    "suites": {
        "mcqa": {
            "benchmarks": {
                "single": {"source": "demo", "tasks": ["mcqu"]},
                "multiple": {"source": "demo", "tasks": ["mcq"]},
            },
            "permutations": 2,
        },
        "oeq": {"benchmarks": {"open": {"source": "demo", "tasks": ["oeq"]}}, "max_new_tokens": 6},
    },
    "prompting": {},
    "precision": "float32",
    "seed": 3,
}


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "shards" / "test.parquet"
    write_parquet(path, items_to_table(ITEMS))
    return path


def arguments(manifest, shard, folder, spec=SPEC, extra=()):
    suites = spec["suites"]
    return [
        *("--spec", json.dumps(spec), "--items", f"demo={shard}", "--backbone", str(manifest)),
        *("--predictions", *(f"{suite}={folder / suite}.parquet" for suite in suites)),
        *("--run", *(f"{suite}={folder / suite}.run.json" for suite in suites)),
        *("--work", str(folder / "work"), "--chunk-tokens", "300", *extra),
    ]


@pytest.fixture(scope="module")
def written(tiny_manifest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    shard = folder / "shard.parquet"
    write_parquet(shard, items_to_table(ITEMS[::-1]))
    main(arguments(tiny_manifest, shard, folder))
    return folder


def rows(path):
    return pq.read_table(path).to_pylist()


def test_a_job_says_where_a_score_speaks_of_the_form_of_answers(written, caplog):
    record = read_json(written / "mcqa.run.json")
    single = record["single_answer_questions"]
    assert single["rows"] == 36
    unread = [
        row for row in rows(written / "mcqa.parquet") if row["task"] == "mcqu" and row["greedy_outcome"] == "none"
    ]
    assert single["cut_before_labels_were_read"] == sum(row["finish"] == "length" for row in unread) > 18
    assert 0 < single["mean_label_mass"] < 1
    job._warn("mcqa", "tiny/base", {"single_answer_questions": {**single, "mean_label_mass": 0.01}})
    assert "mcqu_new_tokens" in caplog.text
    assert "1.0 % of the probability" in caplog.text
    caplog.clear()
    fine = {"rows": 36, "cut_before_labels_were_read": 18, "mean_label_mass": 0.05}
    job._warn("mcqa", "tiny/base", {"single_answer_questions": fine})
    assert not caplog.text


class TestOutput:
    def test_there_is_a_row_for_each_item_and_variant_in_order(self, written):
        table = pq.read_table(written / "mcqa.parquet")
        assert table.schema.equals(prediction_schema())
        keys = [(row["benchmark"], row["item"], row["variant"]) for row in table.to_pylist()]
        assert keys == sorted(keys)
        assert len(set(keys)) == len(keys) == 20 * 3
        assert {variant for _, _, variant in keys} == {"original", "permuted-1", "permuted-2"}
        assert [row["variant"] for row in rows(written / "oeq.parquet")] == ["original"] * 6

    def test_the_gold_follows_the_options(self, written):
        items = {item.id: item for item in ITEMS}
        moved = 0
        for row in rows(written / "mcqa.parquet"):
            item = items[row["item"]]
            assert tuple(row["option_order"]) == option_order(item.id, len(item.options), row["variant"], 3)
            displayed = [item.options[index] for index in row["option_order"]]
            assert {displayed[label] for label in row["gold"]} == {item.options[index] for index in item.gold}
            assert row["gold"] == sorted(row["gold"])
            moved += row["gold"] != list(item.gold)
        assert moved > 10

    def test_choices_have_labels_and_open_questions_have_text(self, written):
        for row in rows(written / "mcqa.parquet"):
            assert 1 <= len(row["constrained_labels"]) <= (1 if row["task"] == "mcqu" else len(row["option_order"]))
            assert row["constrained_labels"] == sorted(set(row["constrained_labels"]))
            assert len(row["label_probabilities"]) == len(row["option_order"])
            assert sum(row["label_probabilities"]) == pytest.approx(1, abs=1e-5)
            assert 0 < row["label_mass"] <= 1
            assert (row["greedy_labels"] is not None) == (row["greedy_outcome"] == "labels")
        for row in rows(written / "oeq.parquet"):
            assert row["constrained_labels"] is row["label_probabilities"] is row["greedy_outcome"] is None
            assert row["option_order"] == row["gold"] == []
            assert row["greedy_text"]
            assert 0 < row["generated_tokens"] <= 6

    def test_the_run_record_says_what_was_done(self, written, tiny_manifest):
        record = read_json(written / "mcqa.run.json")
        assert record["suite"] == "mcqa"
        assert record["rows"] == 60
        assert record["prompt_tokens"] == sum(row["prompt_tokens"] for row in rows(written / "mcqa.parquet"))
        assert sum(record["greedy_outcomes"].values()) == 60
        assert record["chunk_halvings"] == 0
        assert record["threads"] == 1
        assert "threads" not in record["spec"]
        assert len(record["chat_template_sha256"]) == 64
        assert record["backbone"]["name"] == "tiny"
        assert set(record["inputs"]) == {"items demo 0", "backbone"}

    def test_nothing_is_left_in_the_work_folder_but_the_progress(self, written):
        assert [path.name for path in (written / "work").iterdir()] == ["progress.json"]
        progress = read_json(written / "work" / "progress.json")
        assert progress["done"] == progress["total"] == 66

    def test_the_order_of_the_items_changes_no_byte(self, written, tiny_manifest, shard, tmp_path):
        main(arguments(tiny_manifest, shard, tmp_path))
        for suite in SPEC["suites"]:
            name = f"{suite}.parquet"
            assert (tmp_path / name).read_bytes() == (written / name).read_bytes()

    def test_windows_change_nothing_but_noise(self, written, tiny_manifest, shard, tmp_path, monkeypatch):
        monkeypatch.setattr(job, "WINDOW", 7)
        main(arguments(tiny_manifest, shard, tmp_path))
        for suite in SPEC["suites"]:
            for first, other in zip(
                rows(written / f"{suite}.parquet"), rows(tmp_path / f"{suite}.parquet"), strict=True
            ):
                for name in ("label_probabilities", "label_mass"):
                    assert first.pop(name) == pytest.approx(other.pop(name), abs=1e-5)
                assert first == other

    def test_the_published_protocol_allows_what_the_automaton_forbids(self, written, tiny_manifest, shard, tmp_path):
        suite = {**SPEC["suites"]["mcqa"], "protocol": "published", "permutations": 0}
        main(arguments(tiny_manifest, shard, tmp_path, {**SPEC, "suites": {"mcqa": suite}}))
        published = rows(tmp_path / "mcqa.parquet")
        ours = [row for row in rows(written / "mcqa.parquet") if row["variant"] == "original"]
        assert [row["item"] for row in published] == [row["item"] for row in ours]
        for theirs, other in zip(published, ours, strict=True):
            assert theirs["label_mass"] == pytest.approx(other["label_mass"], rel=0.5)
            assert theirs["generated_tokens"] <= (1 if theirs["task"] == "mcqu" else 2 * len(theirs["option_order"]))


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


class TestResume:
    def kill_after(self, monkeypatch, pieces):
        add = Parts.add
        left = [pieces]

        def with_column(parts, window, new):
            if not left[0]:
                raise Killed
            left[0] -= 1
            add(parts, window, new)

        monkeypatch.setattr(Parts, "add", with_column)

    def count_answered(self, monkeypatch):
        answered = []
        answers = LocalModel.answers

        def counted(model, requests, done):
            for some in answers(model, requests, done):
                answered.extend(answer.place for answer in some)
                yield some

        monkeypatch.setattr(LocalModel, "answers", counted)
        return answered

    @pytest.mark.parametrize("pieces", [0, 1, 3])
    def test_finished_chunks_survive_a_kill_and_are_not_answered_again(
        self, written, tiny_manifest, shard, tmp_path, monkeypatch, pieces
    ):
        words = arguments(tiny_manifest, written / "shard.parquet", tmp_path)
        with monkeypatch.context() as patch:
            self.kill_after(patch, pieces)
            with pytest.raises(Killed):
                main(words)
        assert not (tmp_path / "mcqa.parquet").exists()
        kept = [path for path in (tmp_path / "work").rglob("*piece*") if not path.name.startswith(".")]
        assert len(kept) == pieces
        saved = sum(pq.read_metadata(path).num_rows for path in kept)
        answered = self.count_answered(monkeypatch)
        main(words)
        assert len(answered) == 66 - saved
        for suite in SPEC["suites"]:
            assert (tmp_path / f"{suite}.parquet").read_bytes() == (written / f"{suite}.parquet").read_bytes()

    def test_finished_windows_are_not_read_again(self, written, tiny_manifest, shard, tmp_path, monkeypatch):
        monkeypatch.setattr(job, "WINDOW", 10)
        with monkeypatch.context() as patch:
            patch.setattr(Parts, "write", lambda *_: (_ for _ in ()).throw(Killed))
            with pytest.raises(Killed):
                main(arguments(tiny_manifest, shard, tmp_path))
        answered = self.count_answered(monkeypatch)
        main(arguments(tiny_manifest, shard, tmp_path))
        assert answered == []
        assert len(rows(tmp_path / "mcqa.parquet")) == 60

    def test_nothing_of_another_spec_is_resumed(self, tiny_manifest, shard, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            self.kill_after(patch, 2)
            with pytest.raises(Killed):
                main(arguments(tiny_manifest, shard, tmp_path))
        answered = self.count_answered(monkeypatch)
        main(arguments(tiny_manifest, shard, tmp_path, {**SPEC, "seed": 4}))
        assert len(answered) == 66

    def test_nothing_of_other_items_is_resumed(self, tiny_manifest, shard, tmp_path, monkeypatch):
        with monkeypatch.context() as patch:
            self.kill_after(patch, 2)
            with pytest.raises(Killed):
                main(arguments(tiny_manifest, shard, tmp_path))
        write_parquet(shard, items_to_table([*ITEMS[:-4], *ITEMS[-3:]]))
        answered = self.count_answered(monkeypatch)
        main(arguments(tiny_manifest, shard, tmp_path))
        assert len(answered) == 65

    @pytest.mark.slow
    def test_a_real_kill_leaves_no_output_and_the_next_run_the_same_bytes(self, written, tiny_manifest, tmp_path):
        words = arguments(tiny_manifest, written / "shard.parquet", tmp_path)
        call = [sys.executable, "-m", "posologie.prediction", *words]
        with subprocess.Popen(call, env={**os.environ, "PYTHONHASHSEED": "1"}, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 120
            while not list(tmp_path.glob("work/*/window-*-piece-*")) and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not list(tmp_path.glob("*.parquet"))
        main(words)
        for suite in SPEC["suites"]:
            assert (tmp_path / f"{suite}.parquet").read_bytes() == (written / f"{suite}.parquet").read_bytes()


class TestSelection:
    def chosen(self, tmp_path, shard, **benchmark):
        selection = select("b", Benchmark(source="demo", **benchmark), {"demo": [shard]}, 3, tmp_path / "scratch.arrow")
        return [item.id for item in selection.items(0, len(selection))]

    def ids(self, numbers):
        return [f"{number:020x}" for number in numbers]

    def test_split_tasks_and_origins_select(self, tmp_path, shard):
        assert self.chosen(tmp_path, shard) == self.ids(range(20))
        assert self.chosen(tmp_path, shard, tasks=("mcq",)) == self.ids(range(12, 20))
        assert self.chosen(tmp_path, shard, split="validation") == self.ids(range(26, 29))
        assert self.chosen(tmp_path, shard, origins=("Origin-1",)) == self.ids([1, 4, 7, 10])

    def test_a_smaller_limit_keeps_a_part_of_a_larger_one(self, tmp_path, shard):
        small, large = (self.chosen(tmp_path, shard, limit=limit) for limit in (5, 11))
        assert len(small) == 5
        assert len(large) == 11
        assert set(small) < set(large)
        assert small == sorted(small)
        assert self.chosen(tmp_path, shard, limit=1000) == self.ids(range(20))

    def test_items_are_those_of_the_shard(self, tmp_path, shard):
        selection = select("b", Benchmark(source="demo"), {"demo": [shard]}, 3, tmp_path / "scratch.arrow")
        assert selection.items(3, 9) == sorted(ITEMS, key=lambda item: item.id)[3:9]

    def test_several_shards_of_a_source_are_one(self, tmp_path, shard):
        other = tmp_path / "other.parquet"
        write_parquet(other, items_to_table([make_item(90), make_item(80)]))
        shards = {"demo": [other, shard]}
        selection = select("b", Benchmark(source="demo"), shards, 3, tmp_path / "scratch.arrow")
        ids = [item.id for item in selection.items(0, len(selection))]
        assert ids == self.ids([*range(20), 80, 90])


def refused(message, *words, **changed):
    with pytest.raises(InputError, match=message):
        main(arguments(*words, **changed))


def with_benchmark(**benchmark):
    return {**SPEC, "suites": {"s": {"benchmarks": {"b": {"source": "demo", **benchmark}}}}}


class TestBadInput:
    def test_a_benchmark_of_a_source_that_was_not_given(self, tiny_manifest, shard, tmp_path):
        spec = with_benchmark(source="other")
        refused("benchmark 'b': no items of source 'other' given", tiny_manifest, shard, tmp_path, spec=spec)

    def test_a_benchmark_that_selects_nothing(self, tiny_manifest, shard, tmp_path):
        spec = with_benchmark(origins=["Nowhere"])
        refused(
            "no item of source 'demo' has split test, task mcqu or mcq, origins Nowhere",
            tiny_manifest,
            shard,
            tmp_path,
            spec=spec,
        )

    def test_an_id_that_occurs_twice(self, tiny_manifest, shard, tmp_path):
        write_parquet(shard, items_to_table([ITEMS[0], ITEMS[1], ITEMS[0]]))
        refused(f"item '{ITEMS[0].id}' occurs twice", tiny_manifest, shard, tmp_path, spec=with_benchmark())

    def test_a_file_that_is_not_a_shard(self, tiny_manifest, shard, tmp_path):
        shard.write_bytes(b"no parquet")
        refused("not a whole Parquet file", tiny_manifest, shard, tmp_path)
        shard.unlink()
        refused("no such file", tiny_manifest, shard, tmp_path)

    def test_outputs_that_are_not_the_suites(self, tiny_manifest, shard, tmp_path):
        words = arguments(tiny_manifest, shard, tmp_path)
        words[words.index("--predictions") + 1] = f"other={tmp_path / 'x.parquet'}"
        with pytest.raises(InputError, match="--predictions oeq other: expected the suites mcqa oeq"):
            main(words)

    def test_half_an_adapter_and_an_empty_chunk(self, tiny_manifest, shard, tmp_path):
        refused("expected both or neither", tiny_manifest, shard, tmp_path, extra=("--adapter-weights", "x"))
        refused("--chunk-tokens 0", tiny_manifest, shard, tmp_path, extra=("--chunk-tokens", "0"))
