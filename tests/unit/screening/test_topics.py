import json

import numpy as np
import pytest
from screening_made import item

from posologie.records.files import write_parquet
from posologie.records.items import items_to_table
from posologie.screening.topics import jensen_shannon, kolmogorov_smirnov, main


def columns(*counts):
    return np.array(counts, dtype=float).T


def test_distances_agree_with_scipy():
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import ks_2samp

    first, other = np.random.default_rng(0).integers(0, 9, (2, 12))
    assert jensen_shannon(columns(first), columns(other))[0] == pytest.approx(jensenshannon(first, other, base=2))
    values = [np.repeat(np.arange(12), counts) for counts in (first, other)]
    assert kolmogorov_smirnov(columns(first), columns(other))[0] == pytest.approx(ks_2samp(*values).statistic)


def test_distributions_without_a_common_category_are_at_distance_one_and_equal_ones_at_zero():
    assert jensen_shannon(columns([1, 0], [2, 2]), columns([0, 5], [3, 3])).tolist() == [1, 0]
    assert kolmogorov_smirnov(columns([1, 0], [2, 2]), columns([0, 5], [3, 3])).tolist() == [1, 0]


@pytest.fixture
def table(tmp_path):
    def write(train, tests, **settings):
        def shards(name, items):
            paths = []
            for source in dict.fromkeys(sourced.source for sourced in items):
                path = tmp_path / name / f"{source}.parquet"
                write_parquet(path, items_to_table([sourced for sourced in items if sourced.source == source]))
                paths.append(f"{source}={path}")
            return paths

        suites = {sourced.source: [{"source": sourced.source, "tasks": ["oeq"]}] for sourced in tests}
        spec = {"suites": suites, "tasks": ["oeq"], "replicates": 20, **settings}
        out = tmp_path / "topics.csv"
        main(
            [
                *("--spec", json.dumps(spec), "--train", *shards("train", train)),
                *("--tests", *shards("test", tests), "--table", str(out)),
            ]
        )
        head, *lines = [line.split(",") for line in out.read_text().splitlines()]
        return {
            (row["source"], row["suite"], row["aspect"]): row
            for row in (dict(zip(head, line, strict=True)) for line in lines)
        }

    return write


def spoken(words, count, source, split, subject):
    """Open questions of three to seven of these words."""
    texts = [" ".join(words[(n + k) % len(words)] for k in range(3 + n % 5)) for n in range(count)]
    meta = {"subject": subject}
    return [item(f"{source}{n}", text, source=source, split=split, meta=meta) for n, text in enumerate(texts)]


HEART = ["coeur", "valve", "aorte", "souffle", "rythme", "pouls", "artère", "stent"]
SKIN = ["peau", "plaque", "prurit", "bulle", "ongle", "érythème", "lésion", "derme"]


def test_a_source_on_the_topic_of_the_suite_is_nearer_than_one_on_another(table):
    train = spoken(HEART, 60, "heart", "train", "cardiologie") + spoken(SKIN, 60, "skin", "train", "dermatologie")
    rows = table(train, spoken(HEART, 40, "cardiology", "test", "cardiologie"))
    for aspect in ("subject", "vocabulary"):
        near, far = (rows[source, "cardiology", aspect] for source in ("heart", "skin"))
        assert float(near["value"]) < float(near["same"]) + 0.05
        assert float(far["low"]) > float(near["high"])
        assert float(far["value"]) == pytest.approx(1)
    assert float(rows["heart", "cardiology", "length"]["value"]) < 0.2
    assert rows["heart", "cardiology", "length"]["n_source"] == "60"


def test_an_unknown_subject_leaves_an_empty_cell_that_says_so(table):
    rows = table(spoken(HEART, 9, "heart", "train", None), spoken(HEART, 9, "cardiology", "test", "cardiologie"))
    row = rows["heart", "cardiology", "subject"]
    assert (row["value"], row["low"], row["n_source"], row["note"]) == ("", "", "0", "no subject known")


def test_the_table_does_not_depend_on_the_order_of_rows_and_samples_no_more_than_asked(table, tmp_path):
    train, tests = spoken(HEART, 50, "heart", "train", "a"), spoken(SKIN, 50, "skin", "test", "b")
    first = table(train, tests, sample=20)
    assert table(train[::-1], tests[::-1], sample=20) == first
    assert {row["n_source"] for row in first.values()} == {"20"}
