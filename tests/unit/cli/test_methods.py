"""`posologie methods`: the files for a paper, from the folder of the results alone."""

import json
from pathlib import Path

SAME = ("methods.md", "methods.tex", "methods.bib")


def test_a_study_without_a_report_is_refused(project, posologie):
    code, _, err = posologie("methods")
    page = Path("results/simulated/report/index.html")
    assert (code, err) == (2, f"error: {page}: no report with a seal; run snakemake first\n")


def test_the_files_are_written_from_the_results_alone(reported, asked):
    code, written = asked("methods", "--output", "text")
    assert code == 0
    assert written["files"] == [f"text/{name}" for name in SAME]
    text = Path("text/methods.md").read_text(encoding="utf-8")
    assert "mcqa (24 items in " in text
    assert "@article{hothorn2008" in Path("text/methods.bib").read_text(encoding="utf-8")
    assert r"\citep{hothorn2008}" in Path("text/methods.tex").read_text(encoding="utf-8")
    assert json.dumps(written["checklist"][0]) == json.dumps({"topic": "Items", "said": "mcqa: 24", "open": ""})
