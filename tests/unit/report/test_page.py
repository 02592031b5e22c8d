"""The page: what it says, what it refuses, and that it needs nothing else."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from posologie.records.files import write_parquet
from posologie.report import __main__ as report
from posologie.report import page, scores
from posologie.report.figures import __main__ as figures
from posologie.report.inputs import Inputs
from posologie.running.errors import InputError
from posologie.running.planning import accept
from posologie.scoring.choices import BY
from posologie.screening import matrix


def page_of(root, spec):
    """Write the page of a study and return its text."""
    target = root / "report" / "index.html"
    report.main(["--spec", spec.canonical_json(), "--results", str(root), "--report", str(target)])
    return target.read_text(encoding="utf-8")


class _Ids(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.references = [], []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "xlink:href") and value.startswith("#"):
                self.references.append(value[1:])
            if name in ("for", "aria-labelledby"):
                self.references.append(value)
            self.references += re.findall(r"url\(#([^)]+)\)", value or "")


def test_the_page_has_every_section_in_the_order_a_reader_wants(own_study):
    text = page_of(*own_study)
    assert re.findall(r'<section id="([a-z]+)"', text) == [
        "answer", "effects", "attribution", "scores", "published", "bias", "composition", "training", "compute",
        "items", "method", "paper",
    ]  # fmt: skip


def test_ids_are_unique_and_every_reference_leads_somewhere(own_study):
    parser = _Ids()
    parser.feed(page_of(*own_study))
    assert len(parser.ids) == len(set(parser.ids))
    assert set(parser.references) <= set(parser.ids)


def test_nothing_is_loaded_from_elsewhere(own_study):
    text = page_of(*own_study)
    assert not re.search(r'(src|href)="(https?:)?//', text)
    assert not re.search(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text


def test_a_demonstration_says_so_at_the_top_and_once_for_each_table_of_verdicts(own_study):
    text = page_of(*own_study)
    table = text[text.index('id="table-effects-mcqa"') : text.index('id="table-effects-oeq"')]
    assert table.count("A demonstration: n is too small for any of these verdicts.") == 1
    assert len(re.findall(r"<td[^>]*>(?:better|worse|not settled)</td>", table)) == 7
    assert "Demonstration: n too small for any verdict." in text[: text.index('id="answer"')]
    root, spec = own_study
    assert "A demonstration:" not in page_of(root, spec.model_copy(update={"demonstration": False}))


def test_the_head_says_what_was_trained_and_asked_what_it_cost_when_and_by_which_code(own_study, monkeypatch):
    root, spec = own_study
    monkeypatch.setattr(page, "commit", lambda: "0123456789ab+")
    head = re.search(r'<dl class="head">(.*?)</dl>', page_of(root, spec), re.DOTALL).group(1)
    described = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", head))
    assert described.pop("Program").endswith(", commit 0123456789ab+")
    assert described.pop("Cost").endswith(" minutes on the CPU")
    assert described == {
        "Backbone": "tiny",
        "Trained": "7 mixes of 24 items",
        "Tested": "mcqa 40 items and oeq 8 items",
        "Run": "2026-01-01",
    }
    records = sorted((root / "predictions" / "tiny").rglob("*.run.json"))
    facts = {"backbone_revision": "f" * 40, "started": "2026-03-02T01:00:00+00:00"}
    records[-1].write_text(json.dumps(json.loads(records[-1].read_text()) | facts))
    monkeypatch.setattr(page, "commit", lambda: None)
    bare = page_of(root, spec.model_copy(update={"tables": ()}))
    assert "<dd>tiny (revision ffffffffffff)</dd>" in bare
    assert "<dd>2026-01-01 to 2026-03-02</dd>" in bare
    assert "<dd>7 mixes</dd>" in bare
    assert not re.search(r"<dt>(Cost|Tested)</dt>|, commit", bare)


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes_under_any_hash_seed(own_study):
    root, spec = own_study
    pages = set()
    for seed in ("1", "2"):
        target = root / f"page-{seed}.html"
        command = [sys.executable, "-m", "posologie.report", "--spec", spec.canonical_json()]
        command += ["--results", str(root), "--report", str(target)]
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, check=True)
        pages.add(target.read_bytes())
    assert len(pages) == 1


def test_a_table_that_the_spec_leaves_out_is_left_out_of_the_page(own_study):
    root, spec = own_study
    (root / "tables" / "attribution.csv").unlink()
    text = page_of(root, spec.model_copy(update={"tables": ("composition", "mcqa", "contrasts", "compute")}))
    assert re.findall(r'<section id="([a-z]+)"', text) == [
        "answer", "effects", "scores", "composition", "training", "compute", "items", "method", "paper",
    ]  # fmt: skip


def test_a_table_that_the_spec_names_and_the_study_lacks_is_an_error(own_study):
    root, spec = own_study
    (root / "tables" / "oeq.csv").unlink()
    with pytest.raises(InputError, match=r"tables/oeq\.csv: no such table, although the report's spec names it"):
        page_of(root, spec)


def test_a_table_without_a_section_of_its_own_is_shown_as_it_is(own_study):
    root, spec = own_study
    (root / "tables" / "leak.csv").write_text("mix,share\nNAT,-0.5\n<b>,\n")
    text = page_of(root, spec.model_copy(update={"tables": (*spec.tables, "leak")}))
    assert 'id="table-leak"' in text
    assert 'data-sort="-0.5" data-copy="-0.5">−0.5<' in text
    assert "&lt;b&gt;" in text


def test_a_missing_figure_or_run_record_is_named(own_study):
    root, spec = own_study
    (root / "figures" / "oeq.svg").rename(root / "figures" / "gone.svg")
    with pytest.raises(InputError, match=r"figures/oeq\.svg: no such figure"):
        page_of(root, spec)
    (root / "figures" / "gone.svg").rename(root / "figures" / "oeq.svg")
    (root / "adapters" / "tiny" / "SYN" / "seed-42" / "run.json").unlink()
    with pytest.raises(InputError, match=r"SYN/seed-42/run\.json: no such file"):
        page_of(root, spec)


def test_a_published_model_in_the_place_of_training_has_no_record_or_history_here(own_study):
    root, spec = own_study
    shutil.rmtree(root / "adapters" / "tiny" / "SYN")
    models = tuple(
        model.model_copy(update={"published": True}) if model.mix == "SYN" else model for model in spec.models
    )
    text = page_of(root, spec.model_copy(update={"models": models}))
    assert 'id="training"' in text


def test_suites_have_settings_of_their_own_that_do_not_make_their_runs_unlike(own_study):
    root, spec = own_study
    for model in ("base", *(f"{mix}/seed-42" for mix in spec.mixes)):
        record = root / "predictions" / "tiny" / model / "oeq.run.json"
        facts = json.loads(record.read_text())
        facts["spec"] = {**facts["spec"], "suites": {"oeq": {"max_new_tokens": 32}}}
        record.write_text(json.dumps(facts))
    assert "rest on runs that differ from each other" not in page_of(root, spec)
    facts["spec"]["suites"]["oeq"]["max_new_tokens"] = 8
    record.write_text(json.dumps(facts))
    assert "prediction: the recipe differs: " in page_of(root, spec)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"libraries": {"python": "3.11.7", "torch": "2.12.0"}}, "training: torch differs: 2.13.0 for "),
        ({"code": "another code"}, "training: the code differs: "),
        ({"spec": {"model": "tiny/SYN/seed-42", "recipe": {"learning_rate": 0.5}}}, "training: the recipe differs: "),
        ({"chat_template_sha256": "4" * 64}, "training: the chat template differs: "),
        ({"hardware": {"gpus": [{"name": "H100"}]}}, "training: the processor differs: CPU for "),
    ],
)
def test_runs_that_are_not_alike_are_told_at_the_top(own_study, change, warning):
    root, spec = own_study
    assert "rest on runs that differ from each other" not in page_of(root, spec)
    record = root / "adapters" / "tiny" / "SYN" / "seed-42" / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    text = page_of(root, spec)
    assert "rest on runs that differ from each other" in text
    notice = re.search(rf"<li>({re.escape(warning)}.*?)</li>", text).group(1)
    assert notice.endswith("for SYN.")


def test_accepted_changes_of_code_are_shown_with_their_reason(own_study):
    root, spec = own_study
    assert "Accepted changes of code" not in page_of(root, spec)
    entry = {"module": "posologie.scoring", "old": "aaa", "new": "bbb", "when": "2026-01-01", "reason": "only <faster>"}
    accept(root, [entry])
    text = page_of(root, spec)
    assert "Accepted changes of code" in text
    assert "only &lt;faster&gt;" in text


def test_flips_between_batches_and_halved_chunks_are_told(own_study):
    root, spec = own_study
    assert "No prompt was computed again on its own" in page_of(root, spec)
    for name, prompts, flipped in (("base", 64, 1), ("SYN/seed-42", 36, 2)):
        for suite in spec.suites:  # the suites of one job state the whole job
            record = root / "predictions" / "tiny" / name / f"{suite}.run.json"
            audit = {"prompts": prompts, "likeliest_label_flipped": flipped}
            facts = {"started": "2026-01-01T00:00:00", "recomputed_alone": audit, "chunk_halvings": flipped}
            record.write_text(json.dumps(json.loads(record.read_text()) | facts))
    text = page_of(root, spec)
    assert "100 prompts of 2 jobs were computed again without a batch: 3 had a different most probable label" in text
    assert "(3.0 %)" in text
    assert re.search(r"Memory ran out in 2 of \d+ prediction jobs; chunks were halved 3 times", text)


def test_constrained_answers_of_a_served_model_are_named_beside_those_of_local_ones(own_study):
    root, spec = own_study
    sentence = "Not all constrained answers come from the automaton of local models"
    assert sentence not in page_of(root, spec)
    record = root / "predictions" / "tiny" / "base" / "mcqa.run.json"
    facts = {"constrained_answers": {"first_token": 5, "json_schema": 3}}
    record.write_text(json.dumps(json.loads(record.read_text()) | facts))
    text = page_of(root, spec)
    assert text.count(sentence) >= 2, "in the caption of the table, and where predictions are explained"
    assert "by the most probable label of the first token or a JSON schema" in text


def test_every_table_of_choice_scores_names_labels_that_are_not_the_automatons(own_study):
    root, spec = own_study
    path = root / "tables" / "mcqa.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    best = max((row for row in rows if row["kind"] == "mix"), key=lambda row: float(row["value"]))["model"]
    for row in rows:
        if row["model"] == best and row["decoding"] == "constrained":
            row["signature"] += f"{BY}likelihoods"
            row["value"] = "100"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    inputs = Inputs(spec, root)
    section = scores.section(inputs, {})
    choice = [block for block in section.blocks if block.kind == "table" and block.file.endswith("mcqa.csv")]
    assert len(choice) > 1
    sentence = "Not all constrained answers come from the automaton of local models: "
    named = next(arm.name for arm in inputs.arms if arm.model == best)
    assert all(f"{sentence}{named} by the log-likelihoods of labels or options." in table.caption for table in choice)
    assert "with labels by the log-likelihoods of labels or options" in scores.highest(inputs, "mcqa")


def test_a_title_is_text_and_never_markup(own_study):
    root, spec = own_study
    text = page_of(root, spec.model_copy(update={"title": "<script>alert(1)</script>"}))
    assert "<script>alert" not in text
    assert "<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>" in text


def test_screening_and_the_audits_of_the_mixes_are_told(own_study):
    root, spec = own_study
    columns = ",".join(matrix.COLUMNS)
    rows = [
        "native,train,remove,suite,mcqa,200,3,1,0,0,0,0,0,0,0,4,2,0.8,5,40,3",
        "native,train,remove,within,native,200,0,0,0,0,0,0,0,0,0,0,0,0,1.9,,",
    ]
    (root / "tables" / "screening.csv").write_text("\n".join([columns, *rows]) + "\n")
    for mix in spec.mixes:
        for suite in spec.suites:
            items = ["a", "a", "b"] if (mix, suite) == ("SYN", "mcqa") else []
            path = root / "leakage" / mix / "seed-42" / f"{suite}.parquet"
            write_parquet(path, pa.table({"item": pa.array(items, pa.string())}))
    drawn = spec.model_copy(update={"tables": ("screening",)})
    figures.main(["--spec", drawn.canonical_json(), "--results", str(root), "--figures", str(root / "figures")])
    assert "native, against mcqa: 2.0 % [0.8, 5.0]" in (root / "figures" / "screening.svg").read_text(encoding="utf-8")
    spec = spec.model_copy(update={"tables": (*spec.tables, "screening")})
    text = page_of(root, spec)
    section = text[text.index('<section id="leakage"') :].partition("</section>")[0]
    assert "suite mcqa</td>" in section
    assert (
        "Training items that match tested ones: 2 of SYN (mcqa). Before the mixes were drawn, up to "
        "2.0\N{NO-BREAK SPACE}% of a source matched (native, against mcqa) and was left out."
    ) in section
    assert "2 of SYN (mcqa)" in text[: text.index('id="effects"')], "the answer has it among its catches"
    assert "left out</td>" in section
    audit = section[section.index('id="table-leakage"') :]
    assert re.search(r">SYN</th><td[^>]*>2</td><td[^>]*>0</td>", audit)
    (root / "leakage" / "NAT" / "seed-42" / "oeq.parquet").unlink()
    with pytest.raises(InputError, match=r"leakage/NAT/seed-42/oeq\.parquet: no such file"):
        page_of(root, spec)
