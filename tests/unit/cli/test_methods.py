"""`posologie methods`: the files for a paper, from the folder of the results alone."""

import json
from pathlib import Path

from posologie.running.seals import Identity, write_seal


def test_the_files_are_written_from_the_results_alone(project, posologie, asked, finished):
    page = Path("results/simulated/report/index.html")
    code, _, err = posologie("methods")
    assert (code, err) == (2, f"error: {page}: no report with a seal; run snakemake first\n")
    page.parent.mkdir()
    page.write_text("<p>")
    models = [{"name": "tiny/base", "kind": "base", "backbone": "tiny"}]
    models += [
        {"name": f"tiny/{mix}/seed-42", "kind": "mix", "backbone": "tiny", "mix": mix, "seed": 42}
        for mix in ("NAT", "SYN")
    ]
    spec = {
        "study": "simulated",
        "mixes": ["NAT", "SYN"],
        "models": models,
        "suites": ["mcqa"],
        "tables": ["mcqa", "contrasts"],
    }
    write_seal([page], Identity("posologie.report", "code", spec), {}, {})
    code, written = asked("methods", "--output", "text")
    assert code == 0
    assert written["files"] == [f"text/methods.{suffix}" for suffix in ("md", "tex", "bib")]
    text = Path("text/methods.md").read_text(encoding="utf-8")
    assert "mcqa (24 items in " in text
    assert "@article{hothorn2008" in Path("text/methods.bib").read_text(encoding="utf-8")
    assert r"\citep{hothorn2008}" in Path("text/methods.tex").read_text(encoding="utf-8")
    assert json.dumps(written["checklist"][0]) == json.dumps({"topic": "Items", "said": "mcqa: 24", "open": ""})
