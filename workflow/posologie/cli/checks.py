"""What `posologie check` looks at, one function for each thing."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from posologie.backends.engine_kinds import KINDS
from posologie.backends.served import in_the_clear
from posologie.backends.spec import Engine
from posologie.cli.found_sources import missing_columns
from posologie.cli.places import results_of
from posologie.cli.running import queue
from posologie.config import plan
from posologie.config.language import is_there
from posologie.config.study import Study
from posologie.generation.spec import Generator, Translator
from posologie.judging.spec import Judge
from posologie.models.encoders import encoder_folder
from posologie.models.spec import Backbone, EncoderOrigin
from posologie.models.store import installed_version
from posologie.prediction.other_specs import Served
from posologie.records.files import read_json
from posologie.running import commands as nvml
from posologie.running.errors import InputError
from posologie.running.installed import shipped
from posologie.sources.layouts import local_files

OK, WARNING, PROBLEM = "ok", "warning", "problem"
LOCK = "envs/requirements.lock"


@dataclass(frozen=True)
class Finding:
    """What was found: `ok`, `warning` or `problem`, and one line."""

    state: str
    text: str


def environment(study: Study) -> Iterator[Finding]:
    """Compare the installed packages with the lock file."""
    other = []
    for line in Path(shipped(LOCK)).read_text(encoding="utf-8").splitlines():
        name, separator, version = line.partition("==")
        if separator and not line.startswith("#"):
            try:
                installed = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                installed = "not installed"
            if installed.partition("+")[0] != version:
                other.append(f"{name} {installed} instead of {version}")
    if other:
        yield Finding(WARNING, f"{len(other)} packages differ from {LOCK}: {', '.join(other[:4])}; numbers may differ")
    else:
        yield Finding(OK, f"the packages are those of {LOCK}")


def data(study: Study) -> Iterator[Finding]:
    """Look for the local files of every source and split, and for the columns that the reader's options name."""
    for name, source in study.sources.items():
        if source.path is not None:
            try:
                files = {file: Path(file) for split in source.splits for file in local_files(source, split)}
                unknown = list(missing_columns(name, source, files)) if source.reader == "columns" else []
            except InputError as error:
                yield Finding(PROBLEM, f"sources.{name}: {error}")
            else:
                count = f"{len(files)} file{'s' if len(files) > 1 else ''}"
                yield Finding(OK, f"sources.{name}: {count} below {source.path}")
                yield from (Finding(PROBLEM, problem) for problem in unknown)
        elif source.made is not None:
            kind, _, rest = source.made.partition("/")
            maker = rest.partition("/")[0]
            known = study.generators if kind == "generated" else study.translators
            if maker in known:
                yield Finding(OK, f"sources.{name}: made by {maker}")
            else:
                yield Finding(PROBLEM, f"sources.{name}: from = '{source.made}': no such maker as '{maker}'")


def other_files(study: Study) -> Iterator[Finding]:
    """Look for prompts, human ratings and the files that judges were trained on."""
    files = {f"judges.{name}.prompt": judge.prompt for name, judge in study.judges.items()}
    files |= {f"generators.{name}.prompts": generator.prompts for name, generator in study.generators.items()}
    files |= {f"translators.{name}.prompt": translator.prompt for name, translator in study.translators.items()}
    for name, judge in study.judges.items():
        files |= {f"judges.{name}.trained_on": file for file in judge.trained_on}
    for name, ratings in study.judging.ratings.items():
        files |= {f"judging.ratings.{name}.files.{rater}": file for rater, file in ratings.files.items()}
    missing = [f"{key} = '{file}': no such file" for key, file in files.items() if not is_there(file)]
    for problem in missing:
        yield Finding(PROBLEM, problem)
    if files and not missing:
        yield Finding(OK, ", ".join(sorted(set(files.values()))))


def models(study: Study) -> Iterator[Finding]:
    """Look for models that come from this machine: folders, packages with a GGUF file, and encoders."""
    for key, encoder in _encoders(study).items():
        if encoder.hub is None:
            try:
                yield Finding(OK, f"{key}: {encoder_folder(encoder, None)}")
            except InputError as error:
                yield Finding(PROBLEM, f"{key}: {error}")
    for key, backbone in backbones_of(study).items():
        manifest = Path(study.roots.models) / backbone.folder_name() / "manifest.json"
        if manifest.is_file():
            revision = read_json(manifest).get("revision")
            yield Finding(OK, f"{key}: {'made here' if revision is None else f'fetched, revision {revision}'}")
            yield from _other_package(key, backbone, revision)
        elif backbone.folder is not None:
            is_present = (Path(backbone.folder) / "config.json").is_file()
            problem = (
                f"{key}.folder = '{backbone.folder}': holds no config.json; expected a model in transformers' form"
            )
            yield Finding(OK, f"{key}: {backbone.folder}") if is_present else Finding(PROBLEM, problem)
        elif backbone.untrained is not None:
            for file in backbone.untrained.corpus:
                if not Path(file).is_file():
                    yield Finding(PROBLEM, f"{key}.untrained.corpus = '{file}': no such file")
        elif backbone.gguf_package is not None:
            is_present = importlib.util.find_spec(backbone.gguf_package) is not None
            problem = f"{key}.gguf_package = '{backbone.gguf_package}': not installed"
            yield Finding(OK, f"{key}: package {backbone.gguf_package}") if is_present else Finding(PROBLEM, problem)
        if backbone.trust_remote_code:
            yield Finding(WARNING, f"{key}: trust_remote_code runs Python code that comes with the model")


def _other_package(key: str, backbone: Backbone, revision: str | None) -> Iterator[Finding]:
    """Say where the package of a model has another version than the one that the model was made from."""
    if backbone.gguf_package is None:
        return
    installed = installed_version(backbone.gguf_package)
    if installed != revision:
        changed = f"made from version {revision}, {installed or 'none'} is installed; the next run rebuilds it"
        yield Finding(WARNING, f"{key}: {backbone.gguf_package}: {changed}")


def _encoders(study: Study) -> dict[str, EncoderOrigin]:
    named = {"scoring.encoder": study.scoring.encoder, "screening.encoder": study.screening.encoder}
    return {key: encoder for key, encoder in named.items() if encoder is not None}


def backbones_of(study: Study) -> dict[str, Backbone]:
    """Return every local model of a study by its key in the study file."""
    return {
        **{key: model for key, encoder in _encoders(study).items() if (model := encoder.backbone()) is not None},
        **{f"backbones.{name}": backbone for name, backbone in study.backbones.items()},
        **{
            f"published_models.{name}.model": published.model
            for name, published in study.published_models.items()
            if published.model
        },
        **{f"local_models.{name}": backbone for name, backbone in study.local_models.items()},
    }


def keys(study: Study) -> Iterator[Finding]:
    """Look for the environment variables that hold the keys of endpoints."""
    published = study.published_models.items()
    makers = {
        **{f"judges.{name}": judge.backend for name, judge in study.judges.items()},
        **{f"generators.{name}": generator.backend for name, generator in study.generators.items()},
        **{f"translators.{name}": translator.backend for name, translator in study.translators.items()},
        **{f"published_models.{name}": model.served.backend for name, model in published if model.served},
    }
    for name, backend in makers.items():
        variable = getattr(backend, "key_variable", None)
        if variable is None:
            continue
        if os.environ.get(variable):
            yield Finding(OK, f"{name}: {variable} is set")
            if (url := getattr(backend, "url", None)) is not None and in_the_clear(url):
                yield Finding(WARNING, f"{name}: {url}: the key is sent unencrypted to another machine; use https")
        else:
            yield Finding(
                PROBLEM, f"{name}: the environment variable {variable} is not set; it holds the endpoint's key"
            )


def mixes(study: Study) -> Iterator[Finding]:
    """Compare what each mix asks for with what its sources hold, where they are already read or screened."""
    from posologie.mixes.contents import ingredient_counts, sources_of

    if not study.mixes:
        yield Finding(WARNING, "the study has no mixes: nothing is trained, and no mix is compared with anything")
        return
    budget = "" if study.training.budget is None else f", of {study.training.budget} that may be spent"
    repeats, proposed = study.design.repeats or 0, study.design.trainings
    design = "" if proposed is None else f"; design: {proposed} more, {repeats} of them repeats"
    count = plan.trainings(study)
    yield Finding(OK, f"{count} training{'' if count == 1 else 's'}: {plan.trainings_text(study)}{budget}{design}")
    held = {name: plan.held_by_source(study, name, results_of(study)) for name in plan.trained_sources(study)}
    component_of = {name: study.sources[name].provenance for name in held}
    if not any(held.values()):
        yield Finding(OK, "not drawn yet; what the sources hold is known after `snakemake … shards`")
        return
    for name, mix in study.mixes.items():
        if mix.size == "smallest":
            continue
        for ingredient, count in ingredient_counts(mix, 0, component_of).items():
            sources = sources_of(ingredient, component_of)
            if any(held[source] is None for source in sources):
                continue
            stock = sum(sum((held[source] or {}).get(task, 0) for task in mix.tasks) for source in sources)
            epochs = mix.epochs.get(ingredient, 1)
            if stock * epochs < count:
                times = "" if epochs == 1 else f" {epochs} times each"
                held_by = ", ".join(sources)
                problem = f"mixes.{name}: {count:,} items of {ingredient} requested{times}, {stock:,} held by {held_by}"
                yield Finding(PROBLEM, problem)
    count = len(study.mixes)
    yield Finding(OK, f"{count} mix{'es' if count != 1 else ''} compared with what the sources hold")


def gpus(study: Study) -> Iterator[Finding]:
    """Compare the GPUs that a job asks for with those of this machine."""
    asked_for = max(study.devices.gpus_per_training_job, study.devices.gpus_per_prediction_job)
    names = _gpu_names()
    shares = study.devices.gpus_per_training_job * study.devices.nodes_per_training_job
    if study.devices.shard_backbone:
        yield Finding(
            OK, f"each of a training's {shares} GPUs holds 1/{shares} of the backbone (posologie plan --memory)"
        )
    if not asked_for:
        yield Finding(OK, "no job asks for a GPU")
    elif len(names) >= asked_for:
        yield Finding(OK, f"{len(names)} here ({', '.join(sorted(set(names)))}), {asked_for} a job asked for")
    elif shutil.which("sbatch"):
        yield Finding(
            OK, f"{len(names)} here, {asked_for} a job asked for: this machine has SLURM, use --profile slurm"
        )
    else:
        problem = (
            f"{len(names)} here, {asked_for} a job asked for and no SLURM; devices.gpus_per_…_job: 0 runs on the CPU"
        )
        yield Finding(PROBLEM, problem)


def _gpu_names() -> list[str]:
    with nvml.driver() as library:
        if library is None:
            return []
        handles = [library.nvmlDeviceGetHandleByIndex(number) for number in range(library.nvmlDeviceGetCount())]
        return [str(library.nvmlDeviceGetName(handle)) for handle in handles]


def disk(study: Study) -> Iterator[Finding]:
    """Say how much room there is where the study writes, and whether it may write there."""
    for name in ("results", study.roots.models, study.roots.datasets, study.roots.work):
        existing = next(folder for folder in (Path(name), *Path(name).absolute().parents) if folder.exists())
        if not os.access(existing, os.W_OK):
            yield Finding(PROBLEM, f"{name}: no right to write in {existing}")
            continue
        free = shutil.disk_usage(existing).free / 1e9
        yield Finding(OK if free > 1 else PROBLEM, f"{name}: {free:,.0f} GB free")


def engines(study: Study) -> Iterator[Finding]:
    """Look for the program of each engine; jobs on other machines may still find it."""
    served = {name: model.served for name, model in study.published_models.items() if model.served is not None}
    askers: list[Judge | Generator | Translator | Served]
    askers = [*study.judges.values(), *study.generators.values(), *study.translators.values(), *served.values()]
    names = [*study.judges, *study.generators, *study.translators, *served]
    for name, asker in zip(names, askers, strict=True):
        if isinstance(asker.backend, Engine):
            program = (asker.running.command or KINDS[asker.backend.engine].command)[0]
            if shutil.which(program) is None:
                yield Finding(
                    WARNING, f"{name}: no program '{program}' on this machine; set running.command, or load it"
                )
            else:
                yield Finding(OK, f"{name}: {program}")


def slurm(study: Study) -> Iterator[Finding]:
    """Look for SLURM's commands and for site settings that are still to be filled in."""
    commands = [name for name in ("sbatch", "squeue", "sacct", "scancel") if shutil.which(name)]
    if not commands:
        yield Finding(OK, "not on this machine; needed for --profile slurm only")
        return
    missing = sorted({"sbatch", "squeue", "sacct", "scancel"} - set(commands))
    if missing:
        yield Finding(PROBLEM, f"{', '.join(missing)} not found beside {', '.join(commands)}")
    else:
        yield Finding(OK, "sbatch, squeue, sacct and scancel were found")
    queued, unasked = queue(Path.cwd())
    if unasked:
        yield Finding(WARNING, f"could not be asked: {unasked}")
    for job in queued:
        if job.helps:
            text = f"job {job.job} ({job.what}) waits for ever, {job.state}: {job.reason}"
            yield Finding(PROBLEM, f"{text}; once the reason is gone: {job.helps}")
    profiles = [path.read_text(encoding="utf-8") for path in Path("profiles").glob("*/profile.yaml")]
    if profiles and not any(re.search(r"^\s*slurm_account:\s*\S", text, re.MULTILINE) for text in profiles):
        text = "no slurm_account in profiles/*/profile.yaml, so SLURM's default account is used"
        yield Finding(WARNING, f"{text}; profiles/README.md says where to name one")
