"""The tables over human ratings, from files to rows."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from posologie import layout
from posologie.errors import InputError
from posologie.files import write_parquet
from posologie.judging.schema import calibration_schema, human_schema
from posologie.scoring.rated import main as score_rated
from posologie.statistics import agreement, agreement_contrasts, generator, judge_choice, verbosity

GENERATORS = ("q/base", "q/NAT/seed-42")


class Ratings:
    """A set of 80 answers by two models to 40 questions, two raters, and judges."""

    def __init__(self, root: Path) -> None:
        numbers = np.random.default_rng(8)
        self.root, self.judges = root, []
        self.answers = [f"a{number:03d}" for number in range(80)]
        self.generator = np.array([GENERATORS[number % 2] for number in range(80)])
        self.quality = numbers.normal(size=80)
        self.people = {
            "dr-a": (self.quality + 0.3 * numbers.normal(size=80) > 0).astype(float),
            "dr-b": (self.quality + 0.3 * numbers.normal(size=80) > 0).astype(float),
        }
        self.words = numbers.integers(3, 30, size=80)
        self.weight = np.ones(80)

    def human(self) -> np.ndarray:
        return np.mean(list(self.people.values()), axis=0)

    def write(self) -> None:
        rows = [
            {
                "answer": answer,
                "item": f"i{number // 2}",
                "group": f"i{number // 2}",
                "generator": self.generator[number],
                "question": "Pourquoi ?",
                "context": "",
                "reference": "Une acidose lactique.",
                "candidate": " ".join(["acidose"] * int(self.words[number])),
                "rater": rater,
                "rating": ratings[number],
                "stratum": "",
                "weight": float(self.weight[number]),
            }
            for number, answer in enumerate(self.answers)
            for rater, ratings in self.people.items()
            if not np.isnan(ratings[number])
        ]
        file = self.root / layout.human("set")
        write_parquet(file, pa.Table.from_pylist(rows, schema=human_schema()))
        score_rated(["--spec", "{}", "--human", str(file), "--scores", str(self.root / layout.human_scores("set"))])

    def judge(self, name: str, label: np.ndarray, probability=None, excluded=(), silent=()) -> None:
        rows = [
            {
                "answer": answer,
                "item": f"i{number // 2}",
                "group": f"i{number // 2}",
                "generator": self.generator[number],
                "excluded": number in excluded,
                "triple_seen": number in excluded[:3],
                "outcome": "unparsable" if number in silent else "label",
                "label": None if number in silent else int(label[number]),
                "probability": None if probability is None else float(probability[number]),
                "label_mass": None,
                "text": "",
                "finish": "stop",
                "error": None,
                "prompt_sha256": "0",
                "prompt_tokens": 1,
                "generated_tokens": 1,
            }
            for number, answer in enumerate(self.answers)
        ]
        file = self.root / layout.calibration(name, "set")
        write_parquet(file, pa.Table.from_pylist(rows, schema=calibration_schema()))
        self.judges.append(name)

    def table(self, module, *more: str, **spec) -> list[dict[str, str]]:
        out = self.root / "tables" / "table.csv"
        statistics = {"replicates": 400} | spec.pop("statistics", {})
        given = {"sets": ["set"], "judges": self.judges, "statistics": statistics} | spec
        module.main(["--spec", json.dumps(given), "--results", str(self.root), "--table", str(out), *more])
        with open(out, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def ratings(tmp_path: Path) -> Ratings:
    made = Ratings(tmp_path)
    made.write()
    return made


def pick(rows: list[dict[str, str]], **wanted: str) -> dict[str, str]:
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    assert len(found) == 1, f"{len(found)} rows with {wanted}"
    return found[0]


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
    rows = ratings.table(agreement, "--published", str(repository / "resources/published/results.yaml"))
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


def test_a_judge_with_too_few_verdicts_has_bounds_and_no_score(ratings):
    ratings.judge("shy", np.ones(80), silent=range(40))
    ratings.judge("good", (ratings.quality > 0).astype(float))
    rows = ratings.table(agreement)
    row = pick(rows, rater="judge:shy", generator="pooled", statistic="accuracy")
    right = ratings.human() >= 0.5
    assert (row["silent"], row["value"], row["interval"]) == ("40", "", "bounds")
    assert row["note"] == "40 of 80 replies without a verdict"
    assert float(row["low"]) < np.mean(right[40:]) / 2, "all that are missing wrong, and the sampling error"
    assert float(row["high"]) > np.mean(right[40:]) / 2 + 0.5, "all that are missing right"
    pearson = pick(rows, rater="judge:shy", generator="pooled", statistic="pearson")
    assert (pearson["value"], pearson["low"], pearson["note"]) == ("", "", row["note"])
    choice = ratings.table(judge_choice, chosen="shy")
    shy = pick(choice, judge="shy")
    assert (shy["value"], shy["by_rule"], shy["chosen_share"], shy["silent"]) == ("", "0", "0", "40")
    assert pick(choice, judge="good")["by_rule"] == "1"
    pair = pick(ratings.table(agreement_contrasts), left="judge:shy", generator="pooled", statistic="pearson")
    assert (pair["value"], pair["p_bootstrap"], pair["silent_left"], pair["silent_right"]) == ("", "", "40", "0")
    assert pair["note"] == "shy: 40 of 80 replies without a verdict"
    lengths = [row for row in ratings.table(verbosity) if row["judge"] == "judge:shy"]
    assert {row["value"] for row in lengths} == {""}


def test_a_judge_that_never_gives_a_verdict_has_no_bias(ratings):
    ratings.judge("mute", np.ones(80), silent=range(80))
    rows = ratings.table(generator, statistics={"replicates": 2000})
    for row in rows:
        assert (row["value"], row["judge_value"], row["p_value"], row["p_holm"]) == ("", "", "", "")
        assert (row["interval"], row["silent"], row["note"]) == (
            "bounds",
            row["n"],
            f"{row['n']} of {row['n']} replies without a verdict",
        )
    pooled = pick(rows, generator="pooled")
    people = 100 * float(np.mean(ratings.human() >= 0.5))
    assert float(pooled["low"]) <= -people
    assert float(pooled["high"]) >= 100 - people


def test_answers_that_a_judge_was_trained_on_are_left_out_for_it_alone(ratings):
    label = (ratings.quality > 0).astype(float)
    ratings.judge("trained", label, excluded=range(20))
    ratings.judge("other", label)
    rows = ratings.table(agreement)
    one = pick(rows, rater="judge:trained", generator="pooled", statistic="pearson")
    assert (one["n"], one["excluded"], one["triples"]) == ("60", "20", "3")
    assert pick(rows, rater="judge:other", generator="pooled", statistic="pearson")["n"] == "80"
    pair = pick(ratings.table(agreement_contrasts), left="judge:trained", generator="pooled", statistic="pearson")
    assert (pair["n"], pair["value"], pair["p_bootstrap"]) == ("60", "0", "1")


def test_a_verdict_that_is_missing_is_an_error_that_lists_the_answers(ratings):
    ratings.judge("good", np.ones(80))
    ratings.answers = ratings.answers[:-2]
    ratings.judge("late", np.ones(80))
    with pytest.raises(InputError, match="no verdict on items a078, a079; expected one an answer"):
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


def test_the_table_of_the_choice_flags_another_judge_than_the_rules(ratings):
    numbers = np.random.default_rng(4)
    ratings.judge("good", (ratings.quality > 0).astype(float))
    ratings.judge("noisy", (ratings.quality + 2 * numbers.normal(size=80) > 0).astype(float))
    rows = ratings.table(judge_choice, chosen="noisy")
    good, noisy = pick(rows, judge="good"), pick(rows, judge="noisy")
    assert (good["by_rule"], good["configured"], noisy["by_rule"], noisy["configured"]) == ("1", "0", "0", "1")
    assert "not the one that the rule chooses" in noisy["note"]
    assert float(good["chosen_share"]) + float(noisy["chosen_share"]) == pytest.approx(100)
    assert float(good["chosen_share"]) > 95
    assert float(good["corrected"]) == pytest.approx(float(good["value"]), abs=0.05), (
        "an easy choice needs no correction"
    )
    again = ratings.table(judge_choice, chosen="good")
    assert not any("rule chooses" in row["note"] for row in again)


def test_a_judge_that_counts_words_is_found_out(ratings):
    label = (ratings.words > np.median(ratings.words)).astype(float)
    ratings.judge("long", label)
    ratings.judge("good", (ratings.quality > 0).astype(float))
    rows = ratings.table(verbosity)
    assert float(pick(rows, judge="judge:long", statistic="length_judge", generator="pooled")["value"]) > 0.8
    given = pick(rows, judge="judge:long", statistic="length_judge_given_human", generator="pooled")
    assert float(given["value"]) > 0.8
    assert float(given["low"]) > 0.6
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


def test_the_interval_of_the_chosen_judge_reaches_lower_than_that_of_a_judge_that_was_given(ratings):
    numbers = np.random.default_rng(4)
    for name in "abcde":
        ratings.judge(name, (ratings.quality + numbers.normal(size=80) > 0).astype(float))
    chosen = next(row for row in ratings.table(judge_choice) if row["by_rule"] == "1")
    given = pick(ratings.table(agreement), rater=f"judge:{chosen['judge']}", generator="pooled", statistic="pearson")
    assert (chosen["interval"], given["interval"]) == ("selected", "percentile")
    assert float(chosen["low"]) < float(given["low"]) - 0.03
    assert float(chosen["low"]) < float(chosen["value"]) < float(chosen["high"])
    assert {row["interval"] for row in ratings.table(judge_choice) if row["by_rule"] == "0"} == {"percentile"}


def test_the_interval_of_the_chosen_of_five_equal_judges_covers_its_correlation():
    """200 studies of 100 answers; the true correlation is that of 200,000. The percentile interval covers 85 %."""
    numbers = np.random.default_rng(17)

    def study(answers: int, judges: int) -> tuple[np.ndarray, np.ndarray]:
        quality = numbers.normal(size=answers)
        people = (quality + 0.5 * numbers.normal(size=answers) > 0).astype(float)
        return people, (quality + 0.7 * numbers.normal(size=(judges, answers)) > 0).astype(float)

    people, one = study(200_000, 1)
    truth = np.corrcoef(people, one[0])[0, 1]
    covered = plain = 0
    for _ in range(200):
        people, scores = study(100, 5)
        draws = numbers.multinomial(100, np.full(100, 0.01), size=300).astype(float)
        choice = judge_choice.choice_of(people, scores, draws, np.ones(100), 100, 0.95)
        low, high = choice.interval
        covered += low <= truth <= high
        low, high = np.quantile(choice.drawn[int(np.argmax(choice.points))], (0.025, 0.975))
        plain += low <= truth <= high
    assert covered >= 186, "93 %"
    assert plain < 182, "what the choice does to an interval that ignores it"


def test_a_judge_that_favours_one_model_is_found_out(ratings):
    favoured = ratings.generator == GENERATORS[0]
    ratings.judge("fan", np.where(favoured, 1.0, ratings.human() >= 0.5))
    rows = ratings.table(generator, statistics={"replicates": 2000})
    row = pick(rows, generator=GENERATORS[0])
    right = (ratings.human() >= 0.5).astype(float)
    assert float(row["value"]) == pytest.approx(100 * np.mean(1 - right[favoured]), abs=1e-5)
    assert float(row["p_holm"]) < 0.01
    assert float(pick(rows, generator=GENERATORS[1])["value"]) == 0


def test_where_no_judge_has_a_correlation_the_rule_chooses_none_and_nothing_is_a_mismatch(ratings):
    ratings.judge("yes", np.ones(80))
    ratings.judge("no", np.zeros(80))
    for row in ratings.table(judge_choice, chosen="yes"):
        assert (row["value"], row["chosen_share"], row["by_rule"], row["corrected"]) == ("", "", "0", "")
        assert row["note"] == "undefined: a rating is constant"


def test_an_agreement_that_no_draw_changes_has_no_interval_of_no_width(ratings):
    ratings.judge("no", np.zeros(80))
    row = pick(ratings.table(agreement), rater="judge:no", generator="pooled", statistic="kappa")
    assert (row["value"], row["low"], row["high"], row["note"]) == ("0", "", "", "the same in every draw")
