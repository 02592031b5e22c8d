"""Suites that are tasks of lm-evaluation-harness: each task becomes a source and a benchmark."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from posologie.config import plan
from posologie.config.study import Study, StudySuite
from posologie.prediction.spec import Benchmark
from posologie.records.specs import first_problem
from posologie.running.errors import InputError
from posologie.sources.layouts import check_options
from posologie.sources.lm_eval_tasks import BUILDERS, CHOICE, Task, tasks_of
from posologie.sources.spec import Source

_SHOWN = 5
_SUFFIXES = ("parquet", "jsonl", "json", "csv", "tsv")


def with_harness_tasks(study: Study) -> Study:
    """Return the study in which each suite with `lm_eval` has benchmarks, and each of its tasks a source.

    Raises:
        InputError: naming the tasks that cannot be imported, and what each needs.
    """
    sources, suites = dict(study.sources), dict(study.suites)
    for name, suite in study.suites.items():
        if suite.lm_eval is None:
            continue
        imported = _sources_of(name, suite, study)
        taken = sorted(imported.keys() & sources.keys())
        if taken:
            raise InputError(f"suites.{name}.lm_eval: makes a source '{taken[0]}', which already exists; rename one")
        sources |= {source: described for source, (_, described) in imported.items()}
        benchmarks = {
            task.name: Benchmark(source=source, tasks=("mcqu",) if task.output == CHOICE else ("oeq",))
            for source, (task, _) in imported.items()
        }
        settings = {key: value for key, value in suite if key in suite.model_fields_set}
        for key in ("lm_eval", "component", "path", "files", "reject_limit"):
            settings.pop(key, None)
        suites[name] = StudySuite(**{**settings, "benchmarks": benchmarks})
    return study.model_copy(update={"sources": sources, "suites": suites})


def _sources_of(name: str, suite: StudySuite, study: Study) -> dict[str, tuple[Task, Source]]:
    """Return, for each task of a suite, the name of its source with the task and the source."""
    key = f"suites.{name}.lm_eval"
    try:
        tasks = tasks_of(str(suite.lm_eval))
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    needs = {task.name: task.needs(own_data=suite.path is not None) for task in tasks}
    lacking = {task: missing for task, missing in needs.items() if missing}
    if lacking:
        shown = [f"{task}: {'; '.join(missing)}" for task, missing in list(lacking.items())[:_SHOWN]]
        more = f"; and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        raise InputError(f"{key}: {len(lacking)} of {len(tasks)} tasks cannot be imported: {' | '.join(shown)}{more}")
    component = suite.component or next(iter(plan.components(study)))
    sources = {}
    for task in tasks:
        source = name if len(tasks) == 1 else f"{name}-{task.name}"
        try:
            sources[source] = task, _source(task, suite, component)
        except ValidationError as error:
            raise InputError(f"{key}: task {task.name} ({task.file}): {first_problem(error)}") from error
        except InputError as error:
            raise InputError(f"{key}: task {task.name} ({task.file}): {error}") from error
    return sources


def _source(task: Task, suite: StudySuite, component: str) -> Source:
    templates: dict[str, Any] = {
        key: task.keys[key] for key in ("doc_to_text", "doc_to_target", "doc_to_choice") if key in task.keys
    }
    if task.output != CHOICE:
        templates.pop("doc_to_choice", None)
    data, subject = str(task.keys["dataset_path"]), task.keys.get("dataset_name")
    options = {"output_type": task.output, **templates}
    if data not in BUILDERS:
        options["origin"] = data
    if subject is not None:
        options["subject"] = str(subject)
    check_options("lm_eval", options)
    where, patterns = _data(task, suite)
    return Source(
        component=component,
        reader="lm_eval",
        splits=("test",),
        files={"test": patterns},
        options=options,
        reject_limit=suite.reject_limit,
        **where,
    )


def _data(task: Task, suite: StudySuite) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return where a task's data are, as keys of a source, and the patterns of the files of its split."""
    data, subject, split = str(task.keys["dataset_path"]), task.keys.get("dataset_name"), task.split
    named = (task.keys.get("dataset_kwargs") or {}).get("data_files")
    where = {"path": suite.path} if suite.path is not None else {"hub": data}
    if suite.files is not None:
        fill = {"{name}": str(subject or ""), "{split}": str(split)}
        return where, tuple(_filled(pattern, fill) for pattern in suite.files)
    if named is not None and suite.path is None:
        return _named_files(task, named)
    if data in BUILDERS and suite.path is None:
        raise InputError(f"dataset_path {data} without data_files; name their folder with path")
    folder = task.file.parent / data
    if suite.path is None and (folder.is_dir() or Path(data).is_dir()):
        where = {"path": (folder if folder.is_dir() else Path(data)).as_posix()}
    below = [f"{subject}/{split}"] if subject is not None else [f"data/{split}", f"{split}", f"default/{split}"]
    if suite.path is not None:
        below += [] if subject is None else [f"{split}"]
    return where, tuple(
        pattern for stem in below for pattern in (f"{stem}-*.parquet", *(f"{stem}.{s}" for s in _SUFFIXES))
    )


def _filled(pattern: str, fill: dict[str, str]) -> str:
    for mark, text in fill.items():
        pattern = pattern.replace(mark, text)
    return pattern


def _named_files(task: Task, named: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the folder and the names of the files that a task lists, seen from its own folder or from here."""
    if isinstance(named, dict):
        if task.split not in named:
            raise InputError(f"dataset_kwargs.data_files: none of the split '{task.split}'")
        named = named[task.split]
    files = [str(file) for file in named] if isinstance(named, list) else [str(named)]
    if any("://" in file for file in files):
        raise InputError("dataset_kwargs.data_files: an address; download the files and name their folder with path")
    if task.keys["dataset_path"] not in BUILDERS:
        return {"hub": str(task.keys["dataset_path"])}, tuple(files)
    beside = task.file.parent
    folder = beside if all((beside / file).is_file() for file in files) else Path()
    if any(Path(file).is_absolute() for file in files):
        folder = Path("/")
        files = [file.lstrip("/") for file in files]
    return {"path": folder.as_posix()}, tuple(files)
