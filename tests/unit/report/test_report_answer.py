"""The answer in three sentences says what the numbers say."""

from dataclasses import replace

from posologie.report.answer import section
from posologie.report.effects import Comparison, Effect
from posologie.report.inputs import Inputs
from posologie.report.spec import ReportSpec
from posologie.statistics.spec import EvaluatedModel, Measured, Statistics

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


def said(tmp_path, *effects, composition=(), attribution=(), best=(), compute=(), leakage=(), margin=None):
    """Return the sentences and the note of the answer to these effects."""
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
    (prose,) = section(Inputs(spec, tmp_path), [comparison]).blocks
    return prose.paragraphs, prose.note


def test_the_first_sentence_names_the_set_that_cannot_be_told_from_the_best(tmp_path):
    rows = [f"{BEST},NAT,1,1,-1.3,4.2,2.4,0.6,4.9", f"{BEST},TRAD,0,1,-6.2,0.3,,,", f"{BEST},SYN,0,0,-12.5,0,,,"]
    (best, counts), note = said(tmp_path, NAT, TRAD, SYN, best=rows)
    assert best == (
        "NAT and TRAD cannot be distinguished from the best of 3 mixes: NAT came out first, "
        "and is at most 1.3 points worse "
        "than the best. Against the base model NAT gains +3.1 points; corrected for its having been chosen, +2.4 (95 % "
        "interval +0.6 to +4.9), in exact match, constrained decoding over 1,200 questions; p < 0.001 after correction "
        "for 3 comparisons."
    )
    assert counts == (
        "Of 3 mixes, 1 is better than base (NAT +3.1), 1 is worse than base (SYN −7.5), 1 is not settled: effects "
        "below about 2.5 points would usually go undetected."
    )
    assert note == ""


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
    sentences, _ = said(tmp_path, NAT, TRAD, SYN, leakage=rows)
    assert sentences[-1] == (
        "Without the tested items that the mix trained on, the verdict against the base model changes for b/NAT/seed-1 "
        "on mcqa (mcqu), b/TRAD/seed-1 on mcqa (mcqu)."
    )
    settled = [row.replace("-1.2,3.9", "0.2,3.9").replace("0.1,3.0", "-0.1,3.0") for row in rows]
    assert "trained on" not in " ".join(said(tmp_path, NAT, TRAD, SYN, leakage=settled)[0])


def test_a_lone_best_mix_is_called_the_best(tmp_path):
    rows = [f"{BEST},NAT,1,1,0,4.2,2.4,0.6,4.9", f"{BEST},SYN,0,0,-12.5,0,,,"]
    (best, _), _ = said(tmp_path, NAT, SYN, best=rows)
    assert best.startswith("NAT is the best of 2 mixes. Against the base model NAT gains +3.1 points; corrected")


def test_without_a_settled_gain_no_mix_is_said_to_help(tmp_path):
    (best, _), _ = said(tmp_path, TRAD, SYN)
    assert best.startswith("No mix is shown to help: the one that came out first, TRAD, gains −0.9 points")
    assert "p = 0.310" in best


def test_equivalence_is_told_with_its_margin(tmp_path):
    (_, counts), _ = said(tmp_path, replace(TRAD, verdict="equivalent"), margin=1.5)
    assert counts == "Of 1 mix, 1 is equivalent to base, within 1.5 points (TRAD −0.9)."


def test_verdicts_on_adapters_say_what_seeds_would_undo_them(tmp_path):
    (_, _, adapters), _ = said(tmp_path, replace(NAT, about="adapters", undone_by=1.36))
    assert adapters == (
        "These verdicts are about the trained adapters, not about the mixes: seeds were not repeated. A standard "
        "deviation between seeds of this many points would undo them: NAT 1.4."
    )


def test_what_would_settle_an_open_verdict_is_said_with_its_hours(tmp_path):
    hours = ["training,b/TRAD/seed-1,2.5", "prediction,b/TRAD/seed-1,0.5"]
    (_, _, settling), _ = said(tmp_path, replace(TRAD, seeds=4, items=2000), compute=hours)
    assert settling == (
        "What would settle this: a difference of 0.9 points, as TRAD shows, would be found with 80 % power by 3 more "
        "seeds of each mix (about 9.0 hours) or 800 more questions."
    )


def test_what_weakens_the_verdicts_stands_beside_the_answer_once(tmp_path):
    weak = "demonstration: n too small; for these trained adapters"
    _, note = said(tmp_path, replace(NAT, note=weak), replace(SYN, note="for these trained adapters"))
    assert note == weak


def test_provenances_are_compared_by_what_the_mixes_hold_and_not_by_their_names(tmp_path):
    one = replace(NAT, arm="first")
    two = replace(SYN, arm="second", low=None, high=None)
    held = ["first,42,train,native,all,all,5,100,9", "second,42,train,synthetic,all,all,5,100,9",
            "NAT,42,train,native,all,all,3,60,9", "NAT,42,train,synthetic,all,all,2,40,9"]  # fmt: skip
    (_, _, alone), _ = said(tmp_path, one, two, NAT, composition=held)
    assert alone == "Alone, against base: native data +3.1 [+1.0, +5.3], synthetic data −7.5."


def test_an_attribution_says_what_each_provenance_adds_largest_first(tmp_path):
    rows = [f"mcqa,all,all,all,item_weighted,em,constrained,original,b,shapley,{term},%,{value},,"
            for term, value in (("native", 1.25), ("synthetic", -2), ("translated", 4))]  # fmt: skip
    (_, _, added), _ = said(tmp_path, NAT, attribution=rows)
    assert added == (
        "Averaged over all ways of adding them, in points with 95 % intervals: translated data +4.0, native data +1.2, "
        "synthetic data −2.0."
    )


def test_a_study_without_contrasts_has_no_answer():
    assert section(None, []) is None


def test_an_attribution_by_a_linear_surface_is_said_to_be_one(tmp_path):
    row = "mcqa,all,all,all,item_weighted,em,constrained,original,b,shapley_linear,native,%,1.5,,"
    (_, _, added), _ = said(tmp_path, NAT, attribution=[row])
    assert added.startswith("Averaged over all ways of adding them, by a linear surface through the mixes, in points")
