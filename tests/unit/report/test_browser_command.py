"""The command that writes the item browser's data: what it needs, and what it does without."""

import pytest
from browser_made import QUESTIONS, SPEC, entries, write

from posologie.report import browser
from posologie.running.errors import InputError

pytestmark = pytest.mark.usefixtures("counted_words")


def test_the_command_says_what_it_does(capsys):
    with pytest.raises(SystemExit, match="0"):
        browser.main(["--help"])
    shown = capsys.readouterr().out
    assert shown.startswith("usage: python -m posologie.report.browser ")
    assert "\n\nWrite the data of the report's item browser.\n\n" in shown


def command(study, target, *, without=None):
    """Return the command line of the browser's data, without one of its options."""
    root, shards = study
    options = {
        "--spec": [SPEC.model_copy(update={"items_per_file": 10}).canonical_json()],
        "--results": [str(root)],
        "--items": [f"source={shard}" for shard in shards],
        "--trained": [str(root / "shards/stock/train.parquet")],
        "--matches": [str(root / "screened/stock/train.matches.parquet")],
        "--backbones": ["tiny@none=manifest.json"],
        "--index": [str(target / "index.js")],
    }
    return [word for option, values in options.items() if option != without for word in (option, *values)]


def test_the_command_writes_what_its_options_name(browsed_study, tmp_path):
    browser.main(command(browsed_study, tmp_path))
    write(browsed_study, tmp_path / "again", items_per_file=10)
    names = ["0.js", "index.js", "words.js"]
    assert sorted(path.name for path in tmp_path.glob("*.js")) == names
    assert all((tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)


@pytest.mark.parametrize("option", ["--spec", "--results", "--items", "--index"])
def test_the_command_needs_spec_results_items_and_index(browsed_study, tmp_path, option):
    with pytest.raises(SystemExit, match="2"):
        browser.main(command(browsed_study, tmp_path, without=option))


def test_the_command_needs_no_more_for_a_study_without_audits_and_prompts(browsed_study, tmp_path):
    root, shards = browsed_study
    spec = SPEC.model_copy(update={"items_per_file": 10, "mixes": {}, "forms": ()}).canonical_json()
    items = [f"source={shard}" for shard in shards]
    index = str(tmp_path / "index.js")
    browser.main(["--spec", spec, "--results", str(root), "--items", *items, "--index", index])
    assert {item: entry["near"] for item, entry in entries(tmp_path, count=1).items()} == {
        item.id: [] for item in QUESTIONS
    }


def test_the_command_names_near_items_whose_shards_it_was_not_given(browsed_study, tmp_path):
    arguments = command(browsed_study, tmp_path, without="--trained")
    for trained in ([], ["--trained"]):
        with pytest.raises(InputError, match="item t0 of source stock is near a tested item and in none of the shards"):
            browser.main([*arguments, *trained])


def test_the_command_without_matches_knows_what_mixes_hold_alone(browsed_study, tmp_path):
    browser.main(command(browsed_study, tmp_path, without="--matches"))
    by_item = entries(tmp_path, count=1)
    assert [len(by_item[item]["near"]) for item in ("c1", "c2")] == [5, 0]
