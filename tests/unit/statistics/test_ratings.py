"""The tables over human ratings, from files to rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rated_answers import GENERATORS, Ratings
from scipy import stats
from statsmodels.stats.multitest import multipletests
from study_tables import pick

from posologie.records import layout
from posologie.records.files import write_parquet
from posologie.running.errors import InputError
from posologie.statistics import agreement, agreement_contrasts, generator, verbosity


@pytest.fixture
def ratings(tmp_path: Path) -> Ratings:
    made = Ratings(tmp_path)
    made.write()
    return made


def test_every_judge_and_metric_is_held_against_the_mean_of_the_raters(ratings):
    label = (ratings.quality > 0.2).astype(float)
    ratings.judge("good", label, probability=stats.norm.cdf(ratings.quality))
    rows = ratings.table(agreement)
    row = pick(rows, rater="judge:good", generator="pooled", statistic="pearson")
    assert float(row["value"]) == pytest.approx(stats.pearsonr(ratings.human(), label).statistic, abs=1e-6)
    assert (row["n"], row["clusters"], row["interval"]) == ("80", "40", "percentile")
    assert float(row["low"]) < float(row["value"]) < float(row["high"])
    chance = pick(rows, rater="judge_probability:good", generator="pooled", statistic="kendall")
    expected = stats.kendalltau(ratings.human(), stats.norm.cdf(ratings.quality)).statistic
    assert float(chance["value"]) == pytest.approx(expected, abs=1e-6)
    assert {row["statistic"] for row in rows if row["rater"] == "rouge2"} == {
        "pearson", "spearman", "kendall", "auc", "accuracy", "f1", "kappa",
    }  # fmt: skip
    scopes = {row["generator"] for row in rows if row["rater"] == "judge:good"}
    assert scopes == {"pooled", "within", *GENERATORS}


def test_published_correlations_stand_beside_those_of_judges_and_metrics_of_their_names(ratings, repository):
    ratings.judge("medgemma-27b", (ratings.quality > 0.2).astype(float))
    published = "--published", str(repository / "resources/published/medinjection-fr.yaml")
    assert "published" not in ratings.table(agreement)[0]
    rows = ratings.table(agreement, *published, published={"ratings": {"set": "physician"}})
    row = pick(rows, rater="judge:medgemma-27b", generator="pooled", statistic="pearson")
    assert row["published"] == "0.61"
    assert float(row["difference"]) == pytest.approx(float(row["value"]) - 0.61, abs=2e-6)
    assert pick(rows, rater="rouge2", generator="pooled", statistic="pearson")["published"] == "0.36"
    assert {row["published"] for row in rows if row["statistic"] != "pearson" or row["generator"] != "pooled"} == {""}


def test_raters_are_held_against_each_other(ratings):
    rows = [row for row in ratings.table(agreement) if row["rater_kind"] == "human"]
    first, second = ratings.people.values()
    row = pick(rows, generator="pooled", statistic="kappa")
    assert (row["rater"], row["against"]) == ("dr-a", "dr-b")
    po, p1, p2 = np.mean(first == second), first.mean(), second.mean()
    pe = p1 * p2 + (1 - p1) * (1 - p2)
    assert float(row["value"]) == pytest.approx((po - pe) / (1 - pe), abs=1e-6)


def test_one_rater_alone_agrees_with_nobody_and_is_still_a_reference(ratings):
    del ratings.people["dr-b"]
    ratings.write()
    ratings.judge("good", (ratings.quality > 0).astype(float))
    rows = ratings.table(agreement)
    assert not [row for row in rows if row["rater_kind"] == "human"]
    assert pick(rows, rater="judge:good", generator="pooled", statistic="pearson")["value"]


def test_raters_who_saw_different_answers_are_compared_on_what_both_saw(ratings):
    ratings.people["dr-a"][:10] = np.nan
    ratings.people["dr-b"][60:] = np.nan
    ratings.write()
    rows = ratings.table(agreement)
    assert pick(rows, rater_kind="human", generator="pooled", statistic="kappa")["n"] == "50"
    assert pick(rows, rater="meteor", generator="pooled", statistic="pearson")["n"] == "80"


def test_answers_drawn_more_often_count_less(ratings):
    """A draw took every hard answer and every fourth easy one: weighted, the judge is as good as on all of them."""
    easy = np.abs(ratings.quality) > 0.7
    ratings.weight = np.where(easy, 4.0, 1.0)
    ratings.write()
    label = np.where(easy, ratings.people["dr-a"], 1 - ratings.people["dr-a"])
    ratings.judge("good", label)
    right = ratings.human() >= 0.5
    row = pick(ratings.table(agreement), rater="judge:good", generator="pooled", statistic="accuracy")
    assert float(row["value"]) == pytest.approx(np.average(right == label, weights=ratings.weight), abs=1e-6)
    bias = pick(ratings.table(generator), generator="pooled")
    assert float(bias["value"]) == pytest.approx(100 * np.average(label - right, weights=ratings.weight), abs=1e-5)


def test_ordinal_ratings_have_labels_only_with_a_threshold(ratings):
    ratings.people = {name: np.round(2 + ratings.quality) for name in ratings.people}
    ratings.write()
    ratings.judge("good", (ratings.quality > 0).astype(float))
    without = {row["statistic"] for row in ratings.table(agreement) if row["rater"] == "judge:good"}
    assert without == {"pearson", "spearman", "kendall"}
    with_one = ratings.table(agreement, thresholds={"set": 2})
    row = pick(with_one, rater="judge:good", generator="pooled", statistic="accuracy")
    right = np.round(2 + ratings.quality) >= 2
    assert float(row["value"]) == pytest.approx(np.mean(right == (ratings.quality > 0)), abs=1e-6)


def test_a_constant_judge_has_no_correlation_and_says_so(ratings):
    ratings.judge("yes", np.ones(80))
    row = pick(ratings.table(agreement), rater="judge:yes", generator="pooled", statistic="pearson")
    assert (row["value"], row["low"], row["note"]) == ("", "", "undefined: a rating is constant")


def test_a_single_reply_without_a_verdict_counts_as_not_equivalent_and_is_counted(ratings):
    ratings.judge("shy", np.ones(80), silent=[0])
    row = pick(ratings.table(agreement), rater="judge:shy", generator="pooled", statistic="accuracy")
    right = ratings.human() >= 0.5
    assert row["silent"] == "1"
    assert float(row["value"]) == pytest.approx(np.mean(right == (np.arange(80) >= 1)), abs=1e-6)
    assert pick(ratings.table(verbosity), statistic="judge_mean", generator=GENERATORS[0])["silent"] == "1"


def test_answers_that_a_judge_was_trained_on_are_left_out_for_it_alone(ratings):
    label = (ratings.quality > 0).astype(float)
    ratings.judge("trained", label, excluded=range(20))
    ratings.judge("other", label)
    rows = ratings.table(agreement)
    row = pick(rows, rater="judge:trained", generator="pooled", statistic="pearson")
    assert (row["n"], row["excluded"], row["triples"]) == ("60", "20", "3")
    assert pick(rows, rater="judge:other", generator="pooled", statistic="pearson")["n"] == "80"
    pair = pick(ratings.table(agreement_contrasts), left="judge:trained", generator="pooled", statistic="pearson")
    assert (pair["n"], pair["value"], pair["p_bootstrap"]) == ("60", "0", "1")


def test_a_verdict_that_is_missing_is_an_error_that_lists_the_answers(ratings):
    ratings.judge("good", np.ones(80))
    ratings.answers = ratings.answers[:-2]
    ratings.judge("late", np.ones(80))
    with pytest.raises(InputError, match="no verdict on items a078, a079; expected one per answer"):
        ratings.table(agreement)


def test_a_rater_who_rated_an_answer_twice_is_refused(ratings):
    file = ratings.root / layout.human("set")
    table = pa.parquet.read_table(file)
    write_parquet(file, pa.concat_tables([table, table.slice(0, 1)]))
    with pytest.raises(InputError, match="rater 'dr-a' rated answer a000 twice"):
        ratings.table(agreement)


def test_differences_between_judges_are_paired_and_corrected(ratings):
    numbers = np.random.default_rng(4)
    ratings.judge("good", (ratings.quality > 0).astype(float))
    ratings.judge("noisy", (ratings.quality + 3 * numbers.normal(size=80) > 0).astype(float))
    ratings.judge("fair", (ratings.quality + 0.5 * numbers.normal(size=80) > 0).astype(float))
    rows = ratings.table(agreement_contrasts, chosen="good", statistics={"replicates": 2000})
    family = [row for row in rows if (row["generator"], row["statistic"]) == ("pooled", "pearson")]
    judges = [row for row in family if row["right"].startswith("judge:")]
    assert len(judges) == 3
    assert len(family) > 3, "the chosen judge is held against every metric"
    row = pick(judges, left="judge:good", right="judge:noisy")
    assert float(row["low"]) > 0
    assert float(row["p_bootstrap"]) < 0.01
    assert float(row["p_steiger"]) < 0.01
    assert float(row["zou_low"]) > 0
    family = [row for row in family if row["p_bootstrap"]]  # no p where a metric is constant
    adjusted = multipletests([float(row["p_bootstrap"]) for row in family], method="holm")[1]
    assert [float(row["p_holm"]) for row in family] == pytest.approx(list(adjusted), abs=1e-4)


def test_a_judge_that_counts_words_is_found_out(ratings):
    label = (ratings.words > np.median(ratings.words)).astype(float)
    ratings.judge("long", label)
    ratings.judge("good", (ratings.quality > 0).astype(float))
    rows = ratings.table(verbosity)
    assert float(pick(rows, judge="judge:long", statistic="length_judge", generator="pooled")["value"]) > 0.8
    row = pick(rows, judge="judge:long", statistic="length_judge_given_human", generator="pooled")
    assert float(row["value"]) > 0.8
    assert float(row["low"]) > 0.6
    honest = pick(rows, judge="judge:good", statistic="length_judge_given_human", generator="pooled")
    assert float(honest["low"]) < 0 < float(honest["high"])


def test_matched_length_takes_length_away(ratings):
    # One model writes long answers; the judge likes nothing but length.
    longer = ratings.generator == GENERATORS[1]
    numbers = np.random.default_rng(6)
    ratings.words = np.where(longer, numbers.integers(10, 30, 80), numbers.integers(3, 20, 80))
    ratings.write()
    ratings.judge("long", (ratings.words > 14).astype(float))
    rows = [row for row in ratings.table(verbosity) if row["judge"] == "judge:long"]
    plain, matched = (
        {row["generator"]: float(row["value"]) for row in rows if row["statistic"] == statistic}
        for statistic in ("judge_mean", "judge_at_matched_length")
    )
    assert plain[GENERATORS[1]] - plain[GENERATORS[0]] > 0.4
    assert abs(matched[GENERATORS[1]] - matched[GENERATORS[0]]) < 0.15
    equal = {row["generator"]: float(row["value"]) for row in rows if row["statistic"] == "judge_at_equal_length"}
    assert abs(equal[GENERATORS[1]] - equal[GENERATORS[0]]) < 0.15


def test_n_is_what_a_mean_at_matched_length_rests_on(ratings):
    # The second model's answers are longer, but for three of them.
    longer = ratings.generator == GENERATORS[1]
    ratings.words = np.where(longer, 25 + np.arange(80) % 5, 5)
    ratings.words[[1, 3, 5]] = 5
    ratings.write()
    ratings.judge("good", (ratings.quality > 0).astype(float))
    rows = ratings.table(verbosity)
    row = pick(rows, judge="judge:good", statistic="judge_at_matched_length", generator=GENERATORS[1])
    assert (row["n"], row["clusters"], row["low"], row["note"]) == ("3", "3", "", "n too small")
    assert row["support"] == "53.75"
    equal = pick(rows, judge="judge:good", statistic="judge_at_equal_length", generator=GENERATORS[1])
    assert (equal["n"], equal["note"]) == ("40", "extrapolated: the models have few answers of one length")
    assert float(equal["low"]) < float(equal["value"]) < float(equal["high"])
    ratings.words = np.where(longer, 25, 5)
    ratings.write()
    rows = [row for row in ratings.table(verbosity) if row["judge"] == "judge:good"]
    apart = pick(rows, statistic="judge_at_matched_length", generator=GENERATORS[1])
    assert (apart["n"], apart["value"], apart["note"]) == ("0", "", "no length that all have in common")


def test_an_agreement_that_no_draw_changes_has_no_interval_of_no_width(ratings):
    ratings.judge("no", np.zeros(80))
    row = pick(ratings.table(agreement), rater="judge:no", generator="pooled", statistic="kappa")
    assert (row["value"], row["low"], row["high"], row["note"]) == ("0", "", "", "the same in every draw")
