"""What a paper says of a study: only methods that were used, numbers of the study, and no text that is markup."""

import dataclasses
import re

import pytest

from posologie.report.effects import comparisons
from posologie.report.html import read_template
from posologie.report.inputs import Inputs
from posologie.report.paper import Paper, Point, paper_of
from posologie.report.paper_text import as_latex, as_markdown, bibliography, cited_as, section


@pytest.fixture(scope="module")
def inputs(simulated):
    return Inputs(simulated.report, simulated.root)


@pytest.fixture(scope="module")
def paper(inputs):
    return paper_of(inputs, comparisons(inputs))


def test_only_methods_that_were_used_are_cited(simulated, paper):
    assert {"searle1992", "hothorn2008", "shapley1953", "hsu1984", "lin2004"} <= set(paper.keys)
    assert not {"liu2024dora", "schuirmann1987", "angelopoulos2023", "zhang2020", "peterson2002"} & set(paper.keys)
    fewer = simulated.report.model_copy(update={"tables": ("composition", "mcqa")})
    few = Inputs(fewer, simulated.root)
    methods = paper_of(few, comparisons(few))
    assert not {"hothorn2008", "shapley1953", "hsu1984", "lin2004"} & set(methods.keys)
    assert methods.rows == ()


def test_the_recipe_of_the_run_records_is_told(inputs, simulated):
    recipe = {
        "method": "dora", "rank": 16, "alpha": 32.0, "dropout": 0.05, "epochs": 2, "learning_rate": 1e-4,
        "schedule": "cosine", "warmup_ratio": 0.05, "weight_decay": 0.0, "max_grad_norm": 1.0,
        "effective_batch": 8, "max_length": 512,
        "precision": "float32", "loss_on": "answer",
    }  # fmt: skip
    trained = Inputs(simulated.report, simulated.root)
    trained.__dict__["runs"] = [
        dataclasses.replace(run, facts={**run.facts, "spec": {**run.facts["spec"], "recipe": recipe}})
        for run in inputs.runs
    ]
    text = " ".join(paper_of(trained, []).paragraphs)
    assert "DoRA adapters [@liu2024dora] of rank 16 (α = 32, dropout 0.05) were trained on tiny" in text
    assert "the loss was taken on the tokens of the answer" in text


def test_what_is_not_greedy_or_not_known_is_told(inputs, simulated):
    odd = Inputs(simulated.report, simulated.root)
    differing = {"tiny/NAT/seed-42": {"temperature": 0.7}, "tiny/SYN/seed-42": {"form": "lm_eval"}}
    odd.__dict__["runs"] = [
        dataclasses.replace(
            run, facts={**run.facts, "spec": {**run.facts["spec"], **differing.get(run.model.name, {})}}
        )
        for run in inputs.runs
    ]
    text = " ".join(paper_of(odd, []).paragraphs)
    assert "answered greedily, but for NAT at a temperature of 0.7." in text
    assert "The answers of SYN come from files, which do not say how they were made." in text


def test_the_table_holds_the_primary_scores_and_the_differences_from_base(inputs, paper):
    models = [row[1] for row in paper.rows if row[0] == "mcqa"]
    assert models == [arm.name for arm in inputs.arms]
    base = next(row for row in paper.rows if row[1] == "base")
    assert base[3:] == ("–", "–", "–")
    [score] = [
        row
        for row in inputs.measured(
            inputs.rows("mcqa", scope_kind="all", task="all"), inputs.spec.statistics.primary_choice
        )
        if row["model"] == "tiny/base"
    ]
    assert base[2].startswith(f"{float(score['value']):.1f} [")
    assert "Demonstration: n too small" in paper.caption


def test_the_checklist_is_filled_from_the_study_and_says_what_is_open(paper):
    points = {point.topic: point for point in paper.checklist}
    assert {"Items", "Clusters", "Seeds", "Contamination", "Prompts", "Decoding", "Licences"} <= points.keys()
    assert points["Items"].said == "mcqa: 40, oeq: 8"
    assert points["Clusters"].open == "fewer than 30 clusters in oeq"
    assert points["Seeds"].open.startswith("one seed")
    assert points["Contamination"].open == "audit the mixes"
    assert points["Licences"] == Point("Licences", "none stated under licenses", "missing: native, tiny")


def test_licenses_that_the_study_states_are_in_the_checklist(simulated):
    inputs = Inputs(simulated.report.model_copy(update={"licenses": {"native": "CC-BY-4.0"}}), simulated.root)
    [licences] = [point for point in paper_of(inputs, []).checklist if point.topic == "Licences"]
    assert licences == Point("Licences", "native: CC-BY-4.0", "missing: tiny")


def test_every_citation_has_an_entry_and_is_named_by_author_and_year(paper):
    entries = bibliography(paper.keys)
    assert re.findall(r"^@\w+\{(\w+),", entries, re.MULTILINE) == list(paper.keys)
    keys = re.findall(r"^@\w+\{(\w+),", read_template("methods.bib"), re.MULTILINE)
    assert len(keys) == len(set(keys))
    for key in keys:
        assert re.search(r" \d{4}$", cited_as(key)), key
    assert cited_as("scheffe1958") == "Scheffé 1958"
    assert cited_as("liu2024dora") == "Liu et al. 2024"
    assert cited_as("wilson1927") == "Wilson 1927"
    assert cited_as("posologie") == "The Posologie authors 2026"


def test_every_entry_is_cited_by_something(repository):
    sources = (repository / "workflow/posologie").rglob("*.py")
    cited = {key for path in sources for key in re.findall(r"\b[a-z]+\d{4}\w*", path.read_text(encoding="utf-8"))}
    keys = set(re.findall(r"^@\w+\{(\w+),", read_template("methods.bib"), re.MULTILINE))
    assert keys - cited == {"posologie"}, "the program itself is cited in every text"


def test_texts_of_the_study_are_no_markup(paper):
    hostile = r"\input{/etc/passwd} & 5 % of $x_1^2 | <script> *a* [@b]" + "\n# head"
    odd = Paper("x", ("A text [@wilson1927].",), ("model",), ((hostile,),), hostile, (Point("Prompts", hostile),))
    latex, markdown = as_latex(odd), as_markdown(odd)
    assert r"\citep{wilson1927}" in latex
    assert r"\input" not in latex
    assert r"\textbackslash{}input\{/etc/passwd\} \& 5 \% of \$x\_1\textasciicircum{}2" in latex
    assert "[@wilson1927]" in markdown
    assert "<script>" not in markdown
    assert r"\<script\>" in markdown
    assert "\n# head" not in markdown
    assert r"\[@b\]" in markdown


def test_the_page_has_the_text_with_author_and_year_and_the_files(inputs):
    blocks = section(inputs, comparisons(inputs))
    text = " ".join(paragraph for block in blocks.blocks if block.kind == "prose" for paragraph in block.paragraphs)
    assert "(Searle et al. 1992)" in text
    assert "[@" not in text
    assert [block.title for block in blocks.blocks if block.kind == "source"] == [
        "Markdown (methods.md)", "LaTeX (methods.tex)", "BibTeX (methods.bib)",
    ]  # fmt: skip
