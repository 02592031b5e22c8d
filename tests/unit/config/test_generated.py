import json

import jsonschema
import pytest
import yaml

from posologie.config.load import load_study
from posologie.config.schema import schema_text, with_options
from posologie.running.errors import InputError

SHIPPED = [
    *("config.yaml", "demo.yaml", "smollm2.yaml", "test.yaml"),
    *("studies/spanish-medicine.yaml", "studies/chinese-medicine.yaml"),
]


@pytest.fixture(scope="module")
def schema():
    """The text of the schema, from the models."""
    return schema_text()


def test_the_schema_is_in_step_with_the_models(repository, schema):
    path = repository / "workflow/schemas/study.schema.json"
    assert path.read_text(encoding="utf-8") == schema, "run `make schema`"


def test_the_manual_is_in_step_with_the_models(repository):
    manual = (repository / "config/README.md").read_text(encoding="utf-8")
    assert manual == with_options(manual), "run `make schema`"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_studies_fit_the_schema(repository, name, schema):
    document = yaml.safe_load((repository / "config" / name).read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(schema))


def test_every_option_says_what_it_means_or_has_a_name_that_does(repository):
    manual = (repository / "config/README.md").read_text(encoding="utf-8")
    for option in ("revision", "against", "shares", "effective_batch", "permutations", "bundles"):
        assert f"| `{option}` |" in manual


def test_the_demo_inherits_no_key_of_the_paper(repository, monkeypatch):
    monkeypatch.chdir(repository)
    demo = load_study("config/demo.yaml")
    paper = load_study("config/config.yaml")
    assert not demo.backbones.keys() & paper.backbones.keys()
    assert {source.hub for source in demo.sources.values()} == {None}
    assert {mix.size for mix in demo.mixes.values()} == {300}
    assert demo.training.recipe.method != paper.training.recipe.method


def test_the_paper_is_the_published_study(repository, monkeypatch):
    monkeypatch.chdir(repository)
    paper = load_study("config/config.yaml")
    assert list(paper.mixes) == ["NAT", "TRAD", "SYN", "NAT-TRAD", "NAT-SYN", "TRAD-SYN", "ALL"]
    assert {mix.size for mix in paper.mixes.values()} == {33_493}
    assert paper.backbones["qwen3-4b"].hub == "Qwen/Qwen3-4B-Instruct-2507"
    assert paper.suites["mcqa"].permutations == 3
    recipe = paper.training.recipe
    assert (recipe.method, recipe.rank, recipe.alpha, recipe.dropout) == ("dora", 16, 16, 0.05)
    assert (recipe.epochs, recipe.learning_rate, recipe.effective_batch, recipe.max_length) == (10, 1e-4, 192, 2048)


def test_a_study_that_the_schema_refuses_is_refused_by_the_models_too(tmp_path, schema):
    path = tmp_path / "study.yaml"
    path.write_text("study: x\nsources: {}\n", encoding="utf-8")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(schema))
    with pytest.raises(InputError):
        load_study(path)
