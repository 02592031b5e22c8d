"""A packaged study against the RO-Crate validator, which is installed for this test (`make test-packaging`)."""

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

from posologie.cli import package
from posologie.config.load import load_study
from posologie.running.seals import seals_below
from simulated import make_study
from studies import REPOSITORY

PROFILES = ("ro-crate-1.1", "workflow-ro-crate-1.0", "process-run-crate-0.5", "workflow-run-crate-0.5")
ABOUT_CONTEXT = ("ro-crate-1.1_3.1", "ro-crate-1.1_3.2")
"""Checks that fetch the context themselves, which needs the network."""

# The context of version 1.3, which the package rocrate carries, stands for that of 1.1; one term has moved in between.
VALIDATE = """
import json, pathlib, sys
import rocrate
from rocrate_validator import models, services
from rocrate_validator.utils import document_loader
context = json.loads((pathlib.Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text())["@context"]
context["ComputationalWorkflow"] = "https://bioschemas.org/ComputationalWorkflow"
document_loader._fetch_json_ld = lambda url: {"@context": {} if "workflow-run" in url else context}
issues = []
for profile in sys.argv[2:]:
    settings = services.ValidationSettings(rocrate_uri=sys.argv[1], profile_identifier=profile, offline=True,
        requirement_severity=models.Severity.REQUIRED, skip_availability_check=True)
    issues += [[profile, issue.check.identifier, issue.message] for issue in services.validate(settings).get_issues()]
print(json.dumps(issues, default=str))
"""


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    """A Python that has the validator."""
    if "POSOLOGIE_ROCRATE_PYTHON" in os.environ:
        return os.environ["POSOLOGIE_ROCRATE_PYTHON"]
    folder = tmp_path_factory.mktemp("validator")
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", "roc-validator==0.13.0", "rocrate==0.16.0"], check=True)
    return python


def test_a_packaged_study_keeps_the_profiles_that_it_names(validator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_study(Path("results/simulated"), choices=8, open_questions=2, tables=("mcqa",))
    (tmp_path / "results/simulated/report").mkdir()
    (tmp_path / "results/simulated/report/index.html").write_text("<title>Report</title>")
    study = load_study(REPOSITORY / "config/test.yaml", {"study": "simulated"})
    seals = list(seals_below("results/simulated"))
    authors = [package.Author("Ada Example", "https://orcid.org/0000-0002-1825-0097")]
    package.write_crate(study, seals, tmp_path / "crate", licence="CC-BY-4.0", authors=authors, others=["scores"])
    done = subprocess.run(
        [validator, "-c", VALIDATE, tmp_path / "crate", *PROFILES], capture_output=True, text=True, check=True
    )
    issues = json.loads(done.stdout.splitlines()[-1])
    assert not [issue for issue in issues if issue[1] not in ABOUT_CONTEXT]
    assert {issue[0] for issue in issues} <= set(PROFILES)
