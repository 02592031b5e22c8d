"""What the page about errors quotes is what the code says; figures of the questions are those of the command."""

import ast
import json
import re
import shlex

import pytest

from studies import REPOSITORY


@pytest.fixture(scope="module")
def templates():
    """Return the texts of the library as the parts between their values, with the number of their own characters."""
    examples = []
    for path in sorted((REPOSITORY / "workflow/posologie").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = [node.value]
            else:
                continue
            size = sum(len(part) for part in parts if part)
            if size >= 12 and " " in "".join(part or "" for part in parts):
                examples.append((size, parts))
    return examples


PAGE = (REPOSITORY / "docs/troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = [line for block in re.findall(r"^```text\n(.*?)^```$", PAGE, re.M | re.S) for line in block.splitlines()]


def matches(parts, message):
    """Whether a message has these parts in their order, with a value between any two of them."""
    if not all(part in message for part in parts if part):  # spares most texts the slow search
        return False
    return re.search(".+?".join(re.escape(part or "") for part in parts), message) is not None


def test_there_are_twenty_errors_at_least():
    assert len(MESSAGES) >= 20
    assert len(set(MESSAGES)) == len(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_every_quoted_error_is_one_of_the_code(message, templates):
    """Three tenths of it at least are texts of the code; the rest are values, or `…` for a part of any length."""
    matched = {tuple(parts): size for size, parts in templates if matches(parts, message)}
    assert sum(matched.values()) >= 0.3 * len(message), matched


def test_an_error_that_the_code_does_not_know_is_found_out(templates):
    with pytest.raises(AssertionError):
        test_every_quoted_error_is_one_of_the_code(
            "sources.exam: the tide is out in the harbour; wait for the moon", templates
        )


def test_the_figures_of_the_questions_are_those_of_the_command(capsys):
    from posologie.cli.commands import main

    text = (REPOSITORY / "docs/faq.md").read_text(encoding="utf-8")
    arguments, table = re.search(r"<!-- power: (.+?) -->\n\n(.+?)\n\n", text, re.S).groups()
    assert f"posologie design power {arguments}\n" in text
    assert main(["design", "power", *shlex.split(arguments), "--json"]) == 1  # no plan finds two points
    plans = json.loads(capsys.readouterr().out)["plans"]
    shown = [[float(cell) for cell in re.findall(r"[\d.]+", row.replace(",", ""))] for row in table.splitlines()[2:]]
    for items, *differences in shown:
        mine = [plan for plan in plans if plan["items"] == items]
        assert [round(plan["detectable"], 1) for plan in mine] == differences
