"""People's ratings through Snakemake: a kit out and back, a table of others, judges on both, and the tables."""

import csv
import json

import openpyxl
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

KIT = """
extends: test.yaml
judges:
  first: {backend: {kind: causal, backbone: tiny, precision: float32, threads: 1}}
  second:
    backend: {kind: causal, backbone: tiny, precision: float32, threads: 1}
    prompt: resources/prompts/en/judging/equivalence.md
    trained_on: [ratings/seen.jsonl]
judging:
  chosen: second
  kits:
    round: {models: [tiny/base, tiny/NAT/seed-42], suite: oeq, questions: 6, raters: [anne, bob]}
statistics: {replicates: 200, minimum_clusters: 5}
"""
RATINGS = """
extends: kit.yaml
judging:
  ratings:
    kit-back: {kit: round, files: {anne: ratings/anne.xlsx, bob: ratings/bob.csv}}
    table:
      files: {all: ratings/table.json}
      columns: {item: null, candidate: answer, generator: model, raters: [anne, bob]}
      scale: {kind: ordinal, values: {mauvais: 1, moyen: 2, bon: 3}}
      threshold: 2.5
"""
WORDS = ("mauvais", "moyen", "bon")
TABLES = ("agreement", "agreement_contrasts", "judge_choice", "verbosity", "generator")
WANTED = [f"results/test/tables/{name}.csv" for name in TABLES]


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fill(kit, folder):
    """Rate the sheets as two people would: one keeps the workbook, one saves it as a table with semicolons."""
    for place, rater in enumerate(("anne", "bob")):
        book = openpyxl.load_workbook(kit / f"{rater}.xlsx")
        sheet = book.active
        names = [cell.value for cell in sheet[1]]
        for number, row in enumerate(sheet.iter_rows(min_row=2), 2):
            code = row[names.index("code")].value
            sheet.cell(number, names.index("rating") + 1).value = (int(code, 16) + place * (number % 3 == 0)) % 2
        book.save(folder / f"{rater}.xlsx")
    lines = [["" if cell is None else cell for cell in row] for row in sheet.iter_rows(values_only=True)]
    with (folder / "bob.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows(lines)


def table_of(kit, folder):
    """Write the kit's answers as a table of ordinal ratings made elsewhere."""
    key = pq.read_table(kit / "key.parquet").to_pylist()
    rows = [
        {
            "question": row["question"], "reference": row["reference"], "answer": row["candidate"],
            "model": row["generator"], "anne": WORDS[number % 3], "bob": WORDS[number * 5 % 3] if number else "",
        }
        for number, row in enumerate(key)
    ]  # fmt: skip
    (folder / "table.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


@pytest.fixture(scope="module")
def rated(finished_study, tmp_path_factory):
    """The finished study with two judges, a kit that came back, and a table of ratings."""
    project = finished_study.clone(tmp_path_factory.mktemp("rated") / "project")
    folder = project.root / "ratings"
    folder.mkdir()
    records = json.loads((project.root / "resources/demo/native/Test/oeq/oeq_test.json").read_text(encoding="utf-8"))
    prompt = f"Corrigez cette copie. {records[0]['instruction']} Merci."
    (folder / "seen.jsonl").write_text(json.dumps({"messages": [{"content": prompt}]}) + "\n", encoding="utf-8")
    (project.root / "config/kit.yaml").write_text(KIT)
    project.snakemake("kits", "--configfile", "config/kit.yaml", "--cores", "2")
    kit = project.root / "results/test/human/kits/round"
    fill(kit, folder)
    table_of(kit, folder)
    (project.root / "config/rated.yaml").write_text(RATINGS)
    project.snakemake(*WANTED, "--configfile", "config/rated.yaml", "--cores", "2")
    return project


def test_a_kits_sheets_name_no_model_and_come_back_as_ratings(rated):
    kit = rated.root / "results/test/human/kits/round"
    for rater in ("anne", "bob"):
        cells = [str(cell) for row in openpyxl.load_workbook(kit / f"{rater}.xlsx").active.values for cell in row]
        assert not [cell for cell in cells if "tiny" in cell or "NAT" in cell]
    key = {row["answer"]: row for row in pq.read_table(kit / "key.parquet").to_pylist()}
    ratings = pq.read_table(rated.root / "results/test/human/kit-back.parquet").to_pylist()
    assert {(row["answer"], row["rater"]) for row in ratings} == {(a, r) for a in key for r in ("anne", "bob")}
    assert {row["rating"] for row in ratings if row["rater"] == "anne"} == {0.0, 1.0}
    for row in ratings:
        if row["rater"] == "anne":
            assert row["rating"] == int(key[row["answer"]]["code"], 16) % 2
        assert row["candidate"] == key[row["answer"]]["candidate"]


def test_a_table_of_ordinal_words_becomes_numbers_of_its_scale(rated):
    rows = pq.read_table(rated.root / "results/test/human/table.parquet").to_pylist()
    assert {row["rating"] for row in rows} == {1.0, 2.0, 3.0}
    report = json.loads((rated.root / "results/test/human/table.json").read_text(encoding="utf-8"))
    assert report["ratings"] == {"anne": 12, "bob": 11}, "an empty cell is no rating"


def test_every_judge_rates_every_set_and_what_it_was_trained_on_is_left_out_and_counted(rated):
    rows = rows_of(rated.root / "results/test/tables/agreement.csv")
    for name in ("kit-back", "table"):
        for judge, n, excluded in (("judge:first", "12", "0"), ("judge:second", "10", "2")):
            matching = [row for row in rows if (row["set"], row["rater"], row["generator"]) == (name, judge, "pooled")]
            assert {(row["n"], row["excluded"]) for row in matching} == {(n, excluded)}
            statistics = {row["statistic"] for row in matching}
            assert statistics == {"pearson", "spearman", "kendall", "accuracy", "f1", "kappa", "auc"}
            record = f"results/test/judgements/{judge.removeprefix('judge:')}/calibration/{name}.run.json"
            facts = json.loads((rated.root / record).read_text(encoding="utf-8"))
            assert facts["answers"] == sum(facts["outcomes"].values()) == 12, "replies without a verdict stay"
            assert facts["excluded"] == int(excluded)
            verdicts = pq.read_table((rated.root / record).with_name(f"{name}.parquet")).to_pylist()
            silent = sum(row["outcome"] != "label" for row in verdicts if not row["excluded"])
            assert {row["silent"] for row in matching} == {str(silent)}
        people = [row for row in rows if (row["set"], row["rater_kind"]) == (name, "human")]
        assert {(row["rater"], row["against"]) for row in people} == {("anne", "bob")}


def test_the_tables_over_ratings_hold_every_set_and_judge(rated):
    tables = rated.root / "results/test/tables"
    choice = rows_of(tables / "judge_choice.csv")
    assert {(row["set"], row["judge"], row["n"], row["excluded"]) for row in choice} == {
        (name, judge, "10", "2") for name in ("kit-back", "table") for judge in ("first", "second")
    }, "judges are compared on answers that none was trained on"
    assert {row["judge"] for row in choice if row["configured"] == "1"} == {"second"}
    pairs = {(row["left"], row["right"]) for row in rows_of(tables / "agreement_contrasts.csv")}
    assert {("judge:first", "judge:second"), ("judge:second", "rouge2")} <= pairs
    assert {row["judge"] for row in rows_of(tables / "generator.csv")} == {"first", "second"}
    statistics = {row["statistic"] for row in rows_of(tables / "verbosity.csv")}
    assert {"length_human", "length_judge", "length_judge_given_human", "judge_at_matched_length"} <= statistics


def test_scoring_again_runs_no_model(rated):
    # Prediction, judges and the encoder ask for GPUs; a changed text metric must not reach them.
    module = rated.root / "workflow/posologie/scoring/text.py"
    before = module.read_text(encoding="utf-8")
    module.write_text(f"{before}\n\nREVISED = True\n", encoding="utf-8")
    try:
        jobs = rated.planned("scores", *WANTED, "--configfile", "config/rated.yaml")
    finally:
        module.write_text(before, encoding="utf-8")
    rules = {job.rule for job in jobs} - {"scores"}
    assert rules == {"score_predictions", "score_ratings", *(f"tabulate_{name}" for name in TABLES)}
