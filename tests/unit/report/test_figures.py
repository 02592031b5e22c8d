"""The figures: every declared file, the same bytes, and drawings that fit into a page."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import matplotlib
import pyarrow as pa
import pytest

from posologie.records.files import read_csv, read_parquet, write_csv, write_parquet
from posologie.report.blocks import Table
from posologie.report.figures import __main__ as figures
from posologie.report.figures import components, scores, style
from posologie.report.figures import effects as effects_figures
from posologie.report.html import inlined
from posologie.report.inputs import Inputs
from posologie.report.page import caption_of
from posologie.report.published import section as published_section
from posologie.running.errors import InputError
from posologie.surface.table import COLUMNS


@pytest.fixture(autouse=True)
def settings():
    """The settings under which every figure is drawn."""
    with matplotlib.rc_context(style.SETTINGS):
        yield


def test_every_figure_of_the_spec_is_a_file_for_the_page_and_one_for_a_paper(simulated):
    names = {f"{name}.{suffix}" for name in simulated.report.figures() for suffix in ("svg", "pdf")}
    assert {path.name for path in (simulated.root / "figures").iterdir()} == names
    assert {
        "answer",
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
    spec = simulated.report.model_copy(update={"tables": ("contrasts", "composition")})
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


def test_every_value_is_the_title_of_its_mark_in_a_drawing_that_is_valid_xml(simulated):
    marks = {}
    for path in sorted((simulated.root / "figures").glob("*.svg")):
        tree = ElementTree.parse(path)
        elements = [element for element in tree.iter() if element.get("class") == "mark"]
        marks[path.stem] = {mark.find("{*}title").text: mark for mark in elements}
    attributes = marks["effects"]["SYN, all items: −15.0 points [−37.9, +7.9]; not settled"]
    assert (attributes.get("data-row"), attributes.get("data-parts"), attributes.get("data-value")) == (
        "SYN",
        "synthetic",
        "-15.0",
    )
    assert "NAT-SYN: 50 % synthetic" in marks["answer"]
    assert "ALL: 8 items, native" in marks["composition"]
    assert all(marks.values()), "no figure without marks"


def test_titles_of_mixes_are_text_in_a_drawing(tmp_path):
    figure, (panel,) = style.row_panels(['a <b> & "c"'], 1)
    style.name_rows(panel, [style.Mark('a <b> & "c"', 'a <b> & "c"')])
    style.point(panel, 1.5, 0, None, None, mark=style.Mark("</title><script>", "x", ("n",), 1.5))
    style.write(figure, tmp_path / "drawn")
    tree = ElementTree.parse(tmp_path / "drawn.svg")
    titles = [element.find("{*}title").text for element in tree.iter() if element.get("class") == "mark"]
    assert sorted(titles) == ["</title><script>", 'a <b> & "c"']
    places = [element.get("data-place").split() for element in tree.iter() if element.get("class") == "panel"]
    assert [len(place) for place in places] == [6], "where the axis of values begins and ends"


def test_the_answer_shows_the_highest_mixes_first_and_the_dose_where_a_surface_predicts(own_study):
    root, spec = own_study
    drawn = effects_figures.draw_answer(Inputs(spec, root))
    held, changed = drawn.axes
    names = [label.get_text() for label in held.get_yticklabels()]
    values = [line.get_xdata()[0] for line in changed.lines if line.get_marker() == "o"]
    assert names[0] == "NAT-SYN"
    assert values == sorted(values, reverse=True)
    cells = {"suite": "mcqa", "metric": "em", "backbone": "tiny", "level": "0.95", "mixes": "7", "n": "40", "unit": "%",
             "shares": "native=0.6;translated=0.4;synthetic=0"}  # fmt: skip
    rows = [{"row": "model", "name": "linear", "chosen": "1", "supported": "1"}, {"row": "optimum", "name": "best"},
            {"row": "share", "name": "native", "low": "0.4", "high": "0.9"}]  # fmt: skip
    write_csv(
        root / "tables" / "surface.csv", COLUMNS, [{**dict.fromkeys(COLUMNS, ""), **cells, **row} for row in rows]
    )
    (panel,) = effects_figures.draw_answer(Inputs(spec.model_copy(update={"tables": ("surface",)}), root)).axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["native", "translated", "synthetic"]
    assert [line.get_xdata()[0] for line in panel.lines] == [60, 40, 0]
    assert (panel.patches[0].get_x(), panel.patches[0].get_width()) == (40, 50)


def test_gains_with_and_without_leaked_items_stand_in_one_row(own_study):
    root, spec = own_study
    header = "suite,tasks,model,statistic,items,n,value,low,high,note"
    gains = (("NAT", "all", 3.5), ("NAT", "without_leaked", 1.25), ("SYN", "all", -2), ("SYN", "leaked", 9))
    rows = [f"mcqa,mcqu,tiny/{mix}/seed-42,gain,{items},40,{value},,," for mix, items, value in gains]
    (root / "tables" / "leakage.csv").write_text("\n".join([header, *rows]) + "\n")
    study = Inputs(spec.model_copy(update={"tables": ("leakage",)}), root)
    (panel,) = components.draw_leakage(study).axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["NAT", "SYN"]
    drawn = sorted(line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o")
    assert drawn == [-2, 1.25, 3.5]


def test_a_drawing_with_a_script_is_refused(tmp_path):
    bad = tmp_path / "bad.svg"
    bad.write_text("<svg><script>alert(1)</script></svg>")
    with pytest.raises(InputError, match="expected an SVG drawing without scripts"):
        inlined(bad, "bad", "")


@pytest.fixture
def calibration(own_study, tmp_path):
    """A function that draws a judge against people and returns the SVG; the judge was trained on one answer."""
    root, spec = own_study
    columns = "set,rater_kind,rater,against,generator,statistic,n,clusters,excluded,value,low,high,level,interval,note"
    rows = ["doctor,judge,strict,human,pooled,pearson,3,3,1,0.6,0.1,0.9,0.95,percentile,"]
    (root / "tables" / "agreement.csv").write_text("\n".join([columns, *rows]) + "\n")
    rated = [{"answer": name, "rating": float(name > "b")} for name in "abcd"]
    write_parquet(root / "human" / "doctor.parquet", pa.Table.from_pylist(rated))
    verdicts = [{"answer": name, "excluded": name == "d", "label": 1, "probability": 0.7} for name in "abcd"]
    write_parquet(root / "judgements" / "strict" / "calibration" / "doctor.parquet", pa.Table.from_pylist(verdicts))
    spec = spec.model_copy(update={"tables": ("agreement",)})

    def draw():
        figures.main(["--spec", spec.canonical_json(), "--results", str(root), "--figures", str(tmp_path / "drawn")])
        return (tmp_path / "drawn" / "calibration.svg").read_text()

    return draw


def test_each_judge_is_drawn_against_people_without_the_answers_that_it_was_trained_on(calibration, tmp_path):
    drawn = calibration()
    assert "strict (n = 3)" in drawn
    marks = re.findall('<g class="mark" data-row="(.)"><title>(.*?)</title>', drawn)
    assert marks == [
        ("a", "a: people 0.00, strict 0.70"),
        ("b", "b: people 0.00, strict 0.70"),
        ("c", "c: people 1.00, strict 0.70"),
    ]
    assert "Pearson r" in (tmp_path / "drawn" / "agreement.svg").read_text()


def test_dots_of_more_answers_than_can_be_told_apart_are_not_marked(calibration, monkeypatch):
    monkeypatch.setattr(scores, "_MOST_MARKED", 2)
    drawn = calibration()
    assert "strict (n = 3)" in drawn
    assert 'class="mark"' not in drawn


def boxes(figure, texts):
    """Return where some texts stand in a figure, in pixels."""
    return [text.get_window_extent() for text in texts]


def test_a_title_that_would_reach_into_the_next_panel_is_broken_into_lines():
    figure, panels = style.row_panels(["base", "NAT"], 3)
    for panel in panels:
        panel.set_title("exam questions of the last ten years (n = 1,200)")
        panel.plot([0, 1], [0, 1])
    style.fitted(figure)
    figure.draw_without_rendering()
    titles = boxes(figure, [panel.set_title(panel.get_title(loc="left")) for panel in panels])
    assert all(left.x1 < right.x0 for left, right in pairwise(titles))
    assert titles[-1].x1 <= figure.bbox.x1
    assert panels[0].get_title(loc="left").replace("\n", " ") == "exam questions of the last ten years (n = 1,200)"


def test_a_legend_of_many_long_names_stays_inside_the_figure():
    names = [f"without-textbook-questions-{number}" for number in range(24)]
    assert style.legend_columns(["NAT"]) >= 8
    assert style.legend_columns(["x" * 500]) == 1
    figure = style.new_figure(5)
    panel = figure.subplots()
    for name in names:
        panel.plot([0, 1], [0, 1], label=name)
    style.legend_above(figure, panel, 8)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_values_that_differ_by_rounding_alone_get_an_axis_of_units():
    figure, (panel,) = style.row_panels(["NAT", "SYN"], 1)
    for place, value in enumerate((0.0, 1.7e-17)):
        style.point(panel, value, place, None, None)
    style.fitted(figure)
    assert panel.get_xlim() == (-1.0, 1.0)
    upright = style.new_figure(1).subplots()
    upright.plot([0, 1], [0, 1.7e-17])
    style.fitted(upright.figure)
    assert upright.get_ylim() == (-1.0, 1.0)
    labels = [label.get_text() for label in panel.get_xticklabels()]
    assert panel.xaxis.get_offset_text().get_text() == ""
    assert not any("e" in label for label in labels)


def test_labels_of_ticks_never_touch():
    figure, panels = style.row_panels(["base"], 5, sharex=False)
    for panel in panels:
        panel.plot([17.251, 17.3049], [0, 0])
    style.fitted(figure)
    figure.draw_without_rendering()
    for panel in panels:
        shown = [label for label in panel.get_xticklabels() if label.get_text()]
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes(figure, shown)))


def test_half_a_point_does_not_fill_a_panel_of_open_questions(own_study):
    root, spec = own_study
    columns, rows = read_csv(root / "tables" / "oeq.csv")
    metric, value = columns.index("metric"), columns.index("value")
    for row in rows:
        if row[metric] == "chrf_corpus":
            row[value] = str(17.25 + float(row[value]) / 100)
    write_csv(root / "tables" / "oeq.csv", columns, [dict(zip(columns, row, strict=True)) for row in rows])
    drawn = scores.draw_texts(Inputs(spec, root))
    (panel,) = [panel for panel in drawn.axes if panel.get_title(loc="left") == "corpus chrF"]
    low, high = panel.get_xlim()
    assert high - low == pytest.approx(10.8)
    assert 17 < (low + high) / 2 < 19


def test_a_measure_by_a_model_is_drawn_beside_those_of_words(own_study):
    root, spec = own_study
    columns, rows = read_csv(root / "tables" / "oeq.csv")
    metric = columns.index("metric")
    more = [[*row[:metric], "bertscore", *row[metric + 1 :]] for row in rows if row[metric] == "rougeL"]
    write_csv(root / "tables" / "oeq.csv", columns, [dict(zip(columns, row, strict=True)) for row in rows + more])
    drawn = scores.draw_texts(Inputs(spec, root))
    assert "BERTScore" in {panel.get_title(loc="left") for panel in drawn.axes}


def test_a_single_epoch_has_a_row_of_validation_losses_and_no_lonely_dot(own_study):
    root, spec = own_study
    for file in root.glob("adapters/tiny/*/seed-42/history.parquet"):
        table = read_parquet(file)
        losses = [None] * (len(table) - 1) + [1.5]
        place = table.column_names.index("validation_loss")
        field = table.schema.field("validation_loss")
        write_parquet(file, table.set_column(place, field, pa.array(losses, field.type)))
    drawn = scores.draw_training(Inputs(spec, root))
    right = drawn.axes[1]
    assert right.get_title(loc="left") == "validation loss after the only epoch"
    assert [label.get_text() for label in right.get_yticklabels()] == list(spec.mixes)
    assert [list(line.get_ydata()) for line in right.lines] == [[place] for place in range(len(spec.mixes))]


def test_points_without_an_interval_are_explained_below_the_figure(own_study):
    root, spec = own_study
    _, caption = caption_of(Inputs(spec, root), "oeq")
    assert caption.endswith(" Points without an interval: n too small.")
    for name in spec.figures():
        caption_of(Inputs(spec, root), name)
    columns, rows = read_csv(root / "tables" / "oeq.csv")
    low, high = columns.index("low"), columns.index("high")
    for row in rows:
        row[low], row[high] = row[low] or "1", row[high] or "2"
    write_csv(root / "tables" / "oeq.csv", columns, [dict(zip(columns, row, strict=True)) for row in rows])
    assert "without an interval" not in caption_of(Inputs(spec, root), "oeq")[1]


def test_letters_that_the_font_lacks_fall_back_on_other_fonts_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "FALLBACKS", ("No Such Font", "STIXGeneral"))
    figure = style.new_figure(1)
    chinese, plain = figure.text(0.1, 0.5, "病例"), figure.text(0.5, 0.5, "Native été")
    with pytest.warns(UserWarning, match="Glyph .* missing"):  # these two fonts lack it as well
        style.write(figure, tmp_path / "titles")
    assert chinese.get_fontfamily() == ["DejaVu Sans", "STIXGeneral"]
    assert "STIXGeneral" not in plain.get_fontfamily()
    assert "病例" in (tmp_path / "titles.svg").read_text(encoding="utf-8")
