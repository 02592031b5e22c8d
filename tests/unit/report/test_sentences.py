"""Sentences of the report beside its answer: each says what its numbers say, in every case that numbers can be in."""

from types import SimpleNamespace

import pyarrow as pa
import pytest

from posologie.records.files import write_parquet
from posologie.report import attribution, bias, corrections, effects, judges, published, training
from posologie.report.bias import ranking_kept
from posologie.report.effects import Comparison, Effect
from posologie.report.inputs import Inputs
from posologie.report.names import counted, joined
from posologie.report.spec import ReportSpec
from posologie.report.tables import Row
from posologie.statistics.spec import Measured, Statistics


def row(**cells):
    """Return a row of a table with these cells."""
    return Row({name: str(cell) for name, cell in cells.items()}, "table.csv")


def inputs(root, statistics=None, **tables):
    """Return a study with these rows of tables alone."""
    settings = {} if statistics is None else {"statistics": statistics}
    spec = ReportSpec(study="s", mixes=(), models=(), suites=("mcqa",), tables=tuple(tables), **settings)
    return Inputs(spec, root, tables)


def test_names_and_counts_are_put_in_words():
    assert [joined(["A"]), joined(["A", "B"]), joined("ABC")] == ["A", "A and B", "A, B and C"]
    assert [counted(1, "job"), counted(0, "job"), counted(1200, "job")] == ["1 job", "0 jobs", "1,200 jobs"]


@pytest.mark.parametrize(
    ("value", "low", "high", "sentence"),
    [
        ("", "", "", "under permutation: in one of the two orders all of them score the same"),
        ("nan", "", "", "cannot be said"),
        ("1", "0.2", "1", "The models keep their ranking under permutation (Kendall's τ = 1.00 [0.20, 1.00])."),
        ("0.62", "0.2", "0.9", "tend to score higher under permutation (Kendall's τ = 0.62 [0.20, 0.90])."),
        ("-0.62", "-0.9", "-0.2", "tend to score lower under permutation (Kendall's τ = −0.62 [−0.90, −0.20])."),
        (
            "-0.19",
            "-0.8",
            "0.5",
            "The models are not shown to keep their ranking under permutation (Kendall's τ = −0.19 [",
        ),
        ("0.4", "", "", "The models are not shown to keep their ranking under permutation (Kendall's τ = 0.40)."),
    ],
)
def test_the_ranking_under_permutation_is_said_to_be_kept_only_where_it_is(value, low, high, sentence):
    assert sentence in ranking_kept(row(value=value, low=low, high=high))


@pytest.mark.parametrize(
    ("prompts", "flipped", "halvings", "sentence"),
    [
        (0, 0, 0, "No prompt was computed again on its own: models answered in float32"),
        (1, 0, 0, "1 prompt of 1 job was computed again without a batch: none had a different most probable label"),
        (64, 0, 0, "64 prompts of 1 job were computed again without a batch: none had a different most probable label"),
        (64, 2, 0, "2 had a different most probable label than in the batch (3.1 %): near-ties"),
        (64, 2, 1, "Memory ran out in 1 of 1 prediction job; chunks were halved 1 time in all"),
    ],
)
def test_what_batches_change_is_counted(prompts, flipped, halvings, sentence):
    audit = {"prompts": prompts, "likeliest_label_flipped": flipped}
    facts = {"stage": "prediction", "started": "now", "recomputed_alone": audit, "chunk_halvings": halvings}
    record = SimpleNamespace(model=SimpleNamespace(name="b/base"), facts=facts)
    study = SimpleNamespace(runs=[record], arms=[], rows=lambda table, **cells: [])
    (text,) = bias.flipped_labels(study).paragraphs
    assert sentence in text
    assert ("Memory" in text) is bool(halvings)


@pytest.mark.parametrize(
    ("gpu_hours", "energies", "sentence"),
    [
        (0, ["", ""], "2 jobs took 1.00 hours, none of them on a GPU."),
        (1, ["", ""], "2 jobs took 1.00 hours, 1.00 of GPUs. No GPU's energy counter could be read."),
        (1, [0.25, ""], "GPUs took 0.25 kWh in the 1 job whose counters could be read."),
        (1, [0.25, 0.5], "GPUs took 0.75 kWh in the 2 jobs whose counters could be read."),
    ],
)
def test_what_the_study_cost_is_told_for_what_was_measured(tmp_path, gpu_hours, energies, sentence):
    common = dict.fromkeys(("model", "stage", "suites", "peak_memory_gb", "peak_gpu_memory_gb", "trained_tokens",
                            "prompt_tokens", "generated_tokens", "gpu", "cpus", "processor"), "")  # fmt: skip
    rows = [row(**common, hours=0.5, gpu_hours=gpu_hours / 2, energy_kwh=energy) for energy in energies]
    (total,) = training.compute_section(inputs(tmp_path, compute=rows), None).blocks[0].paragraphs
    assert total.endswith(sentence)


def agreeing(rater, n=100):
    return row(rater_kind="judge", rater=rater, against="human", generator="pooled", n=n)


def test_agreement_with_people_is_said_to_rest_on_the_answers_that_were_rated(tmp_path):
    assert judges.agreement_worth(inputs(tmp_path, agreement=[agreeing("a"), agreeing("b", 98)])).endswith(
        "It rests here on 100 rated answers at most, and its interval shows how much they settle: judges whose "
        "intervals overlap are not ordered by them."
    )
    assert judges.agreement_worth(inputs(tmp_path, agreement=[agreeing("a", 1)])).endswith(
        "on 1 rated answer at most, and its interval shows how much they settle."
    )
    assert judges.agreement_worth(inputs(tmp_path)).endswith("the judge's agreement with people.")


@pytest.mark.parametrize(
    ("best", "own", "expected"),
    [
        ("0.61", "0.49", "On doctors the judge that agrees best with people is small (r = 0.61); large judged"),
        ("0.61", "0.61", "On doctors small agrees with people as well as large does; large judged"),
        ("", "", "On doctors the judge that agrees best with people is small; large judged"),
    ],
)
def test_another_judge_than_the_configured_one_is_told_with_what_is_known_of_it(tmp_path, best, own, expected):
    rows = [
        row(set="doctors", judge="small", value=best, by_rule=1, configured=0),
        row(set="doctors", judge="large", value=own, by_rule=0, configured=1),
    ]
    (sentence,) = judges.mismatches(inputs(tmp_path, judge_choice=rows))
    assert sentence.startswith(expected)


def test_what_length_does_to_a_score_has_its_sign_and_its_judge():
    cells = {"metric": "judge:large", "unit": "%", "note": "", "interval": "percentile"}
    less = row(value=-2.5, low=-4, high=-1, **cells)
    assert judges.length_effect(less, False) == " Doubling the words changes the score by −2.5 points [−4.0, −1.0]."
    assert judges.length_effect(less, True).startswith(
        " Doubling the words changes “found equivalent by large” by −2.5"
    )
    assert judges.length_effect(row(value="", low="", high="", **cells), False) == ""


def test_corrected_scores_open_with_the_differences_that_are_clear_of_0():
    cells = {"kind": "difference", "judge": "j", "level": 0.95, "low": 1, "high": 9, "note": "", "unit": "%"}
    small = row(model="q/ALL", against="q/base", value=5, naive=11, p_holm=0.01, **cells)
    large = row(model="q/ALL", against="q/NAT", value=-7, naive="", p_holm=0.6, **cells)
    untested = row(model="q/ALL", against="q/TRAD", value="", naive="", p_holm="", **cells)
    assert corrections._conclusions([small, large, untested]) == [
        "With j, 1 of 2 corrected differences can be distinguished from 0; "
        "the largest is q/ALL minus q/base: +5.0 points [+1.0, +9.0]; the judge alone says +11.0."
    ]
    assert corrections._conclusions([large, large]) == [
        "With j, none of the 2 corrected differences can be distinguished from 0."
    ]
    assert corrections._conclusions([untested]) == []


def test_answers_that_may_steer_a_judge_are_counted_and_named(tmp_path):
    file = tmp_path / "judgements/strict/calibration/doctors.parquet"
    answers = [("a1", None), ("a2", "control token <|im_end|>"), ("a3", None)]
    file.parent.mkdir(parents=True)
    write_parquet(file, pa.Table.from_pylist([{"answer": answer, "steering": mark} for answer, mark in answers]))
    cells = {"set": "doctors", "rater_kind": "judge"}
    study = inputs(tmp_path, agreement=[row(rater="judge:strict", **cells), row(rater="judge:from-a-file", **cells)])
    (sentence,) = judges.steered(study, "doctors")
    assert sentence.startswith("1 of 3 rated answers may steer strict: a2 (control token <|im_end|>).")


def test_more_ratings_are_asked_for_only_where_they_would_help():
    def further(*more):
        return corrections._further([row(kind="model", judge="j", more_ratings=number) for number in more])

    assert further("") == []
    assert further(0)[0] == "With j, further ratings of these answers would hardly shorten any interval."
    assert further(0, 1)[0].startswith("With j, 1 more rating of each model's answers would bring")
    assert further(40, 3)[0].startswith("With j, 40 more ratings of each")


@pytest.mark.parametrize(
    ("family_size", "p_value", "sentence", "marked"),
    [
        (1, 1 / 201, "are those of one comparison, so nothing is corrected.", False),
        (3, 1 / 201, "hold for all 3 comparisons of a column together.", True),
        (3, 2 / 201, "hold for all 3 comparisons of a column together.", False),
    ],
)
def test_p_values_of_the_table_say_when_more_draws_would_make_them_smaller(
    tmp_path, family_size, p_value, sentence, marked
):
    study = inputs(tmp_path, Statistics(replicates=200))
    effect = Effect(
        "NAT",
        "b",
        "NAT",
        scope_kind="all",
        scope="all",
        n=12,
        unit="%",
        value=1.0,
        low=0.5,
        high=1.5,
        p_adjusted=p_value,
        detectable=1.0,
        verdict="better",
        note="",
        family_size=family_size,
    )
    comparison = Comparison("mcqa", Measured(metric="em", decoding="constrained"), (effect,))
    (table,) = effects.section(study, [comparison], None).blocks
    assert sentence in table.caption
    assert ("† the smallest p that 200 draws can show." in table.caption) is marked


def test_whether_a_gain_carries_over_is_said_with_its_size_or_what_would_go_undetected(tmp_path):
    cells = {"mix": "SYN", "left": "native", "right": "synthetic", "unit": "%", "value": -4.5, "detectable": 3}
    clear = row(verdict="more on right", **cells)
    assert effects.carried(inputs(tmp_path), [clear]) == "SYN gains 4.5 points more on synthetic than on native items."
    unclear = effects.carried(inputs(tmp_path), [row(verdict="not settled", **cells)])
    assert unclear.endswith("on another's; differences below about 3.0 points would usually go undetected.")
    bare = effects.carried(inputs(tmp_path), [row(verdict="not settled", **cells | {"detectable": ""})])
    assert bare.endswith("than on another's.")


def test_the_best_dose_of_each_sweep_is_said_with_how_sure_it_is(tmp_path):
    same = {"suite": "mcqa", "scope": "all", "task": "all", "metric": "em", "decoding": "constrained",
            "variants": "original", "aggregate": "item_weighted", "backbone": "b"}  # fmt: skip
    rows = [
        row(sweep="synthetic", mix=mix, dose=dose, value=value, best_share=share, **same)
        for mix, dose, value, share in (("LOW", 0.25, 41, 70), ("HIGH", 0.5, 40, ""), ("NONE", 1, "", ""))
    ]
    sentence = attribution.best_dose(inputs(tmp_path, dose_response=rows), "mcqa")
    assert sentence == "synthetic: a dose of 0.25, LOW, scored highest (the best in 70 % of draws)."
    assert attribution.best_dose(inputs(tmp_path, dose_response=[]), "mcqa") == ""


def test_the_judge_nearest_to_people_is_named_with_the_number_of_rated_answers(tmp_path):
    same = {"set": "doctor", "rater_kind": "judge", "against": "human", "generator": "pooled", "note": "", "low": 0.1}
    rows = [row(rater=f"judge:{name}", statistic="pearson", value=value, high=0.9, n=40, **same)
            for name, value in (("small", 0.4), ("large", 0.6))]  # fmt: skip
    assert judges.nearest(inputs(tmp_path, agreement=rows), "doctor") == (
        "large, best of 2 judges, agrees with people with Pearson r = 0.60 [0.10, 0.90] on 40 rated answers."
    )
    silent = [row(rater="judge:a", statistic="pearson", value="", high="", n=40, **same)]
    assert judges.nearest(inputs(tmp_path, agreement=silent), "doctor").startswith("No judge has given enough verdicts")


def test_a_validation_loss_that_rises_again_is_told():
    def curve(name, *validation):
        return training.Curve(name, name, [1, 2], [2.0, 1.0], list(enumerate(validation)))

    assert training.trend([curve("A", 1.5)]) == (
        "The training loss fell in 1 of 1 adapter, on average from 2.00 to 1.00 nats."
    )
    assert training.trend([curve("A", 2, 1)]).endswith("; every validation loss was lowest at the end.")
    assert "; the validation loss of B rose again" in training.trend([curve("A", 2, 1), curve("B", 1, 2)])


def test_agreement_with_a_published_study_is_told_by_its_signs():
    cells = {"title": "EM", "signs_equal": 3, "signs_compared": 6, "kendall_tau": 0.49, "low": -0.2, "high": 0.62}
    sentence = published.agreement([row(**cells | {"signs_compared": ""}), row(**cells)])
    assert sentence == (
        "On “EM”, 3 of 6 mixes differ from base in the published direction, and the rankings agree with Kendall's "
        "τ = 0.49 [−0.20, 0.62]."
    )
    assert published.agreement([]) == ""
