"""LaTeX beside each table."""

from posologie.statistics.tables import Latex, escape, latex_table, write_table

ROWS = [
    {"model": "q/base", "scope": scope, "value": value, "low": low, "high": value + 1, "level": 0.95, "note": "a_b & c"}
    for scope, value, low in (("all", 41.25, 40.0), ("native", -0.04, None))
]


def test_columns_across_bring_their_intervals():
    text = latex_table(Latex("Scores, in %.", index=("model",), across=("scope",)), ROWS)
    assert "model & all & native \\\\" in text
    assert "q/base & 41.2 [40.0, 42.2] & 0.0 \\\\" in text, "no interval where a bound is missing, and no minus zero"
    assert "\\caption{Scores, in \\%. Intervals: 95\\,\\%.}" in text


def test_a_list_has_a_line_for_each_row_that_is_wanted():
    latex = Latex("A list.", index=("model",), where={"scope": ("native",)}, show=("value", "note"), digits=2)
    lines = latex_table(latex, ROWS).splitlines()
    assert lines[lines.index("\\midrule") + 1 : lines.index("\\bottomrule")] == ["q/base & $-$0.04 & a\\_b \\& c \\\\"]


def test_what_latex_would_read_as_a_command_is_text():
    assert escape("50 % & {x}_1 \\ ~") == "50 \\% \\& \\{x\\}\\_1 \\textbackslash{} \\textasciitilde{}"


def test_csv_and_latex_lie_beside_each_other(tmp_path):
    write_table(tmp_path / "t.csv", tuple(ROWS[0]), ROWS, Latex("Scores.", index=("model",), across=("scope",)))
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").startswith("model,scope,value,low,high,level,note\n")
    assert (tmp_path / "t.tex").read_text(encoding="utf-8").endswith("\\end{table}\n")


def test_a_p_value_is_never_printed_as_0():
    latex = Latex("Tests.", index=("left",), show=("p_adjusted",), digits=1)
    rows = [{"left": name, "p_adjusted": p} for name, p in (("a", 0.0004), ("b", 0.0014), ("c", 1.0))]
    text = latex_table(latex, rows)
    assert "a & $<$0.001" in text
    assert "b & 0.001" in text
    assert "c & 1.000" in text
