"""What the catalog of Snakemake workflows asks of a workflow for standardized usage, and one version everywhere."""

import re
import tomllib

import pytest
import yaml

from posologie.running import installed
from studies import REPOSITORY


def read(name):
    return (REPOSITORY / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def catalog():
    return yaml.safe_load(read(".snakemake-workflow-catalog.yml"))


@pytest.mark.parametrize(
    "name", ["README.md", "LICENSE", "config/config.yaml", "config/README.md", "workflow/Snakefile"]
)
def test_the_files_that_the_catalog_looks_for_are_there(name):
    assert (REPOSITORY / name).is_file()


def test_the_entry_file_is_a_table_of_contents_that_names_the_version_it_needs():
    text = read("workflow/Snakefile")
    assert len(text.splitlines()) <= 80
    [needed] = re.findall(r'^min_version\("([\d.]+)"\)$', text, re.MULTILINE)
    [locked] = re.findall(r"^snakemake==([\d.]+)$", read("envs/requirements.lock"), re.MULTILINE)
    assert locked.startswith(needed)


def test_every_rule_that_runs_a_command_says_in_words_what_it_does():
    for path in sorted((REPOSITORY / "workflow/rules").glob("*.smk")):
        rules = re.split(r"^ *(?:rule|checkpoint)\b.*:$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        for rule in rules:
            if re.search(r"^ +shell:$", rule, re.MULTILINE):
                assert re.search(r'^ +message:\n +f?"[A-Z]', rule, re.MULTILINE), f"{path.name}: {rule[:300]}"


def test_the_catalogs_own_file_has_the_keys_that_it_knows(catalog):
    usage = catalog["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert set(usage["software-stack-deployment"]) <= {"conda", "apptainer", "apptainer+conda", "singularity"}
    assert all(isinstance(value, bool) for value in usage["software-stack-deployment"].values())
    assert usage["report"] is True


def test_what_it_says_of_conda_and_of_the_report_is_true(catalog):
    packages = yaml.safe_load(read("envs/posologie.yaml"))["dependencies"][-1]["pip"]
    itself = any("posologie" in package for package in packages)
    assert catalog["usage"]["software-stack-deployment"]["conda"] is itself, "conda alone lacks this package"
    assert "pip install 'posologie" in catalog["usage"]["mandatory-flags"]["desc"]
    [description] = re.findall(r'^report: "(.+)"$', read("workflow/Snakefile"), re.MULTILINE)
    assert (REPOSITORY / "workflow" / description).is_file()


def test_every_place_that_states_the_version_states_the_same_one():
    stated = {
        "package": tomllib.loads(read("pyproject.toml"))["project"]["version"],
        "installed": installed.__version__,
        "citation": str(yaml.safe_load(read("CITATION.cff"))["version"]),
        "changelog": re.findall(r"^## \[(\d[^\]]*)\]", read("CHANGELOG.md"), re.MULTILINE)[0],
    }
    assert set(stated.values()) == {"0.1.0"}, stated


def test_the_citation_is_complete():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= citation.keys()
    assert citation["license"] == "MIT"
    assert "MIT License" in read("LICENSE")
    assert citation["references"][0]["identifiers"][0]["value"] in read("README.md")
