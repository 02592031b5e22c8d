"""Task files of lm-evaluation-harness: read with what they include, and what they need that this program lacks.

A task file is YAML: `include` names a file whose keys it takes over, `!function` names Python code beside it. What can
be imported has no such code in what makes a question: a data set, and templates for the text, the choices and the
target. The form is described in the harness's docs (`docs/task_guide.md`).
"""

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from posologie.records.files import read_text
from posologie.running.errors import InputError

CHOICE, OPEN = "multiple_choice", "generate_until"
OUTPUTS = (CHOICE, OPEN)
BUILDERS = ("json", "csv", "parquet", "text")
"""Values of `dataset_path` that mean files, and no data set on the hub."""

_WITH_CODE = (
    "class",
    "custom_dataset",
    "process_docs",
    "process_results",
    "doc_to_text",
    "doc_to_choice",
    "doc_to_target",
)
"""Keys in which Python code changes the questions or what a right answer is; elsewhere it scores or draws examples."""
_MEDIA = ("doc_to_image", "doc_to_audio")
_SLICE = re.compile(r"[\[+]")


@dataclass(frozen=True)
class Code:
    """A place where a task file names Python code."""

    function: str


class _Loader(yaml.SafeLoader):
    """YAML whose tag `!function` is read as a name, and never run."""


def _code(loader: _Loader, node: yaml.ScalarNode) -> Code:
    return Code(str(loader.construct_scalar(node)))


_Loader.add_constructor("!function", _code)


@dataclass(frozen=True)
class Task:
    """One task with what its file includes.

    Attributes:
        name: what the harness calls it.
        file: where it is written.
        keys: its settings, with those of the files that it includes.
    """

    name: str
    file: Path
    keys: Mapping[str, Any]

    @property
    def output(self) -> str:
        """What the harness asks the model for."""
        return str(self.keys.get("output_type", OPEN))

    def needs(self, *, own_data: bool = False) -> list[str]:
        """Return what the task needs that this program lacks; nothing where it can be imported.

        Args:
            own_data: the data come from elsewhere than the task says.
        """
        lacking = [
            f"{key} calls Python ({_functions(self.keys[key])})" for key in _WITH_CODE if _has_code(self.keys.get(key))
        ]
        if self.output not in OUTPUTS:
            lacking.append(f"output_type {self.output}; only {' and '.join(OUTPUTS)} are imported")
        lacking += [f"{key}: only text is read" for key in _MEDIA if self.keys.get(key)]
        if self.keys.get("use_prompt"):
            lacking.append("use_prompt: a prompt of promptsource")
        lacking += self._needs_of_templates() if not lacking else []
        return lacking or self._needs_of_data(own_data)

    def _needs_of_templates(self) -> list[str]:
        templates = ("doc_to_text", "doc_to_target", *(("doc_to_choice",) if self.output == CHOICE else ()))
        missing = [key for key in templates if self.keys.get(key) in (None, "")]
        if "doc_to_text" in missing and self.output == CHOICE:
            return ["doc_to_text is empty: whole sentences are compared, without a question"]
        return [f"{key} is missing" for key in missing]

    def _needs_of_data(self, own_data: bool) -> list[str]:
        if not isinstance(self.keys.get("dataset_path"), str):
            return ["dataset_path is missing"]
        if self.split is None:
            return ["neither test_split nor validation_split"]
        if _SLICE.search(self.split):
            return [f"split '{self.split}': only whole splits are read"]
        settings = self.keys.get("dataset_kwargs") or {}
        if own_data:
            return []
        if settings.get("trust_remote_code"):
            return ["dataset_kwargs.trust_remote_code: data that Python code makes"]
        return [f"dataset_kwargs.{key}" for key in settings if key not in ("data_files", "trust_remote_code")]

    @property
    def split(self) -> str | None:
        """The data set's split that is asked."""
        name = self.keys.get("test_split") or self.keys.get("validation_split")
        return None if name is None else str(name)


def _has_code(value: Any) -> bool:
    return bool(_functions(value))


def _functions(value: Any) -> str:
    """Return the names of the Python code in a value."""
    if isinstance(value, Code):
        return value.function
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ", ".join(name for member in inside if (name := _functions(member)))


def read_task(file: Path) -> dict[str, Any]:
    """Return the keys of a task or group file, with those of the files that it includes.

    Raises:
        InputError: if a file is missing, is no map, or includes itself.
    """
    return dict(_with_includes(file, ()))


def _with_includes(file: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if file.resolve() in above:
        raise InputError(f"{file}: includes itself")
    keys = dict(_parsed(file))
    included = keys.pop("include", None)
    merged: dict[str, Any] = {}
    for name in included if isinstance(included, list) else [included] if included is not None else []:
        merged |= _with_includes(file.parent / str(name), (*above, file.resolve()))
    return merged | keys


def _parsed(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise InputError(f"{file}: no such task file")
    try:
        keys = yaml.load(read_text(file), _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise InputError(f"{file}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(keys, dict):
        raise InputError(f"{file}: expected a map of a task's keys, found {type(keys).__name__}")
    return keys


def tasks_of(where: str) -> list[Task]:
    """Return the tasks that a path or a name means: a file, all files of a folder, or a name of the installed harness.

    A group, or a tag, stands for its tasks, which are looked for below the folder of its file.

    Raises:
        InputError: if nothing is there, or a task of a group is missing.
    """
    path = Path(where)
    if path.is_dir():
        read = {file: read_task(file) for file in sorted(path.rglob("*.yaml"))}
        tasks = [Task(keys["task"], file, keys) for file, keys in read.items() if isinstance(keys.get("task"), str)]
        if not tasks:
            raise InputError(f"{where}: holds no task file (.yaml with a key 'task')")
        return tasks
    if path.is_file():
        return _of_keys(read_task(path), path, _Folder(path.parent), ())
    if path.suffix in (".yaml", ".yml") or "/" in where:
        raise InputError(f"{where}: no such task file")
    package = importlib.util.find_spec("lm_eval")
    if package is None or not package.submodule_search_locations:
        raise InputError(f"{where}: no such file; a task's name needs the package lm-eval installed, or give its file")
    return _named(where, _Folder(Path(package.submodule_search_locations[0]) / "tasks"), ())


@dataclass(frozen=True)
class _Folder:
    """A folder in which the tasks of a group are looked for."""

    root: Path

    @cached_property
    def texts(self) -> dict[Path, str]:
        """The text of each file of tasks."""
        return {file: read_text(file) for file in sorted(self.root.rglob("*.yaml"))}


def _of_keys(keys: dict[str, Any], file: Path, folder: _Folder, above: tuple[str, ...]) -> list[Task]:
    """Return the task that these keys are, or those of the group."""
    members = keys.get("task")
    if isinstance(members, str):
        return [Task(members, file, keys)]
    if not isinstance(members, list):
        raise InputError(f"{file}: no 'task'; expected a task's name, or a group's list of them")
    tasks: list[Task] = []
    for member in members:
        if isinstance(member, str):
            tasks += _named(member, folder, above)
        elif isinstance(member, dict) and isinstance(member.get("task"), list):
            tasks += _of_keys(member, file, folder, above)
        elif isinstance(member, dict) and isinstance(member.get("task"), str):
            named = _named(member["task"], folder, above)
            tasks += [Task(task.name, task.file, {**task.keys, **member}) for task in named]
        else:
            raise InputError(f"{file}: task {member!r:.60}; expected a name")
    return tasks


def _named(name: str, folder: _Folder, above: tuple[str, ...]) -> list[Task]:
    """Return the task of a name below a folder, or those of the group or tag."""
    if name in above:
        raise InputError(f"{folder.root}: group {name} contains itself")
    tagged: list[Task] = []
    for file, text in folder.texts.items():
        if name not in text:
            continue
        keys = read_task(file)
        if keys.get("task") == name or keys.get("group") == name:
            return _of_keys(keys, file, folder, (*above, name))
        tags = keys.get("tag")
        if isinstance(keys.get("task"), str) and name in (tags if isinstance(tags, list) else [tags]):
            tagged.append(Task(keys["task"], file, keys))
    if not tagged:
        raise InputError(f"{folder.root}: no task, group or tag '{name}' in the .yaml files below")
    return sorted(tagged, key=lambda task: task.name)
