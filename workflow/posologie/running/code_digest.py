"""One hash over the code behind a command: what Snakemake's `code` trigger compares (DESIGN, section 4).

The hash covers the syntax trees of a module and of every module of this package that it imports, directly or not, in
any block of a module, class or function. `posologie.running.counted_code` says what of a tree counts and which modules
do not count at all. Positions do not count, and neither does the version of Python: the walk names the node types and
non-empty fields itself instead of trusting `ast.dump`, whose text changes between versions.
"""

import ast
import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from posologie.running import counted_code
from posologie.running.counted_code import PACKAGE, counted_text, is_neutral, statements

_ROOT = Path(__file__).parents[1]
_LENGTH = 16
_NEW: list[str] = []


def code_name(module: str, words: Sequence[str]) -> str:
    """Return the name of the code that a command runs: its module and, behind a `+`, the backend that it is given.

    A stage imports its backend by name, so that the code of one backend is not behind the jobs of the others.

    Args:
        words: of the command line; the backend is the word behind `--backend`.
    """
    if "--backend" not in words:
        return module
    return f"{module}+{PACKAGE}.backends.{words[list(words).index('--backend') + 1]}"


def digest(code: str) -> str:
    """Return 16 hexadecimal digits over the code that a command runs out of this package.

    Args:
        code: dotted names of modules with `+` between them (`code_name`); for a package, what counts is its `__main__`
            if it has one.
    """
    return total_digest(module_digests(code))


def module_digests(code: str) -> dict[str, str]:
    """Return the digest of each module behind the code that a command runs, ordered by name.

    Args:
        code: dotted names of modules with `+` between them (`code_name`).
    """
    digests = {name: _module_digest(name) for name in sorted(modules_behind(code))}
    _keep()
    return digests


def total_digest(digests: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits over the digests of modules, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(digests):
        total.update(f"{name}:{digests[name]}\n".encode())
    return total.hexdigest()[:_LENGTH]


def forget() -> None:
    """Forget what was read of the code, so that the next digest is of the files as they are then."""
    for remembered in (_file_of, _facts, _imports):
        remembered.cache_clear()


def modules_behind(code: str) -> frozenset[str]:
    """Return the dotted names of the package modules that count behind some code: themselves and what they can import.

    Args:
        code: dotted names of modules with `+` between them.

    Raises:
        ModuleNotFoundError: if there is no such module in the package.
    """
    waiting = []
    for module in code.split("+"):
        waiting.append(f"{module}.__main__" if _file_of(f"{module}.__main__") else module)
        if _file_of(waiting[-1]) is None:
            raise ModuleNotFoundError(f"no module named {module!r} below {PACKAGE}")
    modules: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in modules:
            modules.add(name)
            waiting.extend(_imports(name))
    return frozenset(modules)


def _find_file(module: str) -> Path | None:
    if module != PACKAGE and not module.startswith(f"{PACKAGE}."):
        return None
    path = _ROOT.joinpath(*module.split(".")[1:])
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


def _read_facts(module: str) -> dict[str, Any]:
    """Return a module's digest and its import statements: level (None for `import`), what from, which names.

    They depend on the bytes of the file alone, and are kept from run to run by a hash over them.
    """
    path = _file_of(module)
    assert path is not None  # noqa: S101 - callers only pass modules that were found
    source = path.read_bytes()
    key = hashlib.sha256(source).hexdigest()
    if key not in _kept():
        tree = ast.parse(source)
        _kept()[key] = {
            "digest": hashlib.sha256(counted_text(tree).encode("utf-8", "surrogatepass")).hexdigest(),
            "imports": [_import(node) for node in statements(tree) if isinstance(node, ast.Import | ast.ImportFrom)],
        }
        _NEW.append(key)
    facts: dict[str, Any] = _kept()[key]
    return facts


def _import(node: ast.Import | ast.ImportFrom) -> list[Any]:
    names = [alias.name for alias in node.names]
    return [None, "", names] if isinstance(node, ast.Import) else [node.level, node.module or "", names]


@cache
def _file_of_facts() -> Path:
    """Return where facts are kept, beside Snakemake's records; another walk over the trees has another file."""
    walk = hashlib.sha256()
    for file in (__file__, counted_code.__file__):
        walk.update(Path(file).read_bytes())
    return Path(".snakemake") / f"posologie-code-{walk.hexdigest()[:16]}.json"


@cache
def _kept() -> dict[str, Any]:
    try:
        stored = json.loads(_file_of_facts().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _keep() -> None:
    """Write the facts that are new, where Snakemake has a folder for its records."""
    file = _file_of_facts()
    if not _NEW or not file.parent.is_dir():
        return
    _NEW.clear()
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # someone else's folder, a full disk: the next run walks again
        partial.write_text(json.dumps(_kept()), encoding="utf-8")
        os.replace(partial, file)


def _find_imports(module: str) -> tuple[str, ...]:
    """Return the package modules that a module imports, with the parent packages that Python runs on the way."""
    path = _file_of(module)
    package = module if path is not None and path.name == "__init__.py" else module.rpartition(".")[0]
    candidates: set[str] = set()
    for level, base, imported in _facts(module)["imports"]:
        if level is None:
            names = imported
        else:
            if level:
                parent = ".".join(package.split(".")[: len(package.split(".")) - level + 1])
                base = f"{parent}.{base}" if base else parent
            names = [base, *(f"{base}.{name}" for name in imported)]
        for name in names:
            parts = name.split(".")
            candidates.update(".".join(parts[:length]) for length in range(1, len(parts) + 1))
    parts = module.split(".")
    candidates.update(".".join(parts[:length]) for length in range(1, len(parts)))
    counted = (name for name in candidates if name != module and not is_neutral(name))
    return tuple(sorted(name for name in counted if _file_of(name) is not None))


# Functions with a decorator are not mutated by the mutation tests, so what is cached has a name of its own.
_file_of, _facts, _imports = cache(_find_file), cache(_read_facts), cache(_find_imports)


def _module_digest(module: str) -> str:
    return str(_facts(module)["digest"])
