"""What the page says of judges: agreement of raters, the choice of a judge, and a mismatch at the top."""

import pyarrow as pa
import pytest

from posologie.records.files import write_parquet
from posologie.report.inputs import Inputs
from posologie.report.judges import mismatches, section
from posologie.report.method import notices

AGREEMENT = (
    "set,rater_kind,rater,against,generator,statistic,n,clusters,excluded,triples,silent,value,low,high,level,"
    "interval,note"
)
CHOICE = (
    "set,judge,n,clusters,excluded,triples,silent,value,low,high,level,interval,chosen_share,by_rule,configured,"
    "corrected,note"
)
LENGTH = (
    "suite,scope_kind,scope,metric,statistic,model,kind,backbone,mix,seed,n,clusters,silent,unit,value,low,high,level,"
    "interval,support,note"
)
STEERING = pa.schema([("item", pa.string()), ("steering", pa.string())])


@pytest.fixture
def rated(own_study):
    root, spec = own_study
    agreement = [
        "doctors,judge,judge:small,human,pooled,pearson,100,100,0,0,2,0.6,0.5,0.7,0.95,percentile,",
        "doctors,human,anne,bob,pooled,kappa,40,40,0,,,0.71,0.6,0.8,0.95,percentile,",
    ]
    choice = [
        "doctors,small,98,49,2,1,1,0.61,0.5,0.7,0.95,percentile,80,1,0,0.57,",
        "doctors,large,98,49,2,0,0,0.49,0.4,0.6,0.95,percentile,20,0,1,,the configured judge is another",
    ]
    length = [
        f"oeq,all,all,judge:large,{statistic},tiny/base,base,tiny,,,8,8,1,%,{value},1,99,0.95,percentile,,"
        for statistic, value in (("mean", 41.5), ("at_matched_length", 33.25), ("length_correlation", 0.42))
    ]
    equal = "oeq,all,all,judge:large,at_equal_length,tiny/base,base,tiny,,,8,8,1,%,,0,60,0.95,bounds,,many missing"
    length.append(equal)
    length.append("oeq,all,all,judge:large,length_effect,,,,,,8,8,1,%,2.5,1,4,0.95,percentile,,")
    for name, columns, rows in (
        ("agreement", AGREEMENT, agreement), ("judge_choice", CHOICE, choice), ("length", LENGTH, length),
    ):  # fmt: skip
        (root / "tables" / f"{name}.csv").write_text("\n".join([columns, *rows]) + "\n")
    tables = (*spec.tables, "agreement", "judge_choice", "length")
    return root, spec.model_copy(update={"tables": tables})


def tables_of(root, spec):
    blocks = section(Inputs(spec, root), {})
    assert blocks is not None
    return {block.id: block for block in blocks.blocks if block.kind == "table"}


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_the_choice_of_a_judge_is_shown_with_its_correction(rated):
    table = tables_of(*rated)["table-judge-choice-doctors"]
    assert texts(table)[0] == ["small", "98", "2", "1", "1", "0.61", "80.0", "yes", "", "0.57"]
    assert texts(table)[1][:2] + texts(table)[1][6:] == ["large", "98", "20.0", "", "yes", "–"]


def test_raters_are_shown_against_each_other(rated):
    assert texts(tables_of(*rated)["table-raters-doctors"]) == [["anne", "bob", "40", "0.71"]]


def test_judges_are_shown_at_matched_length_for_every_model(rated):
    table = tables_of(*rated)["table-length-oeq"]
    assert ["1", "8", "41.5", "33.2", "–", "0.42"] in [row[2:] for row in texts(table)]
    (bounds,) = {cell.interval for row in table.rows for cell in row if cell.note}
    assert bounds == "[0.0, 60.0]", "bounds stand where there is no value"
    assert table.caption.endswith("Doubling the words changes the score by +2.5 points [+1.0, +4.0]. † many missing.")


CORRECTED = (
    "set,suite,scope_kind,scope,judge,kind,model,against,n,clusters,rated,stale,silent,unit,naive,naive_low,naive_high,value,low,high,"
    "level,interval,tuning,rogan_gladen,rogan_gladen_low,rogan_gladen_high,worth,more_ratings,p_value,p_holm,note"
)
RATERS = "set,raters_kind,statistic,rater,scale,raters,ratings,n,clusters,value,low,high,level,interval,note"


def test_corrected_scores_stand_beside_what_the_judge_says_alone(rated):
    root, spec = rated
    end = "0.95,prediction-powered"
    rows = [
        f"doctors,oeq,all,all,j,model,tiny/base,,300,100,100,0,1,%,41.25,36,47,30,24,36,{end},0.9,31,20,42,250,40,,,",
        "doctors,oeq,all,all,j,model,tiny/NAT,,300,0,0,0,0,%,50,44,56,,,,0.95,none,,,,,,,,,no rated answer",
        f"doctors,oeq,all,all,j,difference,tiny/NAT,tiny/base,300,0,100,0,1,%,8.75,2,15,-1,-9,7,{end},,,,,,60,0.8,0.8,",
    ]
    (root / "tables" / "corrected.csv").write_text("\n".join([CORRECTED, *rows]) + "\n")
    among = [
        "doctors,people,alpha,,nominal,2,200,100,100,0.71,0.6,0.8,0.95,percentile,",
        "doctors,people,against_others,anne,nominal,2,200,100,100,0.7,0.6,0.8,0.95,percentile,",
    ]
    (root / "tables" / "raters.csv").write_text("\n".join([RATERS, *among]) + "\n")
    spec = spec.model_copy(update={"tables": (*spec.tables, "corrected", "raters")})
    tables = tables_of(root, spec)
    models = tables["table-corrected-doctors-oeq"]
    assert texts(models)[0] == ["tiny/base", "j", "300", "100", "1", "41.2", "30.0", "31.0", "250", "40"]
    assert texts(models)[1][5:7] == ["50.0", "–"]
    assert "no rated answer" in models.caption
    assert models.rows[0][6].interval == "[24.0, 36.0]"
    difference = texts(tables["table-corrected-differences-doctors-oeq"])[0]
    assert difference == ["tiny/NAT", "tiny/base", "j", "100", "1", "+8.8", "−1.0", "0.800"]
    assert texts(tables["table-among-doctors"]) == [
        ["people", "Krippendorff's α", "2", "100", "0.71"],
        ["anne", "Pearson r with the mean of the others", "2", "100", "0.70"],
    ]
    prose = [block for block in section(Inputs(spec, root), {}).blocks if block.kind == "prose"]
    assert any(
        "With j, 40 more ratings of each model's answers" in text for block in prose for text in block.paragraphs
    )


def test_without_ratings_the_length_is_shown_alone(rated):
    root, spec = rated
    kept = tuple(name for name in spec.tables if name not in ("agreement", "judge_choice"))
    spec = spec.model_copy(update={"tables": kept})
    assert list(tables_of(root, spec)) == ["table-length-oeq"]


def judged_answers(root, judge, model, marks):
    """Write a judge's verdicts on a model's answers, each with what in it may steer the judge."""
    rows = [{"item": f"q{number}", "steering": mark} for number, mark in enumerate(marks)]
    write_parquet(root / "judgements" / judge / model / "oeq.parquet", pa.Table.from_pylist(rows, STEERING))


def test_answers_of_suites_that_may_steer_their_judge_are_counted_and_listed_by_model(rated):
    root, spec = rated
    first, second, *others = (model.name for model in spec.models)
    judged_answers(root, "large", first, [None, "control token <|im_end|>", None, "tag </candidate>"])
    judged_answers(root, "large", second, ["mark of a thought"] * 7)
    for model in others:
        judged_answers(root, "large", model, [None] * 4)
    for kept in (spec.tables, tuple(name for name in spec.tables if name not in ("agreement", "judge_choice"))):
        tables = tables_of(root, spec.model_copy(update={"tables": kept}))
        shown = {row[0]: row[1:] for row in texts(tables["table-steering-oeq"])}
        labels = {model.name: Inputs(spec, root).name(model) for model in spec.models}
        assert shown == {
            labels[first]: ["large", "4", "2", "q1 (control token <|im_end|>), q3 (tag </candidate>)"],
            labels[second]: [
                *("large", "7", "7"),
                "q0 (mark of a thought), q1 (mark of a thought), q2 (mark of a thought), "
                "q3 (mark of a thought) and 3 more",
            ],
        }


def test_no_table_of_steering_answers_where_no_answer_may_steer(rated):
    root, spec = rated
    for model in spec.models:
        judged_answers(root, "large", model.name, [None, None])
    assert "table-steering-oeq" not in tables_of(root, spec)


def test_a_configured_judge_that_the_rule_does_not_choose_is_told_at_the_top(rated):
    root, spec = rated
    text = mismatches(Inputs(spec, root))
    assert text == [
        "On doctors the judge that agrees best with people is small (r = 0.61); "
        "large judged the answers (judging.chosen)."
    ]
    titles = [notice.title for notice in notices(Inputs(spec, root))]
    assert "The configured judge is not the one that the rule chooses." in titles
    choice = root / "tables" / "judge_choice.csv"
    choice.write_text(choice.read_text().replace(",80,1,0,", ",80,1,1,").replace(",20,0,1,", ",20,0,0,"))
    assert not mismatches(Inputs(spec, root))
