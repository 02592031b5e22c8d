"""The table of contrasts: paired tests, families of comparisons, seeds."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from study_tables import EM, pick, table, write_models

from posologie.records import layout
from posologie.records.files import read_parquet, write_parquet
from posologie.running.errors import InputError
from posologie.scoring.choices import BY
from posologie.scoring.spec import score_schema
from posologie.statistics import contrasts, mcqa
from posologie.statistics.registration import FILE, register
from posologie.statistics.spec import TableSpec


def test_a_contrast_of_single_adapters_is_a_paired_t_test_over_clusters(small):
    row = pick(table(small, contrasts), scope_kind="all", task="all", aggregate="item_weighted")
    assert (row["left"], row["right"], row["n"], row["clusters"]) == ("NAT", "base", "100", "100")
    assert float(row["value"]) == 10
    # Ten of 60 native questions differ, all to one side, and none of 40 translated ones: two strata.
    share = 10 / 60
    error = 60 / 100 * np.sqrt(share * (1 - share) / 59)
    assert float(row["df"]) == 98
    assert float(row["p_value"]) == pytest.approx(2 * stats.t.sf(0.1 / error, 98), abs=1e-6)
    assert float(row["low"]) == pytest.approx(10 - 100 * stats.t.ppf(0.975, 98) * error, abs=1e-4)
    assert float(row["p_mcnemar"]) == pytest.approx(2 / 2**10, abs=1e-6)
    assert row["test"] == "crossed model, adapters as they are"
    assert (row["about"], row["verdict"], row["note"]) == ("adapters", "better", "for these trained adapters")


def test_a_settled_verdict_on_single_adapters_says_what_seeds_would_undo_it(small):
    row = pick(table(small, contrasts), scope_kind="all", task="all", aggregate="item_weighted")
    undone, error = float(row["undone_by_seed_sd"]), (10 - float(row["low"])) / stats.t.ppf(0.975, 98)
    assert stats.t.ppf(0.975, 98) * np.hypot(error, undone) == pytest.approx(10, abs=1e-4)


def test_tables_name_the_procedures_behind_constrained_answers(study, make_item):
    items = [make_item(number) for number in range(60)]
    numbers = np.random.default_rng(1)
    names = ("q/base", "q/NAT/seed-42", "q/SYN/seed-42")
    write_models(study, items, {name: list(numbers.integers(0, 2, 60).astype(float)) for name in names})
    served = study.root / layout.scores("q/SYN/seed-42", "mcqa")
    rows = read_parquet(served).to_pylist()
    named = [{**row, "signature": row["signature"] + BY + "json_schema"} for row in rows if row["metric"] == "em"]
    others = [row for row in rows if row["metric"] != "em"]
    write_parquet(served, pa.Table.from_pylist([*named, *others], schema=score_schema()))
    means = {row["model"]: row["signature"] for row in table(study, mcqa) if row["metric"] == "em"}
    assert means == {"q/base": "test", "q/NAT/seed-42": "test", "q/SYN/seed-42": "test|labels by json_schema"}
    notes = {(row["left"], row["right"]): row["note"] for row in table(study, contrasts)}
    assert "constrained by json_schema against automaton" in notes["SYN", "base"]
    assert "constrained by automaton against json_schema" in notes["NAT", "SYN"]
    assert "constrained by" not in notes["NAT", "base"]
    printed = (study.root / "tables" / "table.tex").read_text(encoding="utf-8")
    assert "json" not in printed, "the table of contrasts was written last"
    table(study, mcqa)
    printed = (study.root / "tables" / "table.tex").read_text(encoding="utf-8")
    assert r"Labels of q/SYN/seed-42 by json\_schema." in printed


def test_tables_name_where_label_probabilities_come_from(study, make_item):
    items = [make_item(number) for number in range(60)]
    sure = {"original": list(np.linspace(0.3, 0.9, 60))}
    for name in ("q/base", "q/NAT/seed-42"):
        right = {"original": [float(number % 2) for number in range(60)]}
        scores = {EM: right, ("confidence", "probabilities"): sure, ("right_at_first_step", "probabilities"): right}
        study.scores(name, "mcqa", items, scores)
    served = study.root / layout.scores("q/NAT/seed-42", "mcqa")
    rows = read_parquet(served).to_pylist()
    for row in rows:
        row["signature"] += f"{BY}first_token" if row["decoding"] == "probabilities" else ""
    write_parquet(served, pa.Table.from_pylist(rows, schema=score_schema()))
    for row in table(study, mcqa):
        named = row["decoding"] == "probabilities" and row["model"] == "q/NAT/seed-42"
        assert row["signature"].endswith("|labels by first_token") == named
    measured = {"metric": "confidence", "decoding": "probabilities"}
    compared = table(study, contrasts, statistics={"families": {"sure": {"suites": ["mcqa"], "measured": measured}}})
    notes = {row["note"] for row in compared if row["decoding"] == "probabilities"}
    assert all("probabilities by first_token against local model" in note for note in notes)
    assert notes


def test_mcnemars_test_is_not_printed_where_clusters_have_several_items(study, make_item):
    items = [make_item(number, group=f"case-{number // 4}") for number in range(160)]
    numbers = np.random.default_rng(1)
    write_models(
        study, items, {name: list(numbers.integers(0, 2, 160).astype(float)) for name in ("q/base", "q/NAT/seed-42")}
    )
    assert {row["p_mcnemar"] for row in table(study, contrasts)} == {""}


def test_a_demonstration_says_so_beside_every_verdict(small):
    rows = table(small, contrasts, demonstration=True)
    assert all(row["note"].startswith("demonstration: n too small") for row in rows)


def test_p_values_are_corrected_over_their_family_and_over_nothing_else(study, make_item):
    items = [make_item(number) for number in range(80)]
    numbers = np.random.default_rng(2)
    values = {name: list((numbers.random(80) < share).astype(float)) for name, share in
              (("q/base", 0.3), ("q/NAT/seed-42", 0.6), ("q/SYN/seed-42", 0.35))}  # fmt: skip
    write_models(study, items, values)
    row = {"scope_kind": "all", "task": "all", "aggregate": "item_weighted"}
    rows = [pick(table(study, contrasts), **row, left=left, right="base") for left in ("NAT", "SYN")]
    assert {(row["family_size"], row["correction"]) for row in rows} == {("2", "max-T")}
    for entry in rows:
        alone, corrected = float(entry["p_value"]), float(entry["p_adjusted"])
        assert alone <= corrected <= 2 * alone + 0.01, "at least the pointwise p, at most Bonferroni's"
        assert float(entry["simultaneous_low"]) < float(entry["low"])
        assert (corrected < 0.05) == (float(entry["simultaneous_low"]) > 0 or float(entry["simultaneous_high"]) < 0)
    write_models(study, [make_item(number, "other") for number in range(80)], values)
    for model in list(study.models):
        source, target = (study.root / f"scores/{model}/{name}.parquet" for name in ("mcqa", "more"))
        target.write_bytes(source.read_bytes())
    write_models(study, items, values)
    study.suites["more"] = {"benchmarks": {}}
    again = [pick(table(study, contrasts), **row, suite="mcqa", left=left, right="base") for left in ("NAT", "SYN")]
    assert again == rows, "a further suite changes no p-value"


def test_a_family_of_the_configuration_joins_its_rows(small):
    family = {
        "suites": ["mcqa"],
        "measured": {"metric": "em", "decoding": "constrained"},
        "scopes": ["native", "translated"],
    }
    rows = table(small, contrasts, statistics={"families": {"by-origin": family}})
    mine = [row for row in rows if row["family"] == "by-origin"]
    assert [(row["scope"], row["task"], row["aggregate"], row["family_size"]) for row in mine] == [
        ("native", "all", "item_weighted", "2"),
        ("translated", "all", "item_weighted", "2"),
    ]


def test_a_family_may_hold_pairs_that_no_other_test_needs(study, make_item):
    items = [make_item(number) for number in range(60)]
    numbers = np.random.default_rng(3)
    models = ("q/base", "q/NAT/seed-42", "q/SYN/seed-42")
    write_models(study, items, {name: list((numbers.random(60) < 0.5).astype(float)) for name in models})
    measured = {"metric": "em", "decoding": "constrained"}
    family = {"suites": ["mcqa"], "measured": measured, "contrasts": [["NAT", "SYN"]]}
    rows = table(study, contrasts, statistics={"families": {"blends": family}})
    assert [(row["left"], row["right"], row["family_size"]) for row in rows if row["family"] == "blends"] == [
        ("NAT", "SYN", "1")
    ]


def test_a_family_without_a_single_test_is_refused(small):
    family = {"suites": ["mcqa"], "measured": {"metric": "em", "decoding": "constrained"}, "scopes": ["synthetic"]}
    with pytest.raises(InputError, match=r"statistics.families.lost: no test belongs to it"):
        table(small, contrasts, statistics={"families": {"lost": family}})


def test_models_that_answer_alike_have_no_interval_of_no_width(small):
    rows = table(small, contrasts)
    row = pick(rows, scope="translated", task="all", aggregate="item_weighted")
    assert (row["value"], row["p_value"], row["verdict"]) == ("0", "1", "not settled")
    assert (row["low"], row["high"], row["detectable"], row["interval"]) == ("", "", "", "none")
    assert row["note"].startswith("the same in every draw")


def test_listed_contrasts_of_unknown_mixes_are_refused(small):
    with pytest.raises(InputError, match=r"statistics.contrasts: 'TRAD': expected one of NAT, base"):
        table(small, contrasts, statistics={"contrasts": [["NAT", "TRAD"]]})


def test_below_thirty_clusters_a_difference_has_an_interval_of_its_clusters(study, make_item):
    items = [make_item(number, group=f"case-{number // 2}") for number in range(24)]
    base = [0.0] * 24
    mix = [1.0] * 12 + [0.0] * 12
    write_models(study, items, {"q/base": base, "q/NAT/seed-42": mix})
    row = pick(table(study, contrasts), scope_kind="all", aggregate="item_weighted")
    clusters = np.repeat([1.0, 0.0], 6)
    theirs = stats.ttest_1samp(clusters, 0.0)
    # No answer of base is right: half an answer more on either side joins the variance.
    error = np.sqrt(clusters.var(ddof=1) / 12 + 0.5 / 24**2)
    assert error > theirs.confidence_interval().high - 0.5 - 0.32
    assert (row["interval"], row["df"]) == ("t", "11")
    assert float(row["low"]) == pytest.approx(50 - 100 * stats.t.ppf(0.975, 11) * error, abs=1e-4)
    assert row["note"].startswith("n too small; few right or wrong answers")


def test_clusters_that_all_differ_alike_have_the_p_of_their_sign_patterns_and_no_interval(study, make_item):
    items = [make_item(number) for number in range(12)]
    write_models(study, items, {"q/base": [0.0] * 12, "q/NAT/seed-42": [1.0] * 12})
    row = pick(table(study, contrasts), scope_kind="all", aggregate="item_weighted")
    assert (row["low"], row["high"], row["detectable"], row["interval"]) == ("", "", "", "none")
    assert row["note"].startswith("n too small; the same in every draw")
    assert row["test"] == "sign flips of clusters, exact"
    assert float(row["p_value"]) == pytest.approx(2 / 2**12, abs=1e-6)


def test_from_three_seeds_on_seeds_are_drawn_too(study, make_item):
    items = [make_item(number) for number in range(300)]
    numbers = np.random.default_rng(3)
    ease = numbers.random(300)
    # Adapters of one mix differ far more between seeds than items do.
    for seed, share in ((1, 0.2), (2, 0.5), (3, 0.8)):
        study.scores(f"q/NAT/seed-{seed}", "mcqa", items, {EM: {"original": list((ease < share).astype(float))}})
    study.scores("q/base", "mcqa", items, {EM: {"original": list((ease < 0.3).astype(float))}})
    row = pick(table(study, contrasts, statistics={"replicates": 4000}), scope_kind="all", aggregate="item_weighted")
    assert row["test"] == "crossed model, seeds drawn"
    assert (row["about"], row["seed_df"]) == ("recipes", "2")
    assert float(row["seed_sd"]) == pytest.approx(30, abs=3)
    assert "for these trained adapters" not in row["note"]
    assert (row["left_model"], row["verdict"]) == ("q/NAT", "not settled")
    # The spread over seeds, 0.3 / sqrt(3), rules the interval; clusters alone would give about ±5 points.
    assert float(row["high"]) - float(row["low"]) > 40


def test_two_seeds_are_taken_as_they_are(study, make_item):
    items = [make_item(number) for number in range(100)]
    nothing = {(name, "probabilities"): {"original": [None] * 100} for name in ("confidence", "right_at_first_step")}
    for seed in (1, 2):
        study.scores(f"q/NAT/seed-{seed}", "mcqa", items, {EM: {"original": [float(seed == 1)] * 100}} | nothing)
    study.scores("q/base", "mcqa", items, {EM: {"original": [0.0] * 100}} | nothing)
    rows = table(study, mcqa)
    joined = pick(rows, model="q/NAT", scope_kind="all", aggregate="item_weighted")
    assert (joined["seed"], float(joined["value"])) == ("all", 50)
    contrast = pick(table(study, contrasts), scope_kind="all", aggregate="item_weighted")
    assert "for these trained adapters" in contrast["note"]


def test_no_name_of_a_benchmark_changes_a_number(study, make_item):
    # Row 12 of issue 16: benchmarks called like their provenances doubled the family.
    numbers = np.random.default_rng(4)
    values = {name: list((numbers.random(120) < share).astype(float)) for name, share in
              (("q/base", 0.3), ("q/NAT/seed-42", 0.5), ("q/SYN/seed-42", 0.35))}  # fmt: skip
    tables = []
    for names in (("native", "translated"), ("translated", "native"), ("bench-b", "bench-a")):
        items = [
            make_item(number, "x", provenance="native" if number < 60 else "translated")
            | {"benchmark": names[number >= 60]}
            for number in range(120)
        ]
        write_models(study, items, values)
        rows = table(study, contrasts)
        renamed = dict(zip(names, ("first", "second"), strict=True))
        for row in rows:
            if row["scope_kind"] == "benchmark":
                row["scope"] = renamed[row["scope"]]
            row["family"] = ""
        tables.append(sorted(rows, key=lambda row: [row[key] for key in ("scope_kind", "scope", "aggregate", "left",
                                                                         "right")]))  # fmt: skip
    assert tables[0] == tables[1] == tables[2]
    assert {row["family_size"] for row in tables[0] if row["right"] == "base"} == {"2"}


def test_a_scope_that_is_a_provenance_and_a_benchmark_must_be_told_apart(study, make_item):
    items = [make_item(number, "native") for number in range(40)]
    numbers = np.random.default_rng(5)
    models = ("q/base", "q/NAT/seed-42")
    write_models(study, items, {name: list((numbers.random(40) < 0.5).astype(float)) for name in models})
    family = {"suites": ["mcqa"], "measured": {"metric": "em", "decoding": "constrained"}, "scopes": ["native"]}
    with pytest.raises(InputError, match=r"statistics.families.own.scopes: 'native' is a component and a benchmark"):
        table(study, contrasts, statistics={"families": {"own": family}})
    family["scopes"] = ["benchmark:native"]
    rows = table(study, contrasts, statistics={"families": {"own": family}})
    assert [row["scope_kind"] for row in rows if row["family"] == "own"] == ["benchmark"]


def test_equivalence_and_non_inferiority_are_judged_within_a_margin(study, make_item):
    items = [make_item(number) for number in range(2000)]
    numbers = np.random.default_rng(6)
    base = (numbers.random(2000) < 0.5).astype(float)
    mix = np.where(numbers.random(2000) < 0.01, 1 - base, base)
    write_models(study, items, {"q/base": list(base), "q/NAT/seed-42": list(mix)})
    chosen = {"scope_kind": "all", "aggregate": "item_weighted"}
    without = pick(table(study, contrasts), **chosen)
    assert (without["verdict"], without["p_equivalent"], without["margin"]) == ("not settled", "", "")
    row = pick(table(study, contrasts, statistics={"margin": 1.0}), **chosen)
    assert (row["verdict"], row["margin"]) == ("equivalent", "1")
    value, df = float(row["value"]), float(row["df"])
    error = (value - float(row["low"])) / stats.t.ppf(0.975, df)
    assert float(row["p_noninferior"]) == pytest.approx(stats.t.sf((value + 1) / error, df), abs=1e-6)
    assert float(row["p_equivalent"]) == pytest.approx(stats.t.sf((1 - abs(value)) / error, df), abs=1e-6)
    wide = pick(table(study, contrasts, statistics={"margin": 0.1}), **chosen)
    assert wide["verdict"] == "not settled"


def test_a_row_says_why_its_pointwise_interval_and_its_verdict_differ(study, make_item):
    numbers = np.random.default_rng(7)
    items = [make_item(number) for number in range(200)]
    base = (numbers.random(200) < 0.5).astype(float)
    values = {"q/base": list(base)}
    for place in range(7):  # 14 answers better and 3 worse: p about .008, after correction for seven about .05
        moved = base.copy()
        moved[np.flatnonzero(base == 0)[20 + place * 2 : 33 + place * 2]] = 1
        moved[np.flatnonzero(base == 1)[place : place + 3]] = 0
        values[f"q/M{place}/seed-42"] = list(moved)
    settled_rows = 0
    for row in table(study_with(study, items, values), contrasts, statistics={"replicates": 4000}):
        outside = float(row["low"]) > 0 or float(row["high"]) < 0
        settled = row["verdict"] != "not settled"
        assert settled == (float(row["p_adjusted"]) < 0.05)
        explained = "the pointwise interval excludes 0, after correction" in row["note"]
        assert explained == (outside and not settled)
        settled_rows += explained
    assert settled_rows


def study_with(study, items, values):
    write_models(study, items, values)
    return study


def test_the_table_says_of_each_verdict_whether_it_was_registered(small):
    before = table(small, contrasts)
    assert {row["registered"] for row in before} == {""}
    now = TableSpec.from_json(small.spec()).statistics.model_dump(mode="json")
    for mixes, margin, registered in (
        (["NAT"], None, "registered"),
        (["NAT"], "doses", "not registered: mix NAT was changed afterwards"),
        ([], None, "not registered: mix NAT was not named"),
        (["NAT"], 2.0, "not registered: statistics.margin was changed afterwards"),
    ):
        (small.root / FILE).unlink(missing_ok=True)
        sections = {
            "statistics": {**now, "margin": None if margin == "doses" else margin},
            "doses": {"NAT": {"shares": {"native": 0.5} if margin == "doses" else {"native": 1.0}, "size": "9"}},
            "surface": {},
            "mixes": dict.fromkeys(mixes),
            "suites": ["mcqa"],
            "training_seeds": [],
        }
        register(small.root, "s", sections, "2026-01-01")
        rows = table(small, contrasts, blends={"NAT": {"native": 1}}, sizes={"NAT": "9"})
        assert {row.pop("registered") for row in rows} == {registered}
        assert rows == [{key: value for key, value in row.items() if key != "registered"} for row in before]
