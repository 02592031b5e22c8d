"""The page "Where is it decided?" leads to names that exist, in files that exist."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"^\| (.+\?) \|(.*)\| \[([^\]]+)\]\(([^)]+)\) \| `([^`]+)` \|$", re.MULTILINE)
ROWS = ROW.findall((DOCS / "where.md").read_text(encoding="utf-8"))


def test_the_page_answers_twenty_questions_and_more():
    lines = (DOCS / "where.md").read_text(encoding="utf-8").splitlines()
    assert len(ROWS) == sum(line.startswith("| ") for line in lines) - 1 >= 20, "every row has the form"
    assert "docs/where.md" in (DOCS.parent / "README.md").read_text(encoding="utf-8"), "two steps from the README"


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_question_leads_to_a_name_in_a_file(row):
    _, _, shown, link, name = row
    file = (DOCS / link).resolve()
    assert file.is_file(), link
    assert link.endswith(shown), (shown, link)
    defined = rf"^\s*#?\s*(def |class )?{re.escape(name)}\b" if name[0] != '"' else re.escape(name)
    assert re.search(defined, file.read_text(encoding="utf-8"), re.MULTILINE) or f"{{{name}:" in file.read_text(), name
