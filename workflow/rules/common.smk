# The study's configuration, the shape of a command, and the names that paths may hold.
import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("posologie") is None:
    print(
        "error: the Python that runs Snakemake does not have this workflow's package, posologie; install the version that "
        "belongs to these rules: pip install 'posologie @ git+URL@TAG' (in a clone: pip install -e .)",
        file=sys.stderr,
    )
    sys.exit(2)

from posologie.records import layout
from posologie.running import head, planning, seam
from posologie.running.code_digest import code_name, digest
from posologie.config import job_specs, merging, plan, table_specs
from posologie.config.load import study_document, study_from
from posologie.config.tables import TABLES as REGISTERED_TABLES, tables
from posologie.running.errors import InputError
from posologie.generation.translation_quality_spec import QualitySpec, QualityTableSpec
from posologie.records.items import SPLITS
from posologie.judging.spec import KitSpec, RatingsSpec, SuitesJudgingSpec
from posologie.records.layout import downloaded
from posologie.running.sealing import Request
from posologie.running.installed import project, shipped
from posologie.sources.layouts import collection_files, collection_patterns, local_files
from posologie.sources.spec import CollectionSpec
from posologie.records.specs import checked_path
from snakemake.exceptions import WorkflowError

# The folder of rules/, also where another workflow uses this one as a module and has a folder of its own. Rules that come
# from a git host have no folder; then the files beside them are those of the installed package.
RULES_FOLDER = workflow.current_basedir.get_path_or_uri(secret_free=True)
REPOSITORY = Path(RULES_FOLDER).absolute().parents[1] if Path(RULES_FOLDER).is_dir() else project()


# The conda file with the pins of the lock file, for those who deploy with `--software-deployment-method conda`.
ENVIRONMENT = str(REPOSITORY / "envs/posologie.yaml")


def read_document():
    """Return what describes the study, and what errors call it: the last --configfile read alone, else config/config.yaml.

    As a module, the module's config; where that is all that the other workflow read from its study files, the last of
    these files. A job on another node takes what its run was planned with: the file may have been edited since.
    """
    if workflow.remote_exec and (planned := planning.frozen_study()) is not None:
        return planned["document"], planned["origin"]
    given = [str(path) for path in workflow.overwrite_configfiles]
    if workflow.modifier.skip_configfile:
        files = given or [str(path) for path in workflow.configfiles]
        if not files or workflow.modifier_stack[0].globals.get("config") != config:
            return config, "config of the module"
        given = files
    own = "config/config.yaml" if Path("config/config.yaml").is_file() else REPOSITORY / "config/config.yaml"
    path = os.path.relpath(given[-1] if given else own)
    return study_document(path, workflow.config_settings.config), path


def check_installed():
    """Check that rules from a git host are those of the installed package, whose commands they call.

    Raises:
        InputError: naming the first file that differs.
    """
    if Path(RULES_FOLDER).is_dir():
        return
    for own in sorted((REPOSITORY / "workflow/rules").rglob("*.smk")):
        name = own.relative_to(REPOSITORY / "workflow/rules").as_posix()
        try:
            with workflow.sourcecache.open(workflow.current_basedir.join(name)) as file:
                same = file.read().rstrip() == own.read_text(encoding="utf-8").rstrip()
        except WorkflowError:
            same = False
        if not same:
            raise InputError(
                f"{RULES_FOLDER}: {name} is not that of the installed package posologie; install the version that these "
                "rules belong to: pip install 'posologie @ git+URL@TAG'"
            )


def refuse(error):
    """End with one line: a traceback through the workflow would hide it."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


try:
    checked_path(str(REPOSITORY))
except ValueError as error:
    refuse(f"{REPOSITORY}: the project's folder: expected {error}")

try:
    check_installed()
    DOCUMENT, ORIGIN = read_document()
    STUDY = study_from(DOCUMENT, ORIGIN)
except InputError as error:
    refuse(error)

# Jobs use the Python that runs Snakemake, also where the environment was not activated; no path enters a shell string.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]))

# Compute nodes have no internet: what a cluster job does not find in models/ and datasets/ must fail at once.
if workflow.remote_exec:
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")


# What is known of the code behind the rules is kept here from run to run; in a fresh clone Snakemake makes this folder only
# after it has read the rules.
os.makedirs(".snakemake", exist_ok=True)


WORK = f"{STUDY.roots.work}/{STUDY.study}"

# Digest of the rules, and of the code behind every command of theirs: what the jobs of a run are held to. A job on another
# node reads the rules again.
RULES = "the rules of the workflow"
CODE = {RULES: planning.rules_digest(REPOSITORY / "workflow")}

try:
    if workflow.remote_exec:
        planning.check_code(RULES, CODE[RULES])
    seam.install(f"results/{STUDY.study}")
except InputError as error:
    refuse(error)


pathvars:
    results=f"results/{STUDY.study}",
    models=STUDY.roots.models,
    datasets=STUDY.roots.datasets,
    work=WORK,


# The file of the published study that this one is compared with; without one, no job knows a published number.
PUBLISHED = [] if STUDY.published is None else [shipped(STUDY.published.file)]


def published_words(wildcards, input):
    """Return the words of a command line that name the published study."""
    return ["--published", *input.published] if input.published else []


MODELS = plan.models(STUDY)
PROXIES = merging.merged_models(STUDY)
BUNDLES = plan.bundles(STUDY)


def one_of(names):
    """Return the pattern of a wildcard that takes one of these names, or nothing at all if there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


# Only the Snakemake that plans a run calls this; its jobs have no hooks.
onstart:
    try:
        head.begin(workflow, STUDY.study, {"document": DOCUMENT, "origin": ORIGIN}, WORK, CODE)
    except InputError as error:
        refuse(error)


wildcard_constraints:
    source=one_of(STUDY.sources),
    split=one_of(SPLITS),
    mix=one_of(STUDY.mixes),
    seed=r"\d+",
    backbone=one_of(STUDY.backbones),
    model=one_of([*MODELS, *PROXIES]),
    suite=one_of(STUDY.suites),
    folder=one_of(plan.model_specs(STUDY)),
    form="adapter|merged",


def in_own_report(path, kind, group):
    """Return an output as one that stands in Snakemake's own report too, with its caption, below a heading."""
    return report(path, caption=f"../report/{kind}.rst", category=group, labels={kind: Path(path).stem})


def table_csv(name):
    """Return the CSV file of a table as an output: never empty, and in Snakemake's own report."""
    return ensure(in_own_report(f"<results>/tables/{name}.csv", "table", "Tables"), non_empty=True)


def command(module, arguments, sealed=True, backend=None):
    """Return the shell command of a stage, ended by a hash over the code behind it, which is what re-runs the stage.

    The code of a stage that asks a backend is that of its module and of the backend. What a command makes is sealed,
    unless it makes nothing.
    """
    words = [] if backend is None else ["--backend", backend]
    code = code_name(module, words)
    CODE[code] = digest(code)
    seal = " --sealing {params.sealing:q}" if sealed else ""
    return f"python -m {' '.join([module, *words])} {arguments}{seal} 2> {{log:q}} # code {CODE[code]}"


def sealing(beside="", **settings):
    """Return a function that says what a job reads and makes, and on which settings beside its spec the artifact depends.

    A setting may be a function of the wildcards. Files beside the first output whose names fit the pattern `beside` belong
    to the artifact.
    """

    def text(wildcards, input, output):
        values = {name: value(wildcards) if callable(value) else value for name, value in settings.items()}
        request = Request(tuple(dict.fromkeys(input)), tuple(output), values, WORK, beside)
        return seam.sealing_text(request, Path(WORK) / "sealing")

    return text


def growing(amount):
    """Return a resource that grows with each attempt, so that a retry has more of it."""

    def with_attempt(wildcards, attempt):
        return amount * attempt

    return with_attempt


def gpus(count, nodes=1):
    """Return the resources of a job on this many GPUs of each of its nodes; a job on the CPU asks for none.

    `devices` is the number that the job claims where no scheduler gives it any.
    """
    devices = {"nodes": nodes, "devices": count}
    return {"gpu": count * nodes, **devices} if count else devices


def named(pairs):
    """Return NAME=PATH words for a command line."""
    return [f"{name}={path}" for name, path in pairs]


def results_root(wildcards, output):
    """Return the folder of the study, below which a table finds its inputs by name."""
    return Path(output[0]).parents[1].as_posix()
