import json

import pytest
import yaml
from study_files import STUDY, refusal, study_file  # noqa: F401 - the fixture `write`

from posologie.config.load import load_study, study_document, study_from
from posologie.config.tables import tables
from posologie.running.errors import InputError


def test_a_study_file_is_read(write):
    study = load_study(write())
    assert study.mixes["NAT"].size == 10
    assert study.training.recipe.epochs == 10


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"mixs": {}}, "mixs = {}: unknown key; expected 'mixes'"),
        (
            {"published_models": {"p": {"mix": "NAT"}}},
            "published_models.p = {'mix': 'NAT'}: expected exactly one of model, served and answers",
        ),
        (
            {"published_models": {"p": {"served": {"backend": {"model": "m", "structured": "none"}}}}},
            "published_models.p.served.backend.structured = 'none': expected json_schema or a grammar, for",
        ),
        (
            {"published_models": {"p": {"served": {"backend": {"kind": "engine", "engine": "vllm", "model": "x"}}}}},
            "published_models.p.served.backend.model = 'x': expected one of",
        ),
        (
            {
                "devices": {"gpus_per_prediction_job": 0},
                "local_models": {"m": {"hub": "a/b"}},
                "judges": {"j": {"backend": {"kind": "engine", "engine": "vllm", "model": "m", "tensor_parallel": 2}}},
            },
            "judges.j.backend.tensor_parallel = 2: its jobs get no GPU",
        ),
        (
            {
                "published_models": {"p": {"served": {"backend": {"model": "m"}}}},
                "suites": {"mcqa": {**STUDY["suites"]["mcqa"], "protocol": "published"}},
            },
            "suites.mcqa.protocol = 'published': its masks need a local model,"
            " and published_models.p.served is not one",
        ),
        (
            {"judges": {"a": {"backend": {"kind": "causal", "bakbone": "b"}}}},
            "judges.a.backend.causal.bakbone = 'b': unknown key; expected 'backbone'",
        ),
        ({"training": {"recipe": {"epoch": 3}}}, "training.recipe.epoch = 3: unknown key; expected 'epochs'"),
        (
            {"mixes": {"NAT": {"shares": {"native": 1}, "sise": 3}}},
            "mixes.NAT.sise = 3: unknown key; expected 'size'",
        ),
        (
            {"sources": {"native": {"provenance": "natif", "hub": "o/d"}}},
            "sources.native.component = 'natif': no such component; did you mean 'native'?",
        ),
        (
            {"mixes": {"NAT": {"shares": {"nativ": 1}, "size": 3}}},
            "mixes.NAT.shares = 'nativ': no such component or source with a train split; did you mean 'native'?",
        ),
        (
            {"mixes": {"SYN": {"shares": {"synthetic": 1}, "size": 3}}},
            "mixes.SYN.shares = 'synthetic': no source of this component has a train split",
        ),
        ({"mixes": {"a/b": {"shares": {"native": 1}, "size": 3}}}, "without '..'"),
        ({"study": "../elsewhere"}, "study = '../elsewhere': expected a name of letters"),
        (
            {"suites": {"s": {"benchmarks": {"x": {"source": "nativ"}}}}},
            "suites.s.benchmarks.x.source = 'nativ': expected one of native",
        ),
        ({"screening": {"against": ["mcq"]}}, "screening.against = 'mcq': expected one of mcqa"),
        (
            {"judging": {"kits": {"round": {"models": ["b/NAT"], "suite": "mcqa", "raters": ["anne"]}}}},
            "judging.kits.round.models = 'b/NAT': expected one of b/base, b/NAT/seed-42",
        ),
        (
            {"sources": {"native": {"provenance": "native", "hub": "o/d", "reader": "nothing"}}},
            "sources.native.reader = 'nothing': no such reader; expected casimedicos, columns",
        ),
        (
            {"sources": {"native": {"provenance": "native", "path": "/no/such/folder"}}},
            "sources.native.path = '/no/such/folder': no such folder",
        ),
        (
            {"sources": {"native": {"provenance": "native"}}},
            "sources.native = {'provenance': 'native'}: expected exactly one of hub, path, from",
        ),
        ({"training": {"seeds": [1, 1]}}, "training.seeds = [1, 1]: expected each seed once"),
        (
            {"prediction": {"bundles": {"b": ["mcqa"], "c": ["mcqa"]}}},
            "prediction.bundles.c = 'mcqa': expected a suite that is in no other bundle",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(write, sections, expected):
    assert expected in refusal(write(**sections))


ENDPOINT = {"model": "m", "kind": "openai_endpoint"}
MADE = {
    "language": "fr",
    "collections": {"cases": {"reader": "morfitt", "hub": "owner/cases", "files": ["*.tsv"]}},
    "generators": {"g": {"backend": ENDPOINT, "tasks": {"mcqu": 1}, "collections": ["cases"]}},
    "translators": {"t": {"backend": ENDPOINT, "sources": ["native"]}},
}


@pytest.mark.parametrize(
    ("made", "splits", "expected"),
    [
        ("generated/g/cases", ["train", "test"], "generated items are one split; expected [train]"),
        ("translated/t/native", ["train", "validation"], "sources.made.splits = 'validation': expected one of train"),
        (
            "translated/t/other",
            ["train"],
            "sources.made.from = 'translated/t/other': expected one of generated/g/cases",
        ),
    ],
)
def test_a_source_takes_from_the_study_only_what_the_study_makes(write, made, splits, expected):
    native = {"provenance": "native", "hub": "o/d", "splits": ["train", "test"]}
    source = {"provenance": "translated", "from": made, "splits": splits}
    assert expected in refusal(write(**MADE, sources={"native": native, "made": source}))


def test_a_key_given_twice_is_refused(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("study: a\ntitle: x\nstudy: b\n", encoding="utf-8")
    assert "line 3: key 'study' occurs twice" in refusal(path)


def test_what_is_not_yaml_is_refused(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("study: [", encoding="utf-8")
    assert "not YAML" in refusal(path)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("", encoding="utf-8")
    assert refusal(path) == f"{path}: expected a map of sections, found an empty file"


def test_a_missing_file_is_refused(tmp_path):
    assert "no such study file" in refusal(tmp_path / "nothing.yaml")


def test_overrides_apply_last(write):
    assert load_study(write(), {"training": {"recipe": {"epochs": "3"}}}).training.recipe.epochs == 3


def test_a_study_inherits_only_what_it_extends(write, tmp_path):
    write("parent.yaml", training={"seeds": [1, 2], "recipe": {"rank": 4}})
    child = tmp_path / "child.yaml"
    child.write_text(
        yaml.safe_dump({
            "extends": "parent.yaml",
            "study": "child",
            "mixes": {"HALF": {"counts": {"native": 5}}},
            "backbones": {"other": {"hub": "owner/other"}},
            "training": {"recipe": {"rank": 8}},
        })
    )  # fmt: skip
    study = load_study(child)
    assert list(study.mixes) == ["HALF"], "maps of mixes replace each other"
    assert list(study.backbones) == ["other"], "so do backbones: nothing is trained that the file does not name"
    assert study.training.seeds == (1, 2), "sections are inherited key by key"
    assert study.training.recipe.rank == 8


def test_a_circle_of_inheritance_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    assert "extends itself" in refusal(tmp_path / "a.yaml")


SWEEPS = {
    "syn": {"kind": "share", "of": "synthetic", "rest": "native", "values": [0, 0.125, 1], "size": 24},
    "n": {"kind": "size", "shares": {"native": 1}, "values": [8, 16]},
    "plus": {"kind": "additive", "base": {"native": 8}, "of": "synthetic", "values": [0, 8]},
}

TWO = {name: {"provenance": name, "hub": f"owner/{name}"} for name in ("native", "synthetic")}


def test_each_value_of_a_sweep_is_a_mix_beside_those_written_out(write):
    study = load_study(write(sources=TWO, sweeps=SWEEPS))
    made = ["syn-0", "syn-12.5", "syn-100", "n-8", "n-16", "plus-0", "plus-8"]
    assert set(study.mixes) == {"NAT", *made}
    assert study.mixes["syn-12.5"].shares == {"synthetic": 0.125, "native": 0.875}
    assert study.mixes["plus-8"].counts == {"native": 8, "synthetic": 8}
    assert study.statistics.sweeps["syn"] == {"syn-0": 0, "syn-12.5": 0.125, "syn-100": 1}
    assert set(study.statistics.sweeps) == {"syn", "n", "plus"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"mixes": {"n-8": {"shares": {"native": 1}, "size": 8}}},
            "sweeps.n: makes a mix 'n-8', which already exists",
        ),
        ({"statistics": {"sweeps": {"n": {"NAT": 1}}}}, "sweeps.n: statistics.sweeps has a curve of this name too"),
        (
            {"sweeps": {"n": SWEEPS["n"] | {"shares": {"natve": 1}}}},
            "sweeps.n = 'natve': no such component or source with a train split; did you mean 'native'?",
        ),
        ({"sweeps": {"n": SWEEPS["n"] | {"share": 1}}}, "sweeps.n.size.share = 1: unknown key; expected 'shares'"),
    ],
)
def test_a_sweep_that_does_not_fit_its_study_is_one_line(write, changes, problem):
    assert problem in refusal(write(**{"sources": TWO, "sweeps": SWEEPS} | changes))


def test_two_splits_of_the_same_files_are_refused_unless_the_form_tells_them_apart(write, tmp_path):
    (tmp_path / "all.jsonl").write_text("{}\n")
    files = {"train": ["*.jsonl"], "test": ["*.jsonl"]}
    columns = {"question": "q", "answer": "a"}
    source = {"provenance": "native", "reader": "columns", "path": str(tmp_path), "splits": ["train", "test"]}
    assert "sources.native.files: test and train are the same files" in refusal(
        write(sources={"native": {**source, "files": files, "options": columns}})
    )
    with_splits = columns | {"split_column": "s", "splits": {"a": "train", "b": "test"}}
    assert load_study(write(sources={"native": {**source, "files": files, "options": with_splits}}))


@pytest.mark.parametrize(("encoding", "named"), [("utf-16", "UTF-16"), ("cp1252", "Windows-1252 or Latin-1")])
def test_a_study_file_in_another_encoding_is_one_line_that_says_which(write, encoding, named):
    path = write(title="Étude")
    path.write_bytes(yaml.safe_dump({**STUDY, "title": "Étude"}, allow_unicode=True).encode(encoding))
    assert f"not UTF-8; it seems to be {named}: save it as UTF-8" in refusal(path)


def test_a_study_file_with_a_byte_order_mark_is_read(write):
    path = write()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_study(path).study == "mine"


def test_a_study_file_that_is_a_looping_link_or_a_folder_is_one_line(tmp_path):
    (tmp_path / "a.yaml").symlink_to("b.yaml")
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    assert "a.yaml: a symbolic link that leads back to itself" in refusal(tmp_path / "a.yaml")
    assert refusal(tmp_path) == f"{tmp_path}: a folder; expected a study file"


JUDGED = {
    "judges": {"j": {"backend": {"kind": "outside", "files": ["v.csv"]}}},
    "judging": {"ratings": {"s": {"files": {"f": "r.csv"}, "columns": {"raters": ["anne"]}}}},
}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (JUDGED, None),
        ({**JUDGED, "judging": {**JUDGED["judging"], "chosen": "j"}}, "without suites a study only calibrates judges"),
        ({**JUDGED, "mixes": {"A": {"shares": {"native": 1}, "size": 1}}}, "suites beside mixes"),
        ({"judges": JUDGED["judges"]}, "sources, or judges with judging.ratings to calibrate them"),
        ({**JUDGED, "judges": {"j": {"backend": {"kind": "outside", "files": ["none"]}}}}, "= 'none': no such file"),
        ({**JUDGED, "judges": {"j": {"backend": {"kind": "outside"}}}}, "judges.j.backend.files: missing"),
        ({**JUDGED, "judges": {"panel": JUDGED["judges"]["j"]}}, "judges.panel: the name is taken by the majority"),
    ],
)
def test_a_study_of_judges_alone_needs_nothing_but_ratings(tmp_path, monkeypatch, sections, expected):
    monkeypatch.chdir(tmp_path)
    for name in ("v.csv", "r.csv"):
        (tmp_path / name).write_text("", encoding="utf-8")
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"study": "x", **sections}), encoding="utf-8")
    if expected is None:
        assert tables(load_study(path)) == [
            "agreement", "agreement_contrasts", "raters", "verbosity", "judge_choice", "generator",
        ]  # fmt: skip
    else:
        with pytest.raises(InputError) as refused:
            load_study(path)
        assert expected in str(refused.value)


@pytest.mark.parametrize("name", ["config", "demo", "paper-doses", "paper-screened", "test", "world"])
def test_a_study_that_went_through_json_is_the_same_study(repository, name, monkeypatch):
    """The jobs of a run read it so; a field that specs leave out, such as a judge's prompt, must not be lost."""
    monkeypatch.chdir(repository)
    path = f"config/{name}.yaml"
    assert study_from(json.loads(json.dumps(study_document(path))), path) == load_study(path)


def test_a_study_is_compared_with_the_published_study_that_it_names_and_with_no_other(repository, write):
    assert load_study(write()).published is None
    file = str(repository / "resources/published/medinjection-fr.yaml")
    alone = load_study(write(published=file)).published
    assert (alone.file, alone.names().backbones) == (file, None)
    assert load_study(write(published={"file": file, "backbones": {"b": "qwen3-4b"}})).published.backbones == {
        "b": "qwen3-4b"
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"title": None}, "published.file: {file}: title"),
        (
            {"metric": "emm"},
            "published.file: {file}: aggregates.a.compared_with.metric: metric 'emm': not in the registry",
        ),
        ({"decoding": "judged"}, "aggregates.a.compared_with.decoding = 'judged': 'em' does not score such answers"),
        ({"backbone": "c"}, "published.file = '{file}': none of its names is one of this study"),
    ],
)
def test_a_published_study_that_does_not_fit_is_one_line(write, tmp_path, change, expected):
    compared = {"metric": "em", "decoding": "greedy", "aggregates": ["item_weighted"]}
    compared |= {key: value for key, value in change.items() if key in compared}
    aggregate = {"title": "A", "unit": "%", "suite": "mcqa", "compared_with": compared}
    aggregate["values"] = {change.get("backbone", "b"): {"NAT": 1.0}}
    file = tmp_path / "published.yaml"
    file.write_text(yaml.safe_dump({"title": change.get("title", "T"), "source": "s", "aggregates": {"a": aggregate}}))
    path = write(published=str(file))
    if expected is None:
        assert load_study(path).published.file == str(file)
    else:
        assert expected.format(file=file) in refusal(path)
