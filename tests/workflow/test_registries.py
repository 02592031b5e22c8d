"""What people add stands in one registry each: metrics, tables, reasons. A test says which place is missing."""

import ast
import re
from pathlib import Path

import pyarrow as pa
import pytest

from posologie.backends.texts import Problem
from posologie.config.tables import TABLES
from posologie.prediction.spec import prediction_schema
from posologie.records.reasons import GENERATED, PUBLISHED
from posologie.report.page import PLACED
from posologie.scoring.choices import choice_scores
from posologie.scoring.metrics import METRICS, shown_columns
from posologie.scoring.spec import TextMetrics
from posologie.scoring.text import text_scorer, text_signatures
from posologie.sources.cleaning import Rejected

PACKAGE = Path(__file__).parents[2] / "workflow" / "posologie"
TABLES_PAGE = (PACKAGE / "statistics" / "TABLES.md").read_text(encoding="utf-8")
METHOD = (PACKAGE.parents[1] / "docs" / "method.md").read_text(encoding="utf-8")


def scored_per_answer():
    """Return metric and decoding of all that scoring writes for single answers, without what an encoder scores."""
    labels = {"option_order": [0, 1], "gold": [0], "greedy_labels": [0], "constrained_labels": [1]}
    row = dict.fromkeys(("item", "benchmark", "source", "provenance", "group", "greedy_text"), "x")
    row |= {"variant": "original", "task": "mcqu", "greedy_outcome": "labels", "finish": "stop", **labels}
    row |= {"label_probabilities": [0.6, 0.4], "label_mass": 0.9, "prompt_tokens": 1, "generated_tokens": 1}
    choices = choice_scores(pa.Table.from_pylist([row], schema=prediction_schema()))
    texts = text_scorer(TextMetrics())("une réponse", "la réponse")
    assert set(text_signatures(TextMetrics(), texts)) == set(texts)
    return {(score.metric, score.decoding) for score in choices} | {
        (name, "greedy") for name in (*texts, "cut_at_length") if ":" not in name
    }


def test_what_scoring_writes_is_registered_and_what_is_registered_is_written():
    registered = {
        (name, decoding)
        for name, entry in METRICS.items()
        for decoding in entry.decodings
        if not (entry.of_judge or entry.of_encoder or entry.aggregate_only)
    }
    assert scored_per_answer() == registered


def test_a_metric_cannot_be_registered_without_its_direction_and_its_unit():
    assert not {"title", "kind", "decodings", "direction", "unit"} & METRICS["em"]._field_defaults.keys()


# `judge_upper` is the upper end of bounds: no row has its name.
@pytest.mark.parametrize("name", sorted(METRICS.keys() - {"judge_upper"}))
def test_each_metric_is_documented_and_shown_only_as_it_is_scored(name):
    entry = METRICS[name]
    assert f"`{name}`" in TABLES_PAGE or f"`{name}:{{name}}`" in TABLES_PAGE, "statistics/TABLES.md"
    assert entry.of_judge or f"`{name}`" in METHOD, "docs/method.md"
    assert set(entry.shown) <= set(entry.decodings)
    assert bool(entry.in_text) == bool(entry.cited)
    bibliography = (PACKAGE / "report" / "templates" / "methods.bib").read_text(encoding="utf-8")
    assert not entry.cited or f"{{{entry.cited}," in bibliography, "report/templates/methods.bib"


def test_the_columns_of_the_report_are_those_that_readers_know():
    assert shown_columns("choice")[:4] == [
        ("em", "constrained"), ("em", "greedy"), ("hamming", "constrained"), ("hamming", "greedy"),
    ]  # fmt: skip
    assert [name for name, _ in shown_columns("open")] == [
        "rouge2", "rougeL", "meteor", "chrf_corpus", "bleu_corpus", "bertscore", "words",
    ]  # fmt: skip


def texts_in(node):
    return {
        constant.value
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }


def reasons_raised(name):
    """Return the texts of the first argument of every call of `Rejected` or `Problem`, variables resolved by hand."""
    raised = set()
    for file in PACKAGE.rglob("*.py"):
        source = file.read_text(encoding="utf-8")
        if f"{name}(" not in source:
            continue
        for call in ast.walk(ast.parse(source)):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == name and call.args:
                reason = call.args[0]
                whole = isinstance(reason, ast.Constant | ast.IfExp | ast.Name)
                assert whole, f"{file}:{call.lineno}: write the reason as one text, as in records/reasons.py"
                if isinstance(reason, ast.IfExp):
                    raised |= texts_in(reason.body) | texts_in(reason.orelse)
                else:
                    raised |= texts_in(reason)
    return raised


def problems_of_items():
    tree = ast.parse((PACKAGE / "records" / "items.py").read_text(encoding="utf-8"))
    (function,) = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "problem")
    return {text for node in ast.walk(function) if isinstance(node, ast.Return) for text in texts_in(node)}


def test_every_reason_is_described_and_every_described_reason_is_raised():
    of_a_variable = {"unreadable question", "unreadable answer"}  # columns.py chooses between them in a variable
    assert reasons_raised("Rejected") | problems_of_items() - {""} | of_a_variable == set(PUBLISHED)
    assert reasons_raised("Problem") == set(GENERATED)


def test_a_reason_that_is_not_described_stops_the_reader_and_rejects_nothing():
    for made in (Rejected, Problem):
        with pytest.raises(RuntimeError, match=r"'unheard of': not described in posologie\.records\.reasons"):
            made("unheard of")


@pytest.mark.parametrize("registry", [PUBLISHED, GENERATED], ids=["published", "generated"])
def test_the_page_of_reasons_is_that_of_the_registry(registry):
    page = (PACKAGE.parents[1] / "docs" / "reasons.md").read_text(encoding="utf-8")
    rows = "".join(f"| {reason} | {meaning} |\n" for reason, meaning in sorted(registry.items()))
    assert f"| reason | meaning |\n|---|---|\n{rows}" in page, "docs/reasons.md"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_its_module_its_rule_and_its_documentation(name):
    entry = TABLES[name]
    rules = PACKAGE.parent / "rules"
    own = f"rule tabulate_{name}:"
    places = "".join(path.read_text(encoding="utf-8") for path in rules.glob("functions/*.smk"))
    if entry.inputs:
        assert f"def {entry.inputs}():" in places, f"rules/functions: def {entry.inputs}()"
        listed = (rules / "functions" / "statistics.smk").read_text(encoding="utf-8")
        assert f"        {entry.inputs},\n" in listed, "STATISTICS_INPUTS of rules/functions/statistics.smk"
    else:
        assert any(own in path.read_text(encoding="utf-8") for path in rules.glob("*.smk")), f"rules: {own}"
    module = PACKAGE.joinpath(*entry.module.split(".")).with_suffix(".py")
    assert module.is_file(), module
    assert "def main(argv: list[str]) -> None:" in module.read_text(encoding="utf-8"), f"{module}: main"
    documented = (f"## `{name}`: {entry.title}\n", f"\n`{name}`: `", f"\n`{name}` holds ")
    assert any(text in TABLES_PAGE for text in documented), f"statistics/TABLES.md: ## `{name}`: {entry.title}"


def test_every_table_of_the_rules_is_registered():
    text = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE.parent / "rules").glob("*.smk"))
    assert set(re.findall(r"rule tabulate_(\w+):", text)) == {
        name for name, entry in TABLES.items() if not entry.inputs
    }
    modules = {entry.module for entry in TABLES.values()}
    for file in (PACKAGE / "statistics").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        if "write_table(" in source and "def main(" in source:
            assert f"statistics.{file.stem}" in modules, f"{file}: not in config/tables.py"


def test_the_report_places_only_registered_tables_and_the_other_ones_are_listed_as_they_are():
    assert TABLES.keys() >= PLACED
    assert TABLES.keys() - PLACED == {"proxies", "translation_quality"}
