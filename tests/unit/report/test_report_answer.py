"""The answer in three sentences says what the numbers say."""

from dataclasses import replace

from posologie.report.answer import section
from posologie.report.effects import Comparison, Effect
from posologie.report.inputs import Inputs
from posologie.report.spec import ReportSpec
from posologie.statistics.spec import EvaluatedModel, Measured

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
    p_holm=0.0004,
    detectable=2.9,
    verdict="higher",
    note="",
    family_size=3,
)
SYN = replace(NAT, arm="SYN", value=-7.5, low=-9.0, high=-6.0, verdict="lower")
TRAD = replace(NAT, arm="TRAD", value=-0.87, low=-2.5, high=0.9, p_holm=0.31, verdict="not settled", detectable=2.5)


def said(tmp_path, *effects, composition=(), attribution=()):
    """Return the sentences and the note of the answer to these effects."""
    tables = []
    for name, header, rows in (
        ("composition", "mix,seed,part,provenance,by,name,items,share,characters", composition),
        ("attribution", "suite,scope,task,aggregate,metric,decoding,variants,backbone,method,term,unit,value,low,high",
         attribution),
    ):  # fmt: skip
        if rows:
            tables.append(name)
            (tmp_path / "tables").mkdir(exist_ok=True)
            (tmp_path / "tables" / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
    models = (EvaluatedModel(name="b/base", kind="base", backbone="b"),)
    spec = ReportSpec(study="s", mixes=(), models=models, suites=("mcqa",), tables=tuple(tables))
    comparison = Comparison("mcqa", Measured(metric="em", decoding="constrained"), effects)
    (prose,) = section(Inputs(spec, tmp_path), [comparison]).blocks
    return prose.paragraphs, prose.note


def test_the_best_mix_is_named_with_size_interval_and_certainty(tmp_path):
    (best, counts), note = said(tmp_path, NAT, TRAD, SYN)
    assert best == (
        "NAT helps most: against the base model it gains +3.1 points (95 % interval +1.0 to +5.3) in exact match, "
        "constrained decoding over 1,200 questions, p < 0.001 after correction for 3 comparisons."
    )
    assert counts == (
        "Of 3 mixes, 1 is higher than base (NAT +3.1), 1 is lower than base (SYN −7.5), 1 is not settled: differences "
        "below about 2.5 points would usually go unseen."
    )
    assert note == ""


def test_without_a_settled_gain_no_mix_is_said_to_help(tmp_path):
    (best, _), _ = said(tmp_path, TRAD, SYN)
    assert best.startswith("No mix is shown to help: the best of them, TRAD, differs from the base model by −0.9")
    assert "p = 0.310" in best


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
    rows = [f"mcqa,all,all,item_weighted,em,constrained,original,b,shapley,{term},%,{value},,"
            for term, value in (("native", 1.25), ("synthetic", -2), ("translated", 4))]  # fmt: skip
    (_, _, added), _ = said(tmp_path, NAT, attribution=rows)
    assert added == (
        "Averaged over all ways of adding them, in points with 95 % intervals: translated data +4.0, native data +1.2, "
        "synthetic data −2.0."
    )


def test_a_study_without_contrasts_has_no_answer():
    assert section(None, []) is None
