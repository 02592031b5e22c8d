"""What the program knows of a language: one YAML file per language in `resources/languages/`."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from posologie.errors import InputError

_FOLDER = Path(__file__).resolve().parents[2] / "resources" / "languages"


def language_files() -> list[Path]:
    """Return the files of all languages, by name."""
    return sorted(_FOLDER.glob("*.yaml"))


def language_codes() -> tuple[str, ...]:
    """Return the codes of the languages that have a file, ascending."""
    return tuple(path.stem for path in language_files())


@cache
def language_data(code: str) -> Mapping[str, Any]:
    """Return what is known of a language: the content of `resources/languages/{code}.yaml`.

    A region is ignored (`pt-BR` reads `pt.yaml`). The mapping is empty for a language without a file, so readers take
    `language_data(code).get(key, default)`.

    Raises:
        InputError: if the file is not a mapping.
    """
    path = _FOLDER / f"{code.lower().replace('_', '-').partition('-')[0]}.yaml"
    if path not in language_files():
        return MappingProxyType({})
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a mapping; write one key per line, such as `negation: [...]`")
    return MappingProxyType(content)
