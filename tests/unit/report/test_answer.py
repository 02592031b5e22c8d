"""The answer says what the numbers say, with its catches; so do the sentences that open the next sections."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa

from posologie.records.files import write_parquet
from posologie.report.answer import contributions, counts, section
from posologie.report.effects import Comparison, Effect
from posologie.report.inputs import Inputs
from posologie.report.spec import ReportSpec
from posologie.statistics.spec import EvaluatedModel, Measured, Statistics
from posologie.surface.table import COLUMNS

NAT = Effect(
    arm="NAT",
    backbone="b",
    name="NAT",
    scope_kind="all",
    scope="all",
    n=1200,
    unit="%",
    value=3.14,
    low=1.02,
    high=5.31,
    p_adjusted=0.0004,
    detectable=2.9,
    verdict="better",
    note="",
    family_size=3,
)
SYN = replace(NAT, arm="SYN", value=-7.5, low=-9.0, high=-6.0, verdict="worse")
TRAD = replace(NAT, arm="TRAD", value=-0.87, low=-2.5, high=0.9, p_adjusted=0.31, verdict="not settled", detectable=2.5)


BEST = "mcqa,all,all,item_weighted,em,constrained,original,b"


def answer_of(
    tmp_path, *effects, composition=(), attribution=(), best=(), compute=(), leakage=(), surface=(), margin=None
):
    """Return the answer to these effects, its catches by name, and the sentences of other sections."""
    tables = []
    for name, header, rows in (
        ("composition", "mix,seed,part,provenance,by,name,items,share,characters", composition),
        ("attribution", "suite,scope_kind,scope,task,aggregate,metric,decoding,variants,backbone,method,term,unit,"
         "value,low,high",
         attribution),
        ("best", "suite,scope_kind,task,aggregate,metric,decoding,variants,backbone,mix,chosen,in_set,low,high,"
         "gain_corrected,gain_low,gain_high", best),
        ("compute", "stage,model,hours", compute),
        ("leakage", "suite,tasks,model,statistic,items,low,high", leakage),
        ("surface", ",".join(COLUMNS), surface),
    ):  # fmt: skip
        if rows:
            tables.append(name)
            (tmp_path / "tables").mkdir(exist_ok=True)
            (tmp_path / "tables" / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
    models = (
        EvaluatedModel(name="b/base", kind="base", backbone="b"),
        EvaluatedModel(name="b/TRAD/seed-1", kind="mix", backbone="b", mix="TRAD", seed=1),
    )
    statistics = Statistics(margin=margin)
    spec = ReportSpec(
        study="s", mixes=("TRAD",), models=models, suites=("mcqa",), tables=tuple(tables), statistics=statistics
    )
    comparison = Comparison("mcqa", Measured(metric="em", decoding="constrained"), effects)
    inputs = Inputs(spec, tmp_path)
    (opening,) = section(inputs, [comparison]).blocks
    return SimpleNamespace(
        answer=" ".join(opening.sentences), sentences=opening.sentences, catches=dict(opening.catches),
        settling=opening.settling, counts=counts(inputs, [comparison]), added=contributions(inputs, [comparison]),
    )  # fmt: skip


def test_the_first_sentence_names_the_set_that_cannot_be_told_from_the_best(tmp_path):
    rows = [f"{BEST},NAT,1,1,-1.3,4.2,2.4,0.6,4.9", f"{BEST},TRAD,0,1,-6.2,0.3,,,", f"{BEST},SYN,0,0,-12.5,0,,,"]
    section = answer_of(tmp_path, NAT, TRAD, SYN, best=rows)
    assert section.answer == (
        "NAT and TRAD cannot be distinguished from the best of 3 mixes: NAT ranked first, "
        "and is at most 1.3 points worse "
        "than the best. Against the base model NAT gains +3.1 points; corrected for the choice, +2.4 (95 % "
        "interval +0.6 to +4.9), in exact match, constrained decoding over 1,200 questions; p < 0.001 after correction "
        "for 3 comparisons."
    )
    assert section.counts == (
        "Of 3 mixes, 1 is better than base (NAT +3.1), 1 is worse than base (SYN −7.5), 1 is not settled: effects "
        "below about 2.5 points would usually go undetected."
    )
    assert list(section.catches) == ["Questions", "Contamination"]
    assert section.catches["Questions"] == (
        "1,200 answered by every model; effects below about 2.5 points would usually go undetected."
    )


def test_the_answer_says_whose_verdict_rests_on_leaked_items(tmp_path):
    gains = {
        "b/NAT/seed-1": ("0.8,5.1", "-1.2,3.9"),  # better with them, not settled without
        "b/SYN/seed-1": ("-9.0,-6.0", "-8.8,-5.1"),  # worse either way
        "b/TRAD/seed-1": ("-2.5,0.9", "0.1,3.0"),  # better only without them
    }
    rows = [
        f"mcqa,mcqu,{model},gain,{items},{bounds}"
        for model, sides in gains.items()
        for items, bounds in zip(("all", "without_leaked"), sides, strict=True)
    ]
    rows += ["mcqa,mcqu,b/SYN/seed-1,gain,leaked,1.0,9.0", "mcqa,mcqu,b/SYN/seed-1,score,all,40.0,50.0"]
    assert answer_of(tmp_path, NAT, TRAD, SYN, leakage=rows).catches["Contamination"] == (
        "Leaving out the tested items that a mix trained on changes whether the interval of its gain "
        "over base excludes 0: b/NAT/seed-1 on mcqa (mcqu), b/TRAD/seed-1 on mcqa (mcqu)."
    )
    settled = [row.replace("-1.2,3.9", "0.2,3.9").replace("0.1,3.0", "-0.1,3.0") for row in rows]
    assert "trained on" not in answer_of(tmp_path, NAT, TRAD, SYN, leakage=settled).catches["Contamination"]


def test_a_lone_best_mix_is_called_the_best(tmp_path):
    rows = [f"{BEST},NAT,1,1,0,4.2,2.4,0.6,4.9", f"{BEST},SYN,0,0,-12.5,0,,,"]
    assert answer_of(tmp_path, NAT, SYN, best=rows).answer.startswith(
        "NAT is the best of 2 mixes. Against the base model NAT gains +3.1 points; corrected"
    )


def test_without_a_settled_gain_no_mix_is_said_to_help(tmp_path):
    assert answer_of(tmp_path, TRAD, SYN).answer == (
        "No mix is shown to help: TRAD ranked first and differs from the base model by −0.9 points (95 % interval "
        "−2.5 to +0.9), in exact match, constrained decoding over 1,200 questions; p = 0.310 after correction for 3 "
        "comparisons."
    )


def test_mixes_that_tie_are_all_said_to_have_come_out_first(tmp_path):
    tie = replace(NAT, arm="SYN")
    rows = [f"{BEST},NAT,1,1,-1.3,4.2,2.4,0.6,4.9", f"{BEST},SYN,0,1,-6.2,0.3,,,", f"{BEST},TRAD,0,1,-6.2,0.3,,,"]
    assert answer_of(tmp_path, NAT, tie, TRAD, best=rows).answer.startswith(
        "NAT, SYN and TRAD cannot be distinguished from the best of 3 mixes: NAT and SYN tied for first, and NAT "
        "is at most 1.3 points worse than the best. Against the base model NAT gains"
    )
    unsure = [replace(effect, verdict="not settled") for effect in (NAT, tie)]
    assert answer_of(tmp_path, *unsure).answer.startswith(
        "No mix is shown to help: NAT and SYN tied for first; NAT gains +3.1 points"
    )


def test_a_margin_of_nothing_is_not_told(tmp_path):
    rows = [f"{BEST},NAT,1,1,-0.04,4.2,2.4,0.6,4.9", f"{BEST},SYN,0,1,-6.2,0.3,,,"]
    assert "2 mixes: NAT ranked first. Against" in answer_of(tmp_path, NAT, SYN, best=rows).answer


def test_mixes_that_score_as_base_does_are_said_to(tmp_path):
    nothing = replace(TRAD, value=0.0, low=None, high=None, detectable=0.0)
    section = answer_of(tmp_path, nothing, replace(nothing, arm="SYN"))
    assert section.answer == (
        "No mix is shown to help: all 2 mixes score exactly as the base model does, in exact match, constrained "
        "decoding over 1,200 questions."
    )
    assert section.counts == "None of the 2 mixes differs clearly from the base model."
    assert answer_of(tmp_path, replace(TRAD)).counts == (
        "The mix does not differ clearly from the base model; effects below about 2.5 points would usually go "
        "undetected."
    )
    assert section.catches["Questions"] == "1,200 answered by every model."
    assert "the mix scores exactly as the base model does" in answer_of(tmp_path, nothing).answer


def test_a_mix_that_helps_is_named_where_another_came_out_first(tmp_path):
    first = replace(NAT, arm="SYN", value=4.0, low=-1.0, high=9.0, p_adjusted=0.2, verdict="not settled")
    assert answer_of(tmp_path, NAT, first).answer.startswith(
        "NAT +3.1 is shown to help, although not with the highest score: SYN ranked first and gains"
    )


def test_a_lone_mix_is_not_compared_with_others(tmp_path):
    assert answer_of(tmp_path, replace(TRAD, family_size=1)).answer.startswith(
        "The mix is not shown to help: TRAD differs from the base model by −0.9 points (95 % interval"
    )
    assert answer_of(tmp_path, replace(TRAD, family_size=1)).answer.endswith("p = 0.310.")


def test_a_p_value_at_its_floor_says_how_many_draws_set_it(tmp_path):
    floor = 1 / 10_001
    assert answer_of(tmp_path, replace(NAT, p_adjusted=floor)).answer.endswith(
        "3 comparisons (the smallest p that 10,000 draws can show)."
    )
    assert "smallest p" not in answer_of(tmp_path, replace(NAT, p_adjusted=floor, family_size=1)).answer, (
        "a single comparison has no draws behind it"
    )
    assert "smallest p" not in answer_of(tmp_path, replace(NAT, p_adjusted=2 * floor)).answer


def test_equivalence_is_told_with_its_margin(tmp_path):
    assert (
        answer_of(tmp_path, replace(TRAD, verdict="equivalent"), margin=1.5).counts
        == "Of 1 mix, 1 is equivalent to base, within 1.5 points (TRAD −0.9)."
    )


def test_verdicts_on_adapters_say_what_seeds_would_undo_them(tmp_path):
    assert answer_of(tmp_path, replace(NAT, about="adapters", undone_by=1.36)).catches["Seeds"] == (
        "These verdicts are about the trained adapters, not about the mixes: seeds were not repeated. A standard "
        "deviation between seeds of this many points would undo them: NAT 1.4."
    )


def test_what_would_settle_an_open_verdict_is_said_with_its_hours(tmp_path):
    hours = ["training,b/TRAD/seed-1,2.5", "prediction,b/TRAD/seed-1,0.5"]
    assert answer_of(tmp_path, replace(TRAD, seeds=4, items=2000), compute=hours).settling == (
        "What would settle this: a difference of 0.9 points, as TRAD shows, would be found with 80 % power by 3 more "
        "seeds of each mix (about 9.0 hours) or 800 more questions."
    )


def test_what_else_weakens_the_verdicts_is_a_catch_of_its_own_and_said_once(tmp_path):
    weak = "for these trained adapters; too few clusters"
    section = answer_of(
        tmp_path, replace(NAT, note=weak), replace(SYN, note="too few clusters; demonstration: n too small")
    )
    assert section.catches["Also"] == "Too few clusters."
    assert "Also" not in answer_of(tmp_path, replace(NAT, note="for these trained adapters")).catches


def test_contamination_is_counted_by_mix_and_suite_or_said_not_to_be_known(tmp_path):
    held = [f"{mix},{seed},train,all,all,all,5,100,9" for mix in ("NAT", "SYN") for seed in (1, 2)]
    assert answer_of(tmp_path, NAT).catches["Contamination"].startswith("Not audited")

    def audit(matches):
        for mix in ("NAT", "SYN"):
            for seed in (1, 2):
                items = pa.array(matches if (mix, seed) == ("SYN", 2) else [], pa.string())
                write_parquet(tmp_path / "leakage" / mix / f"seed-{seed}" / "mcqa.parquet", pa.table({"item": items}))
        return answer_of(tmp_path, NAT, composition=held).catches["Contamination"]

    assert audit([]) == "No training item matches a tested one, in 2 mixes."
    assert audit(["a", "a", "b"]) == "Training items that match tested ones: 2 of SYN (mcqa)."


def test_a_dose_stands_beside_the_best_set_where_a_surface_predicts(tmp_path):
    def row(**cells):
        shares = "native=0.6;translated=0.4"
        known = {"suite": "mcqa", "metric": "em", "decoding": "constrained", "variants": "original", "unit": "%",
                 "aggregate": "item_weighted", "backbone": "b", "level": "0.95", "mixes": "7", "n": "1200",
                 "shares": shares, **cells}  # fmt: skip
        return ",".join(str(known.get(column, "")) for column in COLUMNS)

    def surface(supported):
        return [
            row(row="model", name="mean", value=4.2, chosen=0),
            row(row="model", name="linear", value=1.9, chosen=1, supported=supported),
            row(row="optimum", name="best", value=46.2, low=44.1, high=48.3, regret=0.4, most_regret=1.9),
            row(row="base", name="base", value=40),
            row(row="region", name="share of the simplex", value=0.25),
            row(row="share", name="native", low=0.4, high=0.9),
        ]

    best = [f"{BEST},NAT,1,1,-1.3,4.2,2.4,0.6,4.9", f"{BEST},TRAD,0,1,-6.2,0.3,,,", f"{BEST},SYN,0,0,-12.5,0,,,"]
    first, dose = answer_of(tmp_path, NAT, TRAD, SYN, best=best, surface=surface(1)).sentences
    assert first == (
        "NAT and TRAD cannot be distinguished from the best of 3 trained mixes; NAT ranked first and gains +2.4 "
        "(95 % interval +0.6 to +4.9) points over the base model, corrected for the choice, n = 1,200."
    )
    assert dose == (
        "Give 60 % native, 40 % translated: the expected exact match, constrained decoding is 46.2 % (95 % interval "
        "44.1 to 48.3), 6.2 points above the base model; mixes with native 40 to 90 % may be as good."
    )
    assert len(answer_of(tmp_path, NAT, best=best, surface=surface(0)).sentences) == 1, (
        "a surface that predicts nothing"
    )
    alone = [f"{BEST},NAT,1,1,0,4.2,2.4,0.6,4.9", f"{BEST},SYN,0,0,-12.5,0,,,"]
    lone = answer_of(tmp_path, NAT, SYN, best=alone, surface=surface(1)).sentences[0]
    assert lone.startswith("NAT is the best of 2 trained mixes and gains +2.4 (95 % interval +0.6 to +4.9) points")
    lost = answer_of(tmp_path, TRAD, surface=surface(1)).sentences[0]
    assert lost.startswith("The mix is not shown to help: TRAD differs from the base model by −0.9 points (95 % ")


def test_provenances_are_compared_by_what_the_mixes_hold_and_not_by_their_names(tmp_path):
    first = replace(NAT, arm="first")
    two = replace(SYN, arm="second", low=None, high=None)
    held = ["first,42,train,native,all,all,5,100,9", "second,42,train,synthetic,all,all,5,100,9",
            "NAT,42,train,native,all,all,3,60,9", "NAT,42,train,synthetic,all,all,2,40,9"]  # fmt: skip
    assert (
        answer_of(tmp_path, first, two, NAT, composition=held).added
        == "Alone, against base (with 95 % intervals): native data +3.1 [+1.0, +5.3], synthetic data −7.5."
    )


def test_an_attribution_says_what_each_provenance_adds_largest_first(tmp_path):
    rows = [f"mcqa,all,all,all,item_weighted,em,constrained,original,b,shapley,{term},%,{value},,"
            for term, value in (("native", 1.25), ("synthetic", -2), ("translated", 4))]  # fmt: skip
    assert answer_of(tmp_path, NAT, attribution=rows).added == (
        "Averaged over all ways of adding them, in points: translated data +4.0, native data +1.2, synthetic data −2.0."
    )


def test_a_study_without_contrasts_has_no_answer():
    assert section(Inputs(ReportSpec(study="s", mixes=(), models=(), suites=(), tables=()), Path()), []) is None


def test_an_attribution_by_a_linear_surface_is_said_to_be_one(tmp_path):
    row = "mcqa,all,all,all,item_weighted,em,constrained,original,b,shapley_linear,native,%,1.5,,"
    assert answer_of(tmp_path, NAT, attribution=[row]).added.startswith(
        "Averaged over all ways of adding them, by a linear surface through the mixes, in points"
    )


def test_intervals_of_what_components_add_are_told_where_there_are_any(tmp_path):
    row = "mcqa,all,all,all,item_weighted,em,constrained,original,b,shapley,native,%,1.25,-0.5,3"
    assert answer_of(tmp_path, NAT, attribution=[row]).added == (
        "Averaged over all ways of adding them, in points with 95 % intervals: native data +1.2 [−0.5, +3.0]."
    )


def test_nothing_is_said_to_settle_a_difference_of_nothing_or_what_enough_seeds_and_items_are_there_for(tmp_path):
    assert answer_of(tmp_path, replace(TRAD, value=0.01, items=2000)).settling == ""
    assert answer_of(tmp_path, replace(TRAD, seeds=1, items=1200)).settling == ""


def test_effects_on_no_items_at_all_have_no_answer(tmp_path):
    spec = ReportSpec(study="s", mixes=(), models=(), suites=(), tables=())
    comparison = Comparison(
        "mcqa", Measured(metric="em", decoding="constrained"), (replace(NAT, scope_kind="benchmark"),)
    )
    assert section(Inputs(spec, tmp_path), [comparison]) is None
