"""What the documentation looks like: its links, its lists, its form; nothing is run."""

import os
import re
import shlex

import pytest

from documented import commands, guides
from posologie.config.study import Study
from studies import REPOSITORY


def test_every_documented_part_of_the_tests_exists():
    words = [shlex.split(command) for _, command in commands()]
    paths = [word.split("::")[0] for name, *rest in words if name == "pytest" for word in rest if word[0] != "-"]
    assert paths
    for path in paths:
        assert (REPOSITORY / path).is_file() or list((REPOSITORY / path).glob("**/test_*.py")), path


def slugs(path):
    """Return the anchors of a Markdown file's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", guides(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_link_leads_to_a_file(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        assert not anchor or anchor in slugs(file), target


def test_every_column_of_the_stored_tables_is_specified():
    from posologie.prediction.spec import prediction_schema
    from posologie.records.items import item_schema
    from posologie.scoring.spec import score_schema
    from posologie.screening.matches import match_schema

    text = (REPOSITORY / "results/README.md").read_text(encoding="utf-8")
    schemas = (item_schema(), prediction_schema(), score_schema(), match_schema())
    missing = [name for schema in schemas for name in schema.names if f"`{name}`" not in text]
    assert not missing


def test_every_option_says_what_it_means():
    manual = (REPOSITORY / "config/README.md").read_text(encoding="utf-8")
    assert not re.findall(r"^\| `\w+` \|.*\|  \|$", manual, re.MULTILINE)


def test_every_section_of_a_study_is_explained():
    manual = (REPOSITORY / "config/README.md").read_text(encoding="utf-8").split("<!-- options")[0]
    explained = " ".join(re.findall(r"^## (.+)$", manual, re.MULTILINE))
    sections = [field.alias or name for name, field in Study.model_fields.items()]
    assert not [section for section in sections if f"`{section}`" not in explained]


def test_the_changelog_keeps_its_form():
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", version) for version in versions[1:])
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_no_guide_names_a_machine():
    homes = re.compile(r"/(?:root|home|work|Users)/\w")
    assert not [str(path) for path in guides() if homes.search(path.read_text(encoding="utf-8"))]
    assert os.environ.get("HOME", "/nowhere") not in "".join(path.read_text(encoding="utf-8") for path in guides())
