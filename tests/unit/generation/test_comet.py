"""COMET's own package and a checkpoint of its own form, where POSOLOGIE_COMET_PYTHON names the Python that has it."""

import json
import os
import re
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from quality_made import REFERENCES, ROOT, made_table, sentences, worse

from posologie.records.files import read_json, read_parquet

HERE = Path(__file__).parent


def test_the_environment_of_comet_is_pinned_and_holds_what_its_packages_leave_out():
    text = (ROOT / "envs/comet.yaml").read_text(encoding="utf-8")
    pins = dict(re.findall(r"- ([\w-]+)==([\w.]+)", text))
    assert pins["unbabel-comet"]
    assert int(pins["setuptools"].split(".")[0]) < 82, "later ones have no pkg_resources, which torchmetrics 0.10 needs"
    assert int(pins["numpy"].split(".")[0]) < 2, "COMET asks for it"
    assert int(pins["pyarrow"].split(".")[0]) < 26, "later ones ask for numpy 2"


@pytest.fixture(scope="module")
def python():
    """The Python of an environment made from `envs/comet.yaml`."""
    path = os.environ.get("POSOLOGIE_COMET_PYTHON")
    if not path:
        pytest.skip("COMET has an environment of its own; set POSOLOGIE_COMET_PYTHON to its Python")

    def run(*words):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "HF_HUB_OFFLINE": "1"}
        done = subprocess.run([path, *words], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


@pytest.mark.slow
def test_scores_are_those_of_comet_asked_one_segment_at_a_time(python, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(REFERENCES), encoding="utf-8")
    made = tmp_path / "made"
    python(str(HERE / "comet_made.py"), str(made), str(text))
    translations = [worse(text, 3) if place % 2 else text for place, text in enumerate(REFERENCES)]
    translations[4] = ""  # as of a translation that was withheld
    named = [sentences(tmp_path, "good", translations)]
    module = "posologie.generation.comet"
    python(
        "-m", module, "--spec", '{"batch_size": 4}', "--sentences", str(tmp_path / "good.parquet"),
        "--checkpoint", str(made / "checkpoints/model.ckpt"),
        "--comet", str(tmp_path / "comet.parquet"), "--facts", str(tmp_path / "comet.json"),
    )  # fmt: skip
    rows = read_parquet(tmp_path / "comet.parquet", ["id", "comet"]).to_pylist()
    alone = json.loads(
        python(str(HERE / "comet_made.py"), str(made), str(tmp_path / "good.parquet"), "--score").splitlines()[-1]
    )
    assert [row["id"] for row in rows] == pq.read_table(tmp_path / "good.parquet")["id"].to_pylist()
    assert [row["comet"] for row in rows] == pytest.approx(alone, abs=1e-5)
    assert len({round(score, 4) for score in alone}) > 10
    assert pa.compute.all(pa.compute.is_finite(pa.array(alone))).as_py()
    assert read_json(tmp_path / "comet.json")["signature"].startswith("comet|version:2.2.7|checkpoint:model.ckpt|")
    table = made_table(tmp_path, named, "--comet", f"good={tmp_path / 'comet.parquet'}")
    (row,) = (row for row in table if row["metric"] == "comet")
    assert float(row["value"]) == pytest.approx(sum(alone) / len(alone), abs=1e-5)
