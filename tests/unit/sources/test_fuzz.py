"""Malformed records of every form: no crash, and every record is kept or rejected.

POSOLOGIE_FUZZ_RECORDS sets how many records each reader is given (400 if left out; 10000 for the full run).
"""

import json
import math
import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from posologie.sources import shards

pytestmark = pytest.mark.slow

RECORDS = int(os.environ.get("POSOLOGIE_FUZZ_RECORDS", "400"))
BATCH = 50
CHOICES = "Quel organe ?\nChoix de réponses :\n(A) Le foie\n(B) La rate\n(C) Le rein"
FORMS = {
    "hub_records": {"instruction": CHOICES, "context": "Un homme.", "answer": "A,C", "type": "mcq", "origin": "essai"},
    "frenchmedmcqa": {
        "id": "x1",
        "question": "Lequel ?",
        "answers": {"a": "un", "b": "deux", "c": "trois"},
        "correct_answers": ["a", "c"],
        "subject_name": "pharmacie",
        "type": "multiple",
        "nbr_correct_answers": 2,
    },
    "mediqal": {
        "id": "x1",
        "clinical_case": "Un cas.",
        "question": "Lequel ?",
        **{f"answer_{letter}": f"texte {letter}" for letter in "abcde"},
        "correct_answers": "A,C",
        "task": "mcqm",
        "medical_subject": "Cardiologie",
    },
    "frbmedqa": {"passage": "Texte.", "question": "XXXX bat.", "candidates": ["coeur", "foie"], "answer": "coeur"},
    "instruction_pairs": {"instruction": CHOICES, "input": "Un cas.", "output": "B", "subject": "anatomie"},
    "medqa": {
        "question": "Which?",
        "options": {"A": "one", "B": "two", "C": "three"},
        "answer": "two",
        "answer_idx": "B",
        "meta_info": "step1",
    },
    "medmcqa": {"id": "x1", "question": "Which?", "opa": "1", "opb": "2", "opc": "3", "opd": "4", "cop": 2, "exp": "e"},
    "medxpertqa": {
        "id": "Text-1",
        "question": "Which?\nAnswer Choices: (A) one (B) two",
        "options": {letter: f"text {letter}" for letter in "ABCDEFGHIJ"},
        "label": ["J"],
        "images": [],
    },
    "casimedicos": {
        "id": "x1",
        "clinical_case": "Un cas.",
        "question": "Lequel ?",
        "options": ["un", "deux", "nan"],
        "correct": 2,
        "split": "train",
    },
    "made": {
        "id": "x1",
        "question": "Lequel ?",
        "context": "Un cas.",
        "options": ["un", "deux"],
        "gold": [1],
        "answer": "",
        "task": "mcqu",
        "group": "g1",
        "meta": '{"origin": "x"}',
    },
    "columns": {"q": "Lequel ?", "o": ["un", "deux"], "a": "deux", "n": 1, "t": "x"},
}
OPTIONS = {"columns": {"question": "q", "options": "o", "answer": "a", "id": "n", "meta": ["t"], "group": "t"}}

texts = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(categories=("Cs", "Cc", "Cf", "Mn", "Zs", "Zl")), max_size=8),
    st.sampled_from(["", " ", "nan", "A", "B,B", "A,C", "Z", "AB", "0", "1", "-1", "2.0", "1,3", "mcqu", "QCM", "dev"]),
    st.sampled_from(["&#xD800;", "&amp;nbsp;", "<sup>2</sup>", "<b>", "e\u0301", "\u202f", CHOICES, "(A) x\n(B) y"]),
    st.just("A" * 300),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from([10**30, -(10**30), 10**400, math.nan, math.inf, 1.0, 2.5]),
    texts,
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)


def mutated(form):
    """Records near the form: some of its fields replaced, dropped or added, or something else altogether."""
    changed = st.dictionaries(st.sampled_from(sorted(form)), values, min_size=1, max_size=3)
    dropped = st.lists(st.sampled_from(sorted(form)), max_size=2)

    def build(parts):
        change, drop, extra = parts
        return {key: value for key, value in {**form, **change, **extra}.items() if key not in drop or key in change}

    near = st.tuples(changed, dropped, st.dictionaries(texts, scalars, max_size=1)).map(build)
    return near | values


def lines_of(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def fuzzing(test):
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=max(RECORDS // BATCH, 1),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[*checks, HealthCheck.large_base_example],
    )(test)


@pytest.fixture(autouse=True)
def _keys_are_drawn_blindly(monkeypatch):
    """No evidence on counting: keys that are drawn from -3 to 9 contradict any base, which would stop every shard."""
    monkeypatch.setattr(shards, "check_counting", lambda source, file, observed: None)


@pytest.mark.parametrize("reader", sorted(FORMS))
def test_every_malformed_record_is_kept_or_rejected(reader, read):
    @fuzzing
    @given(st.lists(mutated(FORMS[reader]), min_size=BATCH, max_size=BATCH))
    def check(records):
        shard = read(reader, {"train.jsonl": lines_of(records)}, options=OPTIONS.get(reader))
        assert shard.report["read"] + shard.report["of_other_splits"] == len(records)

    check()


def test_every_malformed_record_of_an_object_by_key_is_kept_or_rejected(read):
    form = {"QUESTION": "Does it?", "CONTEXTS": ["a", "b"], "final_decision": "yes", "LONG_ANSWER": "It does."}

    @fuzzing
    @given(st.dictionaries(texts, mutated(form), min_size=BATCH, max_size=BATCH))
    def check(records):
        written = json.dumps(records)
        shard = read("pubmedqa", {"ori_pqal.json": written})
        assert shard.report["read"] == len(json.loads(written))

    check()


def test_every_malformed_row_of_a_table_without_header_is_kept_or_rejected(read):
    cells = st.lists(texts.map(lambda text: text.replace("\r", "")), min_size=2, max_size=7)

    @fuzzing
    @given(st.lists(cells, min_size=BATCH, max_size=BATCH))
    def check(rows):
        quoted = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
        assert read("mmlu", {"anatomy_dev.csv": quoted}).report["read"] == len(rows)

    check()


COLLECTIONS = {
    "morfitt": {"identifier": "x1", "abstract": "Un résumé.", "specialities": "a|b"},
    "diamed": {"identifier": "x1", "title": "t", "clinical_case": "Un cas.", "keywords": ["k"], "icd-10": "A00"},
    "deft2021": {"document_id": "x1", "text": "Un cas.", "specialities": ["k"]},
}


@pytest.mark.parametrize("reader", sorted(COLLECTIONS))
def test_every_malformed_document_is_kept_or_rejected(reader, collect):
    @fuzzing
    @given(st.lists(mutated(COLLECTIONS[reader]), min_size=BATCH, max_size=BATCH))
    def check(records):
        assert collect(reader, {"train.jsonl": lines_of(records)}).report["read"] == len(records)

    check()


def test_every_malformed_segment_is_kept_or_rejected(collect):
    line = texts.map(lambda text: text.replace("\n", " "))

    @fuzzing
    @given(st.lists(st.tuples(line, line), min_size=BATCH, max_size=BATCH))
    def check(pairs):
        source, target = ("".join(pair[side] + "\n" for pair in [("a", "b"), *pairs, ("a", "b")]) for side in (0, 1))
        blank = sum(1 for pair in pairs if not pair[0].strip() and not pair[1].strip())
        assert collect("wmt_biomedical", {"set.en": source, "set.fr": target}).report["read"] == len(pairs) + 2 - blank

    check()


def is_json(line):
    try:
        json.loads(line.decode("utf-8", "surrogateescape").strip("\ufeff"))
    except ValueError:
        return False
    return True


@fuzzing
@given(st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")), min_size=BATCH, max_size=BATCH))
def test_every_line_of_garbage_is_one_rejected_record(tmp_path_factory, lines):
    from posologie.sources.cleaning import Malformed
    from posologie.sources.records import read_rows

    path = tmp_path_factory.mktemp("garbage") / "train.jsonl"
    path.write_bytes(b"{}\n" + b"\n".join(lines))
    records = [record for rows in read_rows({"train": path}) for record in rows.values()]
    filled = [line for line in lines if line.decode("utf-8", "surrogateescape").strip(" \t\r\n\ufeff")]
    assert len(records) == 1 + len(filled)
    pairs = zip(records, [b"{}", *filled], strict=True)
    assert all(isinstance(record, Malformed) != is_json(line) for record, line in pairs)
