"""The program without its checkout: from a wheel in a clean environment, and deployed with snakedeploy from git.

By hand (`make test-packaging`): the wheel is installed with what it names, in a new environment. POSOLOGIE_LOCKED=1
takes the packages of the environment that runs the tests instead, which is much quicker.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from studies import REPOSITORY

GIT = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
       "GIT_COMMITTER_EMAIL": "a@example.org"}  # fmt: skip


def run(*command, cwd, env=None, code=0):
    """Run a command and return what it printed, errors included."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def new_environment(folder):
    """Make an environment and return the variables under which its programs are found, and its Python."""
    venv.create(folder, with_pip=True)
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    paths = [path for path in kept["PATH"].split(os.pathsep) if Path(path) != Path(sys.executable).parent]
    return kept | {"PATH": os.pathsep.join([str(folder / "bin"), *paths])}, folder / "bin" / "python"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """The files of the project as a repository with the tag v0.1.0."""
    root = tmp_path_factory.mktemp("repository")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY).split("\0")
    for name in filter(None, listed):
        source, target = REPOSITORY / name, root / name
        if source.is_file() and not name.startswith("tests/"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    env = os.environ | GIT
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"], ["tag", "v0.1.0"]):
        run("git", *command, cwd=root, env=env)
    return root


@pytest.fixture(scope="module")
def installed(repository, tmp_path_factory):
    """An environment with nothing but the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("installed")
    env, python = new_environment(folder / "env")
    locked = "POSOLOGIE_LOCKED" in os.environ
    if locked:  # the folder of packages, whose own .pth files do not count there
        (packages,) = (folder / "env" / "lib").glob("*/site-packages")
        (packages / "locked.pth").write_text(str(Path(pytest.__file__).parents[1]))
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, repository, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    constraints = [] if locked else ["-c", REPOSITORY / "envs/requirements.lock"]
    run(python, "-m", "pip", "install", "-q", *(["--no-deps"] if locked else constraints), wheel, cwd=folder, env=env)
    return env


def test_a_study_is_started_checked_and_planned_from_an_installed_wheel(installed, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/own.csv").write_text("Frage,A,B,richtig\n" + "Was gilt?,Ja,Nein,A\n" * 4, encoding="utf-8")
    run("posologie", "new-study", "law", "--language", "de", "--native", "data/own.csv", cwd=tmp_path, env=installed)
    assert "columns of the file: Frage, A, B, richtig" in (tmp_path / "config/law.yaml").read_text(encoding="utf-8")
    project = Path(run("posologie", "project", cwd=tmp_path, env=installed).strip())
    assert project.is_relative_to(Path(installed["PATH"].split(os.pathsep)[0]).parent)
    study = project / "config/test.yaml"
    assert "Nothing is in the way" in run("posologie", "check", "--configfile", study, cwd=tmp_path, env=installed)
    asked = ["--snakefile", project / "Snakefile", "--configfile", study]
    assert "write_report" in planned((tmp_path, installed), *asked)
    assert not list(tmp_path.glob("results/*"))


@pytest.fixture(scope="module")
def deployed(repository, installed, tmp_path_factory):
    """A folder in which snakedeploy has deployed the tag; GitHub's address leads to the repository."""
    tools = tmp_path_factory.mktemp("tools")
    of_tools, python = new_environment(tools / "env")
    run(python, "-m", "pip", "install", "-q", "snakedeploy==0.17.1", cwd=tools, env=of_tools)
    address = "https://github.com/labs/posologie"
    settings = tools / "gitconfig"
    settings.write_text(f'[url "{repository.as_uri()}"]\n\tinsteadOf = {address}\n', encoding="utf-8")
    here = {"GIT_CONFIG_GLOBAL": str(settings), "XDG_CACHE_HOME": str(tools / "cache")}
    folder = tmp_path_factory.mktemp("deployed")
    run("snakedeploy", "deploy-workflow", address, ".", "--tag", "v0.1.0", cwd=folder, env=of_tools | here)
    return folder, installed | here


def planned(deployed, *arguments, code=0):
    """Return what a quiet dry run in the deployed folder prints."""
    folder, env = deployed
    python = Path(env["PATH"].split(os.pathsep)[0]) / "python"
    return run(python, "-m", "snakemake", "-n", "-q", "rules", *arguments, cwd=folder, env=env, code=code)


def test_a_deployed_workflow_plans_every_study_under_every_profile(deployed):
    assert "write_report" in planned(deployed), "the report is the default target of the module"
    extending = planned(deployed, "--configfile", "config/paper-screened.yaml")
    assert "write_report" in extending
    assert "screen_shard" in extending, "a study that extends another one"
    assert "train_adapter                3" in planned(deployed, "--configfile", "config/test.yaml"), "read alone"
    assert "write_report" in planned(deployed, "--configfile", "config/test.yaml", "--profile", "profiles/slurm")
    assert "write_report" in planned(deployed, "--configfile", "config/test.yaml", "--config", "study=other")


def test_a_deployed_workflow_runs_the_test_study(deployed):
    folder, env = deployed
    python = Path(env["PATH"].split(os.pathsep)[0]) / "python"
    run(python, "-m", "snakemake", "--cores", "2", "--configfile", "config/test.yaml", cwd=folder, env=env)
    assert (folder / "results/test/report/index.html").is_file()


def test_rules_of_another_version_than_the_installed_package_are_refused(deployed, repository):
    folder, _ = deployed
    rules = repository / "workflow/rules/mixes.smk"
    rules.write_text(rules.read_text() + "\n# another version\n")
    run("git", "commit", "-qam", "later", cwd=repository, env=os.environ | GIT)
    run("git", "tag", "v0.2.0", cwd=repository, env=os.environ | GIT)
    file = folder / "workflow/Snakefile"
    file.write_text(file.read_text().replace("v0.1.0", "v0.2.0"))
    output = planned(deployed, "--configfile", "config/test.yaml", code=2)
    assert "mixes.smk is not that of the installed package posologie; install the version" in output
    assert "Traceback" not in output


def test_a_python_without_the_package_is_told_to_install_it(deployed):
    folder, env = deployed
    asked = [sys.executable, "-S", "-c", "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
             "runpy.run_module('snakemake', run_name='__main__')", Path(pytest.__file__).parents[1]]  # fmt: skip
    output = run(*asked, "-n", cwd=folder, env=env, code=2)
    assert "does not have this workflow's package, posologie; install the version" in output
    assert "Traceback" not in output
