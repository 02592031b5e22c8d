"""One hash over the code behind a command: what Snakemake's `code` trigger compares (DESIGN, section 4).

The hash covers the syntax trees of a module and of every module of this package that it imports, directly or not, at
the top or inside a function. Comments, docstrings, descriptions of pydantic fields and layout do not count; neither do
positions, and neither does the version of Python: the walk names the node types and non-empty fields itself instead of
trusting `ast.dump`, whose text changes between versions.
"""

import ast
import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "posologie"
_ROOT = Path(__file__).parent
_LENGTH = 16
_NEW: list[str] = []


def digest(module: str) -> str:
    """Return 16 hexadecimal digits over the code that `python -m module` runs out of this package.

    Args:
        module: dotted name; for a package, what counts is its `__main__` if it has one.
    """
    total = hashlib.sha256()
    for name in sorted(modules_behind(module)):
        total.update(f"{name}:{_module_digest(name)}\n".encode())
    _keep()
    return total.hexdigest()[:_LENGTH]


def modules_behind(module: str) -> frozenset[str]:
    """Return the dotted names of all package modules that running `module` can import, itself included.

    Raises:
        ModuleNotFoundError: if there is no such module in the package.
    """
    start = f"{module}.__main__" if _file_of(f"{module}.__main__") else module
    if _file_of(start) is None:
        raise ModuleNotFoundError(f"no module named {module!r} below {PACKAGE}")
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(_imports(name))
    return frozenset(seen)


@cache
def _file_of(module: str) -> Path | None:
    if module != PACKAGE and not module.startswith(f"{PACKAGE}."):
        return None
    path = _ROOT.joinpath(*module.split(".")[1:])
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


@cache
def _facts(module: str) -> dict[str, Any]:
    """Return a module's digest and its import statements: level (None for `import`), what from, which names.

    They depend on the bytes of the file alone, and are kept from run to run by a hash over them.
    """
    path = _file_of(module)
    assert path is not None  # noqa: S101 - callers only pass modules that were found
    source = path.read_bytes()
    key = hashlib.sha256(source).hexdigest()
    if key not in _kept():
        tree = ast.parse(source)
        pieces: list[str] = []
        _write(tree, pieces)
        text = "".join(f"{piece}\0" for piece in pieces)
        _kept()[key] = {
            "digest": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
            "imports": [_import(node) for node in _statements(tree) if isinstance(node, ast.Import | ast.ImportFrom)],
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
    return Path(".snakemake") / f"posologie-code-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]}.json"


@cache
def _kept() -> dict[str, Any]:
    try:
        kept = json.loads(_file_of_facts().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep() -> None:
    """Write the facts that are new, where Snakemake has a folder for its records."""
    file = _file_of_facts()
    if not _NEW or not file.parent.is_dir():
        return
    _NEW.clear()
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # somebody else's folder, a full disk: the next run walks again
        partial.write_text(json.dumps(_kept()), encoding="utf-8")
        os.replace(partial, file)


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Return the package modules that a module imports, with the parent packages that Python runs on the way."""
    path = _file_of(module)
    package = module if path is not None and path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
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
            found.update(".".join(parts[:length]) for length in range(1, len(parts) + 1))
    parts = module.split(".")
    found.update(".".join(parts[:length]) for length in range(1, len(parts)))
    return tuple(sorted(name for name in found if name != module and _file_of(name) is not None))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement below a node; imports are statements, so that no expression has to be walked."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(node, block, ()):
            yield statement
            yield from _statements(statement)


def _module_digest(module: str) -> str:
    return str(_facts(module)["digest"])


def _write(node: ast.AST, pieces: list[str]) -> None:
    """Append the tree as text: the node's type, then each field that is not empty."""
    pieces.append(type(node).__name__)
    if isinstance(node, ast.Constant):
        pieces.append(f"{type(node.value).__name__}={node.value!r}")
        pieces.append(")")
        return
    for field in sorted(node._fields):
        if field in ("type_comment", "kind", "type_ignores"):
            continue
        value: Any = getattr(node, field, None)
        if field == "body" and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            value = _without_docstring(value)
        elif field == "keywords" and isinstance(node, ast.Call) and _called(node) == "Field":
            value = [keyword for keyword in value if keyword.arg != "description"]
        if value is None or value == []:
            continue
        pieces.append(f".{field}")
        if isinstance(value, list):
            for element in value:
                if isinstance(element, ast.AST):
                    _write(element, pieces)
                else:
                    pieces.append(repr(element))
            pieces.append("]")
        elif isinstance(value, ast.AST):
            _write(value, pieces)
        else:
            pieces.append(repr(value))
    pieces.append(")")


def _called(node: ast.Call) -> str:
    """Return the name of what is called; the description of a pydantic field is documentation, not code."""
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    if body and isinstance(body[0], ast.Expr):
        value = body[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return body[1:]
    return body
