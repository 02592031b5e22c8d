"""Choosing a judge, its errors on each model's answers, and judges that give no verdict."""

from pathlib import Path

import numpy as np
import pytest
from rated_answers import GENERATORS, Ratings
from study_tables import pick

from posologie.statistics import agreement, agreement_contrasts, generator, judge_choice, verbosity


@pytest.fixture
def ratings(tmp_path: Path) -> Ratings:
    made = Ratings(tmp_path)
    made.write()
    return made


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


def test_the_interval_of_the_chosen_judge_reaches_lower_than_that_of_a_judge_that_was_given(ratings):
    numbers = np.random.default_rng(4)
    for name in "abcde":
        ratings.judge(name, (ratings.quality + numbers.normal(size=80) > 0).astype(float))
    chosen = next(row for row in ratings.table(judge_choice) if row["by_rule"] == "1")
    agreed = pick(ratings.table(agreement), rater=f"judge:{chosen['judge']}", generator="pooled", statistic="pearson")
    assert (chosen["interval"], agreed["interval"]) == ("selected", "percentile")
    assert float(chosen["low"]) < float(agreed["low"]) - 0.03
    assert float(chosen["low"]) < float(chosen["value"]) < float(chosen["high"])
    assert {row["interval"] for row in ratings.table(judge_choice) if row["by_rule"] == "0"} == {"percentile"}


def test_the_interval_of_the_chosen_of_five_equal_judges_covers_its_correlation():
    """200 studies of 100 answers; the true correlation is that of 200,000. The percentile interval covers 85 %."""
    numbers = np.random.default_rng(17)

    def study(answers: int, judges: int) -> tuple[np.ndarray, np.ndarray]:
        quality = numbers.normal(size=answers)
        people = (quality + 0.5 * numbers.normal(size=answers) > 0).astype(float)
        return people, (quality + 0.7 * numbers.normal(size=(judges, answers)) > 0).astype(float)

    people, judge = study(200_000, 1)
    truth = np.corrcoef(people, judge[0])[0, 1]
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
