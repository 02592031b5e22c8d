"""An error in a study file says in plain words what is wrong, and in which line of which file."""

import pytest
import yaml
from study_files import refusal, study_file  # noqa: F401 - the fixture `write`

from posologie.config.load import load_study


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"training": {"seeds": 42}}, "training.seeds = 42: expected a list"),
        ({"training": {"recipe": {"epochs": "many"}}}, "training.recipe.epochs = 'many': expected a whole number"),
        ({"training": {"recipe": {"learning_rate": 10}}}, "learning_rate = 10: expected a number below 1"),
        ({"backbones": {"b": "owner/model"}}, "backbones.b = 'owner/model': expected a map of keys and values"),
        (
            {"mixes": {"NAT": {"shares": {"native": 1}, "size": "small"}}},
            "mixes.NAT.size = 'small': expected a whole number or 'smallest'",
        ),
        (
            {"sweeps": {"s": {"kind": "shar"}}},
            "sweeps.s = {'kind': 'shar'}: expected a 'kind' of 'share', 'size', 'additive'",
        ),
        ({"sweeps": {"s": {"of": "native"}}}, "sweeps.s = {'of': 'native'}: expected a map with the key 'kind'"),
        ({"roots": {"models": "~/models"}}, "roots.models = '~/models': expected a path written in full"),
        ({"study": 7}, "study = 7: expected a text"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_plain_words(write, sections, expected):
    assert expected in refusal(write(**sections))


def test_an_error_names_the_line_of_its_key_in_the_file_where_it_stands(write, tmp_path):
    path = write(mixes={"NAT": {"shares": {"native": 1}, "size": 10}, "a.b": {"shares": {"nativ": 1}, "size": 3}})
    lines = path.read_text(encoding="utf-8").splitlines()
    line = lines.index("    nativ: 1") + 1 if "    nativ: 1" in lines else lines.index("      nativ: 1") + 1
    assert refusal(path).startswith(f"{path}, line {line - 1}: mixes.a.b.shares = 'nativ'")
    child = tmp_path / "child.yaml"
    child.write_text("extends: study.yaml\nmixes:\n  NAT:\n    shares: {native: 1}\n    size: 0\n", encoding="utf-8")
    assert refusal(child).startswith(f"{child}, line 5: mixes.NAT.size = 0: expected")
    child.write_text("extends: study.yaml\nstudy: child\nscreening: {against: [mcqa, mcq]}\n", encoding="utf-8")
    path = write()
    assert refusal(child).startswith(f"{child}, line 3: screening.against = 'mcq'")
    path = write(training={"seeds": [1, 1]})
    child.write_text("extends: study.yaml\nstudy: child\n", encoding="utf-8")
    line = path.read_text(encoding="utf-8").splitlines().index("  seeds:") + 1
    assert refusal(child).startswith(f"{path}, line {line}: training.seeds = [1, 1]")


def test_merge_keys_of_yaml_are_read(write, tmp_path):
    path = write()
    text = path.read_text(encoding="utf-8").split("mixes:")[0]
    rest = "mixes:\n  NAT: &one {shares: {native: 1}, size: 10}\n  TWICE: {<<: *one, size: 20}\n"
    path.write_text(text + rest + "study: mine\n" if "study:" not in text else text + rest, encoding="utf-8")
    document = yaml.safe_load(write(name="other.yaml").read_text(encoding="utf-8"))
    for name in document.keys() - {"mixes"} - yaml.safe_load(path.read_text(encoding="utf-8")).keys():
        with path.open("a", encoding="utf-8") as file:
            file.write(yaml.safe_dump({name: document[name]}))
    study = load_study(path)
    assert (study.mixes["TWICE"].shares, study.mixes["TWICE"].size) == ({"native": 1}, 20)


def test_a_licence_of_no_source_is_refused(write):
    assert "licenses = 'natve': expected one of native" in refusal(write(licenses={"natve": "MIT"}))
