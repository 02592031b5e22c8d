"""Reading a study file: whole by itself, inheriting only through `extends:`, one line of error if it does not fit."""

import difflib
import os
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from posologie.config import plan
from posologie.config.check import check_references
from posologie.config.harness import with_harness_tasks
from posologie.config.language import with_language
from posologie.config.study import Study
from posologie.mixes.spec import doses, expand_sweeps
from posologie.records.files import read_text
from posologie.records.specs import first_problem
from posologie.running.errors import InputError
from posologie.running.installed import shipped
from posologie.sources.spec import Collection, Source

Placed = TypeVar("Placed", Source, Collection)

REPLACED = ("components", "sources", "mixes", "sweeps", "backbones", "suites", "judges")
"""Maps that a study file replaces as a whole: merged maps of mixes would add up to a study that nobody wrote."""


def load_study(path: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None) -> Study:
    """Read a study file, then apply overrides (`--config key=value`) on top.

    Raises:
        InputError: naming the file, the key, its value and what was expected.
    """
    return study_from(study_document(path, overrides), str(path))


def study_document(path: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what a study file and the overrides on top of it say, with what it extends, before defaults.

    Raises:
        InputError: if a file is missing or is no map of sections.
    """
    return _merged(_document(Path(path), ()), _renamed(overrides or {}))


def study_from(document: Mapping[str, Any], origin: str) -> Study:
    """Return the study that a configuration describes; `origin` is what its errors call it.

    Raises:
        InputError: naming the key, its value and what was expected.
    """
    try:
        study = Study.model_validate(dict(document))
    except ValidationError as error:
        raise _located(origin, _problem(error)) from error
    try:
        study = with_harness_tasks(with_shipped(with_sweeps(with_data_folder(study))))
        study = with_language(study)
        check_references(study)
        study = with_validation(study)
    except InputError as error:
        raise _located(origin, str(error)) from error
    return study


def _located(origin: str, problem: str) -> InputError:
    """Return an error that names the study file and, where the key stands in it or in what it extends, the line."""
    key = re.match(r"[\w.\[\]/-]+", problem)
    try:
        place = place_of(Path(origin), key[0]) if key is not None and Path(origin).is_file() else None
    except (InputError, OSError, yaml.YAMLError):
        place = None
    return InputError(f"{origin if place is None else place}: {problem}")


def place_of(path: Path, key: str) -> str | None:
    """Return `file, line N` of a dotted key in a study file or in those that it extends; None where it is in none.

    The deepest part of the key that is written down counts; of equally deep ones, that of the file itself.
    """
    deepest: tuple[int, str] | None = None
    files: list[Path] = []
    while path not in files:
        files.append(path)
        root = yaml.compose(read_text(path), yaml.SafeLoader)
        if not isinstance(root, yaml.MappingNode):
            break
        depth, line = _deepest(root, re.sub(r"\[(\d+)\]", r".\1", key))
        if depth and (deepest is None or depth > deepest[0]):
            deepest = depth, f"{path}, line {line}"
        parents = [value.value for name, value in root.value if name.value == "extends"]
        if not parents:
            break
        path = path.parent / str(parents[0])
    return None if deepest is None else deepest[1]


def _deepest(node: yaml.Node, key: str) -> tuple[int, int]:
    """Return how many characters of a dotted key are written down below a node, and the line of the last of them."""
    if isinstance(node, yaml.MappingNode):
        steps = [(str(name.value), name.start_mark.line + 1, value) for name, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        steps = [(str(place), value.start_mark.line + 1, value) for place, value in enumerate(node.value)]
    else:
        return 0, 0
    best = (0, 0)
    for name, line, value in steps:
        if key == name or key.startswith(f"{name}."):  # names may have dots themselves
            depth, below = _deepest(value, key[len(name) + 1 :])
            best = max(best, (len(name) + depth, below or line))
    return best


def with_sweeps(study: Study) -> Study:
    """Return the study with the mixes of its sweeps beside those written out, and a dose–response curve for each sweep.

    Raises:
        InputError: if a mix or curve of that name is already there.
    """
    mixes = dict(study.mixes)
    curves = dict(study.statistics.sweeps)
    for name, sweep in study.sweeps.items():
        if name in curves:
            raise InputError(f"sweeps.{name}: statistics.sweeps has a curve of this name too; expected another name")
        curves[name] = doses(name, sweep)
        for mix, drawn in expand_sweeps({name: sweep}).items():
            if mix in mixes:
                raise InputError(f"sweeps.{name}: makes a mix '{mix}', which already exists; expected another name")
            mixes[mix] = drawn
    statistics = study.statistics.model_copy(update={"sweeps": curves})
    return study.model_copy(update={"mixes": mixes, "statistics": statistics})


def with_shipped(study: Study) -> Study:
    """Return the study with data below `resources/` taken from those that ship, where its own folder has none."""

    def shipped_path(path: str) -> str:
        return shipped(path) if path.startswith("resources/") else path

    sources, collections = (
        {
            name: origin if origin.path is None else origin.model_copy(update={"path": shipped_path(origin.path)})
            for name, origin in described.items()
        }
        for described in (study.sources, study.collections)
    )
    backbones = {}
    for name, backbone in study.backbones.items():
        if (untrained := backbone.untrained) is not None:
            corpus = tuple(shipped_path(path) for path in untrained.corpus)
            backbone = backbone.model_copy(update={"untrained": untrained.model_copy(update={"corpus": corpus})})
        backbones[name] = backbone
    return study.model_copy(update={"sources": sources, "collections": collections, "backbones": backbones})


def with_data_folder(study: Study) -> Study:
    """Return the study with the relative paths of its sources and collections below `roots.data`."""
    root = study.roots.data
    if root == ".":
        return study

    def placed(entry: Placed) -> Placed:
        return entry if entry.path is None else entry.model_copy(update={"path": Path(root, entry.path).as_posix()})

    return study.model_copy(
        update={
            "sources": {name: placed(source) for name, source in study.sources.items()},
            "collections": {name: placed(collection) for name, collection in study.collections.items()},
        }
    )


def with_validation(study: Study) -> Study:
    """Return the study with the components of its validation set named, where its file leaves them out."""
    if study.validation.provenances is not None:
        return study
    names = plan.validation_components(study)
    return study.model_copy(update={"validation": study.validation.model_copy(update={"provenances": names})})


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error: one of the two values would be lost. Merge keys (`<<`) may be."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: list[Any] = []
        for name in (name for name, _ in node.value if name.tag != "tag:yaml.org,2002:merge"):
            key = self.construct_object(name, deep=True)  # type: ignore[no-untyped-call]
            if key in keys:
                raise InputError(f"line {name.start_mark.line + 1}: key '{key}' occurs twice")
            keys.append(key)
        return super().construct_mapping(node, deep)


def _document(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if not path.exists() and not path.is_symlink():
        raise InputError(f"{path}: no such study file; name another, or write one with posologie new-study")
    if path.is_dir():
        raise InputError(f"{path}: a folder; expected a study file")
    text = read_text(path)
    if path.resolve() in above:
        raise InputError(f"{path}: extends itself")
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    except InputError as error:
        raise InputError(f"{path}, {error}") from error
    if not isinstance(document, dict):
        kind = "an empty file" if document is None else type(document).__name__
        raise InputError(f"{path}: expected a map of sections, found {kind}")
    document = _renamed(document)
    parent = document.pop("extends", None)
    if parent is None:
        return document
    return _merged(_document(path.parent / str(parent), (*above, path.resolve())), document)


def _renamed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with a key of earlier study files under its present name: a merge keeps one of the two."""
    renamed = dict(document)
    validation = renamed.get("validation")
    if isinstance(validation, Mapping) and "provenances" in validation and "components" not in validation:
        renamed["validation"] = {("components" if key == "provenances" else key): validation[key] for key in validation}
    return renamed


def _merged(base: Mapping[str, Any], change: Mapping[str, Any], top: bool = True) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        known = merged.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping) and not (top and key in REPLACED):
            merged[key] = _merged(known, value, top=False)
        else:
            merged[key] = value
    return merged


def _problem(error: ValidationError) -> str:
    """Say the first problem in one line; for an unknown key, also which keys were expected."""
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    if problems[0]["type"] != "extra_forbidden":
        return first_problem(error)
    return _unknown_key(problems[0])


def _unknown_key(problem: ErrorDetails) -> str:
    *parents, key = problem["loc"]
    value = repr(problem["input"])
    value = value if len(value) <= 60 else value[:57] + "…"
    known = sorted(_keys_at(parents))
    close = difflib.get_close_matches(str(key), known, n=1)
    expected = f"'{close[0]}'" if close else "one of " + ", ".join(known)
    return f"{'.'.join(str(part) for part in problem['loc'])} = {value}: unknown key; expected {expected}"


def _keys_at(location: list[int | str]) -> set[str]:
    """Return the keys that the configuration knows at a place; names of a map and positions in a list stand for any.

    Where a section is one of several kinds, the place of an error names the kind too.
    """
    models: list[type[BaseModel]] = [Study]
    skip = False
    for part in location:
        if skip:
            skip = False
            continue
        fields = [item for model in models for item in model.model_fields.items()]
        here = [field for name, field in fields if key_of(name, field) == part]
        of_kind = [model for model in models if part in _kinds_of(model)]
        if len(models) > 1 and of_kind:  # a section of several kinds, such as a sweep: its errors name the kind first
            models = of_kind
            continue
        sections = [below for field in here for below in models_in(field.annotation)]
        models, skip = [model for model, _ in sections], any(many for _, many in sections)
    return {key_of(name, field) for model in models for name, field in model.model_fields.items()}


def key_of(name: str, field: FieldInfo) -> str:
    """Return the key of a field in a study file: its alias, or the first of several."""
    choices = field.validation_alias
    return str(choices.choices[0]) if isinstance(choices, AliasChoices) else field.alias or name


def _kinds_of(model: type[BaseModel]) -> tuple[Any, ...]:
    kind = model.model_fields.get("kind")
    return () if kind is None else typing.get_args(kind.annotation)


def models_in(annotation: Any, many: bool = False) -> list[tuple[type[BaseModel], bool]]:
    """Return the sections that an annotation may hold, each with whether it is one of many (a map or a list)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, many)]
    inside = many or typing.get_origin(annotation) in (dict, tuple, list)
    return [section for argument in typing.get_args(annotation) for section in models_in(argument, inside)]
