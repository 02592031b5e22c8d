"""The facts as pages and in the terminal: texts of the data stay texts."""

import io
import json
import re

import pytest
from rich.console import Console

from looked import HOSTILE, item, spec, write_shard, write_study
from posologie.look.__main__ import main
from posologie.look.facts import look
from posologie.look.page import index_page, source_page
from posologie.look.shards import all_visible, quoted, visible
from posologie.look.terminal import as_renderable

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066\u2067]")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of the pages of a study that holds a hostile item and hostile rejects."""
    root = write_study(tmp_path_factory.mktemp("pages") / "looked")
    rejects = [("h.json\x1b[2J", 3, "no gold <b>label</b>", "\u202ex", json.dumps({"q": "\x1b[31m"}) + "\x9b</script>")]
    write_shard(
        root, [HOSTILE, *(item(number) for number in range(20))], rejects, evidence={"warnings": ["\x1b[5m<i>hm"]}
    )
    facts = str(root / "look" / "facts.json")
    main(["--spec", spec().canonical_json(), "--results", str(root), "--facts", facts])
    return root / "look"


def printed(page, **options):
    console = Console(file=io.StringIO(), width=100, highlight=False, **options)
    console.print(as_renderable(page))
    return console.file.getvalue()


def test_there_is_a_page_for_each_source_and_one_for_all_and_they_lead_to_each_other(written):
    assert sorted(path.name for path in written.iterdir()) == ["facts.json", "index.html", "native.html", "other.html"]
    for path in written.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert {"index.html", "native.html", "other.html"} <= set(re.findall(r'href="([^"#]+)"', text))
        assert re.search(r"<title>A look at [^<]+</title>", text)


def test_no_text_of_the_data_becomes_markup(written):
    text = (written / "native.html").read_text(encoding="utf-8")
    body = text[text.index("<main") : text.index("<footer")]
    assert "<script" not in body
    assert "<img" not in body
    assert "<i>hm" not in body
    assert "&lt;script&gt;document.title" in body
    assert "{{ 7 * 7 }}" in body


def test_no_sign_that_steers_a_terminal_or_turns_the_direction_reaches_a_page(written):
    for path in written.iterdir():
        assert not UNSAFE.search(path.read_text(encoding="utf-8")), path.name


def test_the_terminal_shows_every_text_as_it_is_and_no_control_sequence_of_the_data(written):
    facts = json.loads((written / "facts.json").read_text(encoding="utf-8"))
    page = source_page(facts, "native")
    plain = printed(page)
    assert "[bold red]x[/]" in plain
    assert "\x1b" not in plain
    assert not UNSAFE.search(plain)
    assert "␛[31mred" in plain
    coloured = printed(page, force_terminal=True, color_system="truecolor")
    assert set(re.findall("\x1b[^m]*m", coloured)) == set(re.findall("\x1b\\[[0-9;]*m", coloured))
    assert "\x1b[5m" not in coloured


def test_the_terminal_and_the_page_say_the_same(written):
    facts = json.loads((written / "facts.json").read_text(encoding="utf-8"))
    for page, file in ((index_page(facts), "index.html"), (source_page(facts, "native"), "native.html")):
        html = (written / file).read_text(encoding="utf-8")
        plain = printed(page)
        for section in page.sections:
            assert f">{section.title}</h2>" in html
            assert section.title in plain
        for notice in page.notices:
            assert notice.title in plain
            assert html.count("<li>") >= len(notice.points)


def test_doubts_stand_above_everything_else(written):
    text = (written / "index.html").read_text(encoding="utf-8")
    assert text.index('class="notice"') < text.index("<section")
    assert "native: The files of the train split: ␛[5m&lt;i&gt;hm." in text


def test_the_facts_are_the_same_bytes_in_every_run(written):
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    main(["--spec", spec().canonical_json(), "--results", str(written.parent), "--facts", str(written / "facts.json")])
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before


def test_signs_without_a_shape_are_written_out_and_letters_of_every_script_are_kept():
    assert visible("a\x1b[0m\u202eb\x9bc\ud800") == "a␛[0m\\u202eb\\u009bc\\ud800"
    harmless = "Ünïcödé, 中文, עברית, العربية, हिन्दी, می\u200cخواهم, 👩\u200d⚕️\n\tnext"
    assert visible(harmless) == harmless
    assert all_visible({"\x07": ["\x00", 3, None, {"a": "\u2066"}]}) == {"␇": ["␀", 3, None, {"a": "\\u2066"}]}
    assert quoted("two\n lines  here", 8) == "“\u2068two lin…\u2069”"


def test_positions_of_options_that_matter_are_counted(written):
    facts = json.loads((written / "facts.json").read_text(encoding="utf-8"))
    assert facts["sources"]["native"]["splits"]["train"]["marked"] == {"position_dependent": 1}


def test_a_look_without_any_shard_report_still_works_and_says_what_is_missing(tmp_path):
    root = write_study(tmp_path / "looked")
    for file in root.glob("shards/*/*.json"):
        file.unlink()
    for file in root.glob("shards/*/*.rejects.parquet"):
        file.unlink()
    text = printed(source_page(look(spec(), root), "native"))
    assert "(train, validation, test) do not mention dialect" in re.sub(r"\s+", " ", text)
