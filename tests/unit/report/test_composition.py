"""What the page says of the data: mixes, sources, and the published numbers of records."""

import pytest

from posologie.report.composition import section
from posologie.report.inputs import Inputs
from posologie.report.spec import ReportSpec
from posologie.statistics.composition import COLUMNS
from posologie.statistics.spec import EvaluatedModel

MIX = {"subject": "mix", "mix": "NAT", "seed": 1, "part": "train", "by": "all", "name": "all"}
ROWS = [
    MIX | {"provenance": "all", "items": 30, "characters": 900},
    MIX | {"provenance": "native", "items": 30, "characters": 900},
    MIX | {"provenance": "all", "by": "task", "name": "mcqu", "items": 30},
    {"subject": "source", "source": "nat", "part": "train", "provenance": "native", "by": "read", "items": 63},
    {"subject": "source", "source": "nat", "part": "train", "provenance": "native", "by": "kept", "items": 60},
    {"subject": "source", "source": "nat", "part": "train", "by": "rejected", "name": "unlabelled", "items": 3},
    {"subject": "published", "by": "native train", "name": "native_train", "items": 60, "published": 65,
     "difference": -5, "note": "63 read"},
    {"subject": "contradiction", "name": "all by split", "items": 9, "published": 8, "difference": 1,
     "note": "9, not 8"},
]  # fmt: skip


@pytest.fixture
def tables(tmp_path):
    """Return the tables of the section, as texts by name."""

    def run(demonstration=False):
        (tmp_path / "tables").mkdir(exist_ok=True)
        lines = [",".join(COLUMNS), *(",".join(_cell(row.get(column, "")) for column in COLUMNS) for row in ROWS)]
        (tmp_path / "tables/composition.csv").write_text("\n".join(lines) + "\n")
        models = (EvaluatedModel(name="b/base", kind="base", backbone="b"),)
        spec = ReportSpec(study="s", demonstration=demonstration, mixes=("NAT",), models=models, suites=("mcqa",),
                          tables=("composition",))  # fmt: skip
        blocks = section(Inputs(spec, tmp_path), None).blocks
        tables = [block for block in blocks if hasattr(block, "rows")]
        return {block.title: [[cell.text for cell in row] for row in block.rows] for block in tables}

    return run


def _cell(value):
    return f'"{value}"'


def test_the_page_says_what_was_read_and_why_records_were_rejected(tables):
    assert tables()["What was read"] == [["nat", "train", "native", "63", "60", "3", "unlabelled 3"]]


def test_the_page_shows_the_published_numbers_beside_ours_and_their_contradictions(tables):
    first, second = tables()["Ours and the published"]
    assert first == ["native train", "native train", "60", "65", "−5", "63 read"]
    assert second == ["all by split", "two printed numbers", "9", "8", "+1", "9, not 8"]


def test_a_demonstration_is_not_compared_with_published_numbers(tables):
    assert list(tables(demonstration=True)) == ["Composition of the mixes", "What was read"]
