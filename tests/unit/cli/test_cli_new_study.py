"""`posologie new-study`: a study file that is valid at once and says what to fill in."""

import pytest
import yaml

from posologie.cli.new_study import LANGUAGES
from posologie.config.load import load_study
from posologie.scoring.spec import TextMetrics
from posologie.sources import columns

HEADER = "id,question,a,b,c,d,answer,split\n"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A project with a native and a synthetic file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    rows = "1,¿Qué?,w,x,y,z,B,train\n2,¿Cuál?,w,x,y,z,A,validation\n3,¿Dónde?,w,x,y,z,C,test\n"
    (tmp_path / "mine" / "native.csv").write_text(HEADER + rows)
    (tmp_path / "mine" / "made.jsonl").write_text('{"question": "¿Quién?", "a": "w", "b": "x", "answer": "A"}\n')
    return tmp_path


def test_the_file_is_a_valid_study_of_the_given_files(data, posologie):
    code, out, _ = posologie(
        "new-study", "mine", "--language", "es", "--native", "mine/native.csv", "--synthetic", "mine/made.jsonl"
    )
    assert code == 0
    assert "posologie check --configfile config/mine.yaml" in out
    study = load_study("config/mine.yaml")
    assert list(study.sources) == ["native", "synthetic"]
    assert list(study.mixes) == ["NAT", "SYN", "NAT-SYN"]
    assert study.prompting.choices_line == "Opciones de respuesta:"
    assert study.scoring.text.stemmer == "spanish"
    text = (data / "config" / "mine.yaml").read_text()
    assert "# columns of the file: id, question, a, b, c, d, answer, split" in text
    assert "# columns of the file: question, a, b, answer" in text


def test_its_data_can_be_read_as_it_says(data, posologie):
    from posologie.config import job_specs
    from posologie.items import read_items

    posologie("new-study", "mine", "--native", "mine/native.csv")
    study = load_study("config/mine.yaml")
    for split in ("train", "validation", "test"):
        outputs = [part for name in ("items", "rejects", "report") for part in (f"--{name}", str(data / name))]
        spec = job_specs.shard_spec(study, "native", split).canonical_json()
        columns.main(["--spec", spec, "--inputs", "mine/native.csv", *outputs])
        (item,) = read_items(data / "items")
        assert item.options == ("w", "x", "y", "z")


def test_without_files_it_says_where_to_put_them(data, asked):
    code, found = asked("new-study", "own", "--output", "study.yaml")
    assert (code, found) == (0, {"study": "own", "file": "study.yaml"})
    text = (data / "study.yaml").read_text()
    assert "put the file at data/own/native.csv and name its columns here" in text
    assert list(yaml.safe_load(text)["mixes"]) == ["NAT", "TRAD", "SYN", "NAT-TRAD", "NAT-SYN", "TRAD-SYN", "ALL"]


@pytest.mark.parametrize("language", [*LANGUAGES, "eu"])
def test_every_language_has_words_and_a_stemmer_that_exists(data, posologie, language):
    code, _, _ = posologie("new-study", "own", "--language", language, "--output", "study.yaml")
    assert code == 0
    made = yaml.safe_load((data / "study.yaml").read_text(encoding="utf-8"))
    assert made["report"]["language"] == language
    assert "{context}" in made["prompting"]["context_line"]
    if "scoring" in made:
        TextMetrics.model_validate(made["scoring"]["text"])


def test_a_file_that_is_there_is_not_replaced_unless_asked(data, posologie):
    posologie("new-study", "own", "--output", "study.yaml")
    code, _, err = posologie("new-study", "own", "--output", "study.yaml")
    assert code == 2
    assert "study.yaml: is there already; --force replaces it" in err
    assert posologie("new-study", "own", "--output", "study.yaml", "--force")[0] == 0


@pytest.mark.parametrize("name", ["../own", "a/b", ""])
def test_a_name_that_would_leave_its_folder_is_refused(data, posologie, name):
    code, _, err = posologie("new-study", name)
    assert code == 2
    assert f"NAME = '{name}'" in err


def test_native_items_are_needed(data, posologie):
    code, _, err = posologie("new-study", "own", "--synthetic", "mine/made.jsonl")
    assert code == 2
    assert "--native FILE: missing" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--language", "klingon"],
            "--language klingon: expected a code of two or three letters (ISO 639), such as ar",
        ),
        (["--language", "DE"], "--language DE: expected a code"),
        (["--native", "missing.csv"], "--native missing.csv: no such file; leave the option out"),
        (["--component", "book=gone.csv"], "--component book=gone.csv: no such file"),
        (["--native", "mine"], "--native mine: no such file"),
        (["--native", "mine/latin.csv"], "mine/latin.csv, line 2: not UTF-8; it seems to be"),
        (["--native", "mine/latin.json"], "mine/latin.json, line 1: not UTF-8"),
        (["--native", "mine/not.parquet"], "mine/not.parquet: not a Parquet file"),
    ],
)
def test_what_cannot_be_started_from_is_refused_in_one_line(data, posologie, arguments, told):
    (data / "mine/latin.csv").write_bytes("id,question\n1,Was heißt für?\n".encode("latin-1"))
    (data / "mine/latin.json").write_bytes('[{"frage": "für"}]'.encode("latin-1"))
    (data / "mine/not.parquet").write_bytes(b"no parquet at all")
    code, out, err = posologie("new-study", "mine", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {told}")
    assert err.count("\n") == 1
    assert not (data / "config").exists()
