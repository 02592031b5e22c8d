import json
import sys
import types

import numpy as np
import pyarrow as pa
import pytest
import sacrebleu
from endpoint_server import Answer, EndpointServer, completion
from quality_made import REFERENCES, ROOT, made_table, sentences, worse
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest

from posologie.generation import comet, translation_quality
from posologie.generation.translation_quality_table import CorpusMetric, cluster_draws, resampled
from posologie.records.files import read_json, write_parquet
from posologie.records.tables import pair_schema
from posologie.running.errors import InputError


@pytest.mark.parametrize(("name", "metric"), [("bleu", BLEU), ("chrf", CHRF)])
def test_the_score_of_sums_is_sacrebleus_corpus_score(name, metric):
    translations = [worse(text, 3) for text in REFERENCES]
    ours = CorpusMetric(name)
    sums = ours.sums_of(translations, REFERENCES)
    assert ours.score(sums.sum(axis=0)) == pytest.approx(
        metric().corpus_score(translations, [REFERENCES]).score, abs=1e-9
    )
    assert ours.signature() == str(metric().corpus_score(translations, [REFERENCES]) and ours.metric.get_signature())
    assert sacrebleu.__version__ in ours.signature()


def test_intervals_agree_with_sacrebleus_paired_bootstrap_over_segments():
    systems = {"good": [worse(text, 1) for text in REFERENCES], "bad": [worse(text, 3) for text in REFERENCES]}
    _, theirs = PairedTest(list(systems.items()), {"BLEU": BLEU()}, [REFERENCES], test_type="bs", n_samples=2000)()
    cluster, weights = cluster_draws([str(number) for number in range(len(REFERENCES))], 4000, 1)
    for name, result in zip(systems, theirs["BLEU"], strict=True):
        metric = CorpusMetric("bleu")
        draws = resampled(metric, metric.sums_of(systems[name], REFERENCES), cluster, weights)
        low, high = np.quantile(draws, [0.025, 0.975])
        assert (high - low) / 2 == pytest.approx(result.ci, rel=0.12)
        assert draws.mean() == pytest.approx(result.mean, abs=0.3)


def test_draws_are_of_documents():
    cluster, weights = cluster_draws(["a", "b", "a", "c"], 500, 3)
    assert cluster.tolist() == [0, 1, 0, 2]
    assert (weights.sum(axis=1) == 3).all()
    assert (weights == cluster_draws(["a", "b", "a", "c"], 500, 3)[1]).all()


def test_the_table_sets_translators_beside_each_other_and_beside_what_was_published(tmp_path):
    named = [
        sentences(tmp_path, "good", [worse(text, 1) for text in REFERENCES]),
        sentences(tmp_path, "bad", [worse(text, 3) for text in REFERENCES]),
    ]
    published = str(ROOT / "resources" / "published" / "medinjection-fr.yaml")
    names = {"translators": {"good": "GPT-4o-mini"}}
    rows = made_table(tmp_path, named, "--published", published, names=names)
    of = {(row["translator"], row["metric"]): row for row in rows}
    good, bad = of["good", "bleu"], of["bad", "bleu"]
    assert float(good["low"]) < float(good["value"]) < float(good["high"])
    assert (good["n"], good["clusters"], good["against"]) == ("45", "15", "bad")
    assert float(good["paired_difference"]) == pytest.approx(float(good["value"]) - float(bad["value"]), abs=1e-5)
    assert float(good["p_value"]) < 0.01
    assert "version:" in good["signature"]
    assert (good["published"], good["difference"]) == ("51.01", "")
    assert "WMT24" in good["note"]
    assert "COMET not computed" in of["good", "comet"]["note"]
    assert of["good", "comet"]["value"] == ""
    assert of["published/best WMT24 system", "bleu"]["published"] == "53.54"
    names |= {"test_sets": {"made": "WMT24 biomedical en-fr"}}
    same = made_table(tmp_path, named, "--published", published, names=names)
    (beside,) = (row for row in same if row["difference"])
    assert (beside["translator"], beside["metric"], beside["note"]) == ("good", "bleu", "")
    assert float(beside["difference"]) == pytest.approx(float(beside["value"]) - 51.01, abs=1e-5)
    first = (tmp_path / "quality.csv").read_bytes()
    made_table(tmp_path, named[::-1], "--published", published, names=names)
    assert (tmp_path / "quality.csv").read_bytes() == first
    assert not {"published", "difference"} & made_table(tmp_path, named)[0].keys()


def test_translators_of_different_segments_are_not_compared(tmp_path):
    named = [sentences(tmp_path, "one", REFERENCES), sentences(tmp_path, "two", REFERENCES)]
    whole = pa.parquet.read_table(tmp_path / "two.parquet")
    write_parquet(tmp_path / "two.parquet", whole.slice(0, 40))
    with pytest.raises(InputError, match="the segments of 'two' are not those of 'one'"):
        made_table(tmp_path, named)


def test_comet_says_why_it_is_absent_and_is_in_the_table_where_it_is_not(tmp_path, monkeypatch):
    named = [sentences(tmp_path, "good", REFERENCES)]
    outputs = ["--comet", str(tmp_path / "comet.parquet"), "--facts", str(tmp_path / "comet.json")]
    arguments = ["--spec", "{}", "--sentences", str(tmp_path / "good.parquet"), *outputs]
    comet.main(arguments)
    rows = made_table(tmp_path, named, "--comet", f"good={tmp_path / 'comet.parquet'}")
    assert [row["note"] for row in rows if row["metric"] == "comet"] == [
        "COMET not computed: the package unbabel-comet is not installed"
    ]

    class Scorer:
        def predict(self, data, **options):
            return types.SimpleNamespace(scores=[0.8 + 0.1 * (row["mt"] == row["ref"]) for row in data])

    package = types.ModuleType("comet")
    package.load_from_checkpoint = lambda path: Scorer()
    monkeypatch.setitem(sys.modules, "comet", package)
    monkeypatch.setattr(comet.importlib.metadata, "version", lambda name: "2.2.0")
    checkpoint = tmp_path / "model" / "checkpoints" / "model.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    comet.main([*arguments, "--checkpoint", str(checkpoint)])
    described = tmp_path / "model" / "hparams.yaml"
    assert read_json(tmp_path / "comet.json")["absent"].startswith(f"there is no {described}")
    described.write_text("class_identifier: regression_metric\n")
    comet.main([*arguments, "--checkpoint", str(checkpoint)])
    rows = made_table(tmp_path, named, "--comet", f"good={tmp_path / 'comet.parquet'}")
    (row,) = (row for row in rows if row["metric"] == "comet")
    assert (row["value"], row["unit"]) == ("0.9", "")
    assert row["signature"].startswith("comet|version:2.2.0|checkpoint:model.ckpt|sha256:")


def test_parallel_text_goes_through_the_backend(tmp_path):
    async def shout(body, before):
        text = body["messages"][-1]["content"]
        return Answer(completion(text.split("<texte>\n")[1].split("\n</texte>")[0].upper() + "\n"))

    pairs = [
        {
            **{"id": f"p{number}", "collection": "made", "source_language": "en", "target_language": "fr"},
            **{"source_text": f"text {number}", "target_text": f"texte {number}", "group": "g", "meta": "{}"},
        }
        for number in range(5)
    ]
    write_parquet(tmp_path / "pairs.parquet", pa.Table.from_pylist(pairs[::-1], schema=pair_schema()))
    with EndpointServer(shout) as server:
        backend = {"kind": "openai_endpoint", "url": server.url, "model": "m", "key_variable": None}
        arguments = [
            *("--spec", json.dumps({"name": "mock", "translator": {"backend": backend}})),
            *("--pairs", f"made={tmp_path / 'pairs.parquet'}", "--work", str(tmp_path / "work")),
            *("--prompt", str(ROOT / "resources" / "prompts" / "fr" / "translation" / "text.md")),
            *("--sentences", str(tmp_path / "mock.parquet"), "--run", str(tmp_path / "mock.run.json")),
        ]
        translation_quality.main(["--backend", "openai_endpoint", *arguments])
    rows = pa.parquet.read_table(tmp_path / "mock.parquet").to_pylist()
    assert [(row["id"], row["reference"], row["translation"]) for row in rows] == [
        (f"p{number}", f"texte {number}", f"TEXT {number}") for number in range(5)
    ]
    assert json.loads((tmp_path / "mock.run.json").read_text())["segments"] == 5
    pairs[0]["source_language"] = "de"
    write_parquet(tmp_path / "pairs.parquet", pa.Table.from_pylist(pairs, schema=pair_schema()))
    with pytest.raises(InputError, match="de to fr; expected en to fr"):
        translation_quality.main(["--backend", "openai_endpoint", *arguments])
