"""The figures: every declared file, the same bytes, and drawings that fit into a page."""

import re

import pyarrow as pa
import pytest

from posologie.errors import InputError
from posologie.files import read_csv, write_csv, write_parquet
from posologie.report.blocks import Table
from posologie.report.drawings import inlined
from posologie.report.figures import __main__ as figures
from posologie.report.figures import style
from posologie.report.inputs import Inputs
from posologie.report.published import section as published_section


def test_every_figure_of_the_spec_is_a_file_for_the_page_and_one_for_a_paper(simulated):
    names = {f"{name}.{suffix}" for name in simulated.report.figures() for suffix in ("svg", "pdf")}
    assert {path.name for path in (simulated.root / "figures").iterdir()} == names
    assert {
        "effects",
        "attribution",
        "mcqa",
        "oeq",
        "position",
        "published",
        "composition",
        "compute",
        "training",
    } == set(simulated.report.figures())


def test_a_figure_drawn_again_has_the_same_bytes_and_no_date(simulated, tmp_path):
    spec = simulated.report.model_copy(update={"tables": ("contrasts",)})
    figures.main(["--spec", spec.canonical_json(), "--results", str(simulated.root), "--figures", str(tmp_path)])
    for name in ("effects.svg", "effects.pdf", "training.svg", "training.pdf"):
        again = (tmp_path / name).read_bytes()
        assert again == (simulated.root / "figures" / name).read_bytes()
        assert b"CreationDate" not in again
        assert b"dc:date" not in again


def test_mixes_have_the_same_names_and_order_in_every_figure(simulated):
    order = ["base", "NAT", "TRAD", "SYN", "NAT-TRAD", "NAT-SYN", "TRAD-SYN", "ALL"]
    assert [arm.name for arm in Inputs(simulated.report, simulated.root).arms] == order
    for name in ("effects", "mcqa", "position", "composition", "compute", "training"):
        text = (simulated.root / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        shown = [label for label in re.findall(r">([^<>]+)</text>", text) if label in order]
        expected = [label for label in order if label in shown]
        assert shown[: len(expected)] == expected, name


def test_a_study_without_numbers_for_a_figure_still_gets_the_declared_file(own_study, tmp_path):
    root, spec = own_study
    header = (root / "tables" / "attribution.csv").read_text().splitlines()[0]
    (root / "tables" / "attribution.csv").write_text(header + "\n")
    spec = spec.model_copy(update={"tables": ("attribution",)})
    figures.main(["--spec", spec.canonical_json(), "--results", str(root), "--figures", str(tmp_path / "drawn")])
    assert "this study has no numbers to show here" in (tmp_path / "drawn" / "attribution.svg").read_text()


def test_a_model_of_which_only_bounds_are_known_is_left_out_beside_the_published_numbers(own_study, tmp_path):
    root, spec = own_study
    columns, rows = read_csv(root / "tables" / "mcqa.csv")
    value, interval, published, model = (columns.index(name) for name in ("value", "interval", "published", "model"))
    silent = [row for row in rows if row[published] and "/SYN/" in row[model]]
    assert silent
    for row in silent:
        row[value], row[interval] = "", "bounds"
    write_csv(root / "tables" / "mcqa.csv", columns, [dict(zip(columns, row, strict=True)) for row in rows])
    spec = spec.model_copy(update={"tables": ("mcqa", "published")})
    figures.main(["--spec", spec.canonical_json(), "--results", str(root), "--figures", str(tmp_path / "drawn")])
    assert "this study" in (tmp_path / "drawn" / "published.svg").read_text(encoding="utf-8")
    tables = [block for block in published_section(Inputs(spec, root), None).blocks if isinstance(block, Table)]
    table = next(table for table in tables if table.id == "table-published-0")
    line = next(line for line in table.rows if line[0].text == "SYN")
    assert line[-1].text == "", "no sign is compared"


def test_a_drawing_in_the_page_follows_its_colours_and_has_ids_of_its_own(simulated):
    path = simulated.root / "figures" / "composition.svg"
    drawing = str(inlined(path, "one", "Shares <of> the mixes"))
    assert 'role="img" aria-label="Shares &lt;of&gt; the mixes"' in drawing
    assert "var(--blue)" in drawing
    assert "#0072b2" not in drawing
    assert not re.search(r'\bid="(?!one-)', drawing)
    assert not re.search(r"url\(#(?!one-)", drawing)


def test_a_drawing_with_a_script_is_refused(tmp_path):
    bad = tmp_path / "bad.svg"
    bad.write_text("<svg><script>alert(1)</script></svg>")
    with pytest.raises(InputError, match="expected an SVG drawing without scripts"):
        inlined(bad, "bad", "")


def test_each_judge_is_drawn_against_people_without_the_answers_that_it_was_trained_on(own_study, tmp_path):
    root, spec = own_study
    columns = "set,rater_kind,rater,against,generator,statistic,n,clusters,excluded,value,low,high,level,interval,note"
    rows = ["doctor,judge,strict,human,pooled,pearson,3,3,1,0.6,0.1,0.9,0.95,percentile,"]
    (root / "tables" / "agreement.csv").write_text("\n".join([columns, *rows]) + "\n")
    rated = [{"answer": name, "rating": float(name > "b")} for name in "abcd"]
    write_parquet(root / "human" / "doctor.parquet", pa.Table.from_pylist(rated))
    verdicts = [{"answer": name, "excluded": name == "d", "label": 1, "probability": 0.7} for name in "abcd"]
    write_parquet(root / "judgements" / "strict" / "calibration" / "doctor.parquet", pa.Table.from_pylist(verdicts))
    spec = spec.model_copy(update={"tables": ("agreement",)})
    figures.main(["--spec", spec.canonical_json(), "--results", str(root), "--figures", str(tmp_path / "drawn")])
    assert "strict (n = 3)" in (tmp_path / "drawn" / "calibration.svg").read_text()
    assert "Pearson r" in (tmp_path / "drawn" / "agreement.svg").read_text()


def test_letters_that_the_font_lacks_fall_back_on_other_fonts_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "FALLBACKS", ("No Such Font", "STIXGeneral"))
    figure = style.new_figure(1)
    chinese, plain = figure.text(0.1, 0.5, "病例"), figure.text(0.5, 0.5, "Native été")
    with pytest.warns(UserWarning, match="Glyph .* missing"):  # these two fonts lack it as well
        style.write(figure, tmp_path / "titles")
    assert chinese.get_fontfamily() == ["DejaVu Sans", "STIXGeneral"]
    assert "STIXGeneral" not in plain.get_fontfamily()
    assert "病例" in (tmp_path / "titles.svg").read_text(encoding="utf-8")
