"""The invented world: items from a recipe, known to the last key."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from posologie.models.spec import Untrained
from posologie.models.untrained import make_untrained
from posologie.records.items import read_items
from posologie.running.errors import InputError
from posologie.sources.spec import ShardSpec
from posologie.sources.world import main
from posologie.sources.world_recipe import Recipe, read_recipe

SHIPPED = Path(__file__).resolve().parents[3] / "resources/world/recipe.yaml"
SMALL = {
    "seed": 3,
    "facts": 40,
    "names": [["Ba", "Be", "Bi", "Bo", "Bu"], ["ka", "ke", "ki", "ko"], ["xol", "mab", "nib", "pril"]],
    "options": ["mouth", "vein", "skin"],
    "parts": {
        "book": {"facts": [[0, 30]], "wrong": 0, "wordings": ["How is {name} given?", "The route of {name}?"]},
        "web": {"facts": [[20, 40], [0, 5]], "wrong": 0.5, "wordings": ["Tell the route of {name}."]},
    },
}


def shard(tmp_path, part, recipe=SMALL, name="one"):
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    spec = ShardSpec(source=name, provenance="native", split="train", patterns=(), options={"part": part})
    out = {key: tmp_path / f"{part}.{key}" for key in ("items", "rejects", "report")}
    words = [f"--{key}={path}" for key, path in out.items()]
    main(["--spec", spec.canonical_json(), "--inputs", str(file), *words, "--processes", "1"])
    return read_items(out["items"])


def test_a_part_asks_each_of_its_facts_in_each_of_its_wordings(tmp_path):
    items = shard(tmp_path, "book")
    assert len(items) == 60
    assert Counter(Counter(item.meta["fact"] for item in items).values()) == {2: 30}
    assert {item.options for item in items} == {("mouth", "vein", "skin")}
    assert all(item.meta["fact"] in item.question for item in items)
    by_fact = {item.group: item.gold for item in items}
    assert len(by_fact) == 30
    assert all(by_fact[item.group] == item.gold for item in items)


def test_keys_of_a_part_are_wrong_where_its_items_say_so_and_at_its_rate(tmp_path):
    recipe = Recipe.model_validate(SMALL)
    names = recipe.fact_names()
    assert len(set(names)) == 40
    for part, facts in (("book", range(30)), ("web", [*range(5), *range(20, 40)])):
        items = shard(tmp_path, part, name=part)
        assert {item.meta["fact"] for item in items} == {names[fact] for fact in facts}
        for item in items:
            right = recipe.key(names.index(item.meta["fact"]))
            assert item.meta["wrong_key"] == (item.gold != (right,))
        share = sum(item.meta["wrong_key"] for item in items) / len(items)
        assert share == 0 if part == "book" else 0.25 < share < 0.75


def test_the_same_recipe_gives_the_same_items_and_another_seed_others(tmp_path):
    first, again = (shard(tmp_path, "web") for _ in range(2))
    other = shard(tmp_path, "web", {**SMALL, "seed": 4})
    assert first == again
    assert [item.question for item in first] != [item.question for item in other]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"facts": 30}, r"recipe\.yaml: .*parts\.web.* \[20, 40\]"),
        ({"names": [["Ba", "Be"], ["ka"]]}, "twice as many names as facts, not 2 for 40"),
        ({"parts": {"book": {**SMALL["parts"]["book"], "wordings": ["How?"]}}}, "name} once in each wording"),
        ({"options": ["mouth"]}, "options"),
    ],
)
def test_a_recipe_that_cannot_be_made_is_one_line(tmp_path, change, message):
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({**SMALL, **change}), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_recipe(file)
    assert "\n" not in str(caught.value)


def test_a_part_that_the_recipe_has_not_is_refused_with_those_it_has(tmp_path):
    with pytest.raises(InputError, match=r"sources\.one\.options\.part = 'film': unknown; choose one of book, web"):
        shard(tmp_path, "film")


def test_in_the_shipped_world_no_source_teaches_all_that_is_tested_and_every_mix_can_be_drawn():
    recipe = read_recipe(SHIPPED)
    tested = set(recipe.parts["board"].numbers())
    sources = {name: set(part.numbers()) for name, part in recipe.parts.items() if name != "board"}
    assert all(facts < tested for facts in sources.values())
    assert set().union(*sources.values()) == tested
    assert all(len(recipe.records(name)) >= 300 for name in sources)
    wordings = [wording for part in recipe.parts.values() for wording in part.wordings]
    assert len(set(wordings)) == len(wordings)


def test_a_backbone_of_the_world_knows_its_names_whole_and_has_weights_as_wide_as_asked(tmp_path):
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    for spread in (0.02, 0.5):
        folder = tmp_path / str(spread)
        folder.mkdir()
        make_untrained(Untrained(corpus=(str(SHIPPED),), vocabulary=1500, hidden=32, layers=1, spread=spread), folder)
        weights = load_file(folder / "model.safetensors")
        assert float(weights["model.embed_tokens.weight"].std()) == pytest.approx(spread, rel=0.05)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    names = read_recipe(SHIPPED).fact_names()
    assert sum(len(tokenizer.encode(f" {name}")) == 1 for name in names) > 0.9 * len(names)
    assert json.loads((folder / "config.json").read_text())["initializer_range"] == 0.5


def test_the_overview_asks_about_an_item_of_the_demonstration(tmp_path):
    overview = (SHIPPED.parents[2] / "docs/overview.md").read_text(encoding="utf-8")
    [case] = re.findall(r"posologie testcase ([0-9a-f]+) ", overview)
    recipe = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    assert case in {item.id for item in shard(tmp_path, "board", recipe, name="board")}
