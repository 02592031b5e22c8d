"""What of the source counts as code: which modules can change a number, and which parts of their syntax trees.

These do not count, because editing them cannot change a number:

- the modules of `NEUTRAL`, and the import statements that name them;
- comments, layout, docstrings and other strings that stand alone, descriptions of pydantic fields, help texts of
  argparse, and the order of names within an import;
- the words of exceptions and advice that only a person reads (`_FOR_PEOPLE`). The class of the exception counts, and so
  does every argument that is not text, since a handler can read it;
- log calls and `warnings.warn` with their words and level, and the logger that they need.

An expression inside such a text still counts where evaluating it can do something: calls, assignments, `await`, `yield`
and iteration stay as they are written. Names, attributes, subscripts and arithmetic, which only shape the message, do
not count.
"""

import ast
from collections.abc import Iterator
from itertools import groupby
from typing import Any

PACKAGE = "posologie"

NEUTRAL = {
    "records.reasons": "describes in words the reasons that other modules name",
    "running": "holds how jobs run, and how files replace each other",
    "training.reporting": "reports a training, explains in words that memory ran out (the error ends the command all "
    "the same), and asks it to stop after a checkpoint, from which it goes on to the same weights",
}
"""Modules and packages of this package that cannot change a number, each with the reason.

They import only each other: a test checks this, and looks for arithmetic and file formats in them.
"""

_FOR_PEOPLE = frozenset(
    {"InputError", "ArgumentTypeError", "ValueError", "TypeError", "RuntimeError", "NotImplementedError"}
    | {"AssertionError", "memory_explained"}
)
"""Callables whose text only a person reads; exceptions whose text an artifact keeps (`Rejected`) are not among them."""

_HELP = frozenset({"description", "epilog", "help", "metavar", "title"})
_DOCUMENTATION = {
    "Field": frozenset({"description"}),
    "ArgumentParser": _HELP,
    "add_argument": _HELP,
    "add_argument_group": _HELP,
    "add_parser": _HELP,
    "add_subparsers": _HELP,
}
"""For each callable, the arguments that are documentation."""

_LOGGERS = {"log", "_log", "logger", "_logger"}
_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
_LOG_MODULES = {"logging", "warnings"}
_WITHOUT_EFFECT = {"len", "str", "repr", "type", "round"}
"""Calls inside a text that neither change nor use up what they are given."""

_IGNORED_FIELDS = {"type_comment", "kind", "type_ignores"}


def is_neutral(module: str) -> bool:
    """Return whether a module, or a package that it lies in, is in `NEUTRAL`."""
    first, *rest = module.split(".")
    return first == PACKAGE and any(".".join(rest[:length]) in NEUTRAL for length in range(1, len(rest) + 1))


def counted_text(tree: ast.Module) -> str:
    """Return what counts of a module as one text: equal for equal code on every version of Python."""
    pieces: list[str] = []
    _write(tree, pieces)
    return "".join(f"{piece}\0" for piece in pieces)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement below a node; imports are statements, so that no expression has to be walked."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(node, block, ()):
            yield statement
            yield from statements(statement)


def is_log_call(node: ast.AST) -> bool:
    """Return whether an expression is a call of a logger, or of `warnings.warn`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    method, receiver = node.func.attr, node.func.value
    if method == "warn":
        return isinstance(receiver, ast.Name) and receiver.id == "warnings"
    if method not in _LOG_METHODS:
        return False
    if isinstance(receiver, ast.Call):
        return called(receiver) == "getLogger"
    return last_name(receiver) in _LOGGERS


def last_name(node: ast.AST) -> str:
    """Return the last word of a dotted name; nothing for another expression."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def called(node: ast.Call) -> str:
    """Return the last word of the name of what is called."""
    return last_name(node.func)


def _write(node: ast.AST, pieces: list[str]) -> None:
    """Append a node's type, then each field that is not empty."""
    pieces.append(type(node).__name__)
    if isinstance(node, ast.Constant):
        pieces.append(f"{type(node.value).__name__}={node.value!r}")
    elif is_log_call(node):
        _write_effects(node, pieces)
    else:
        for field in sorted(set(node._fields) - _IGNORED_FIELDS):
            value = _counted(node, field)
            if value is None or value == []:
                continue
            pieces.append(f".{field}")
            if isinstance(value, list):
                for element in value:
                    _write_value(element, pieces)
                pieces.append("]")
            else:
                _write_value(value, pieces)
    pieces.append(")")


def _write_value(value: Any, pieces: list[str]) -> None:
    if isinstance(value, _Words):
        _write_effects(value.node, pieces)
    elif isinstance(value, ast.AST):
        _write(value, pieces)
    else:
        pieces.append(repr(value))


class _Words:
    """An expression whose effects alone count: its value is read by people."""

    def __init__(self, node: ast.AST) -> None:
        self.node = node


def _counted(node: ast.AST, field: str) -> Any:
    """Return the value of a node's field without what does not count."""
    value: Any = getattr(node, field, None)
    if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
        return [statement for statement in map(_counted_statement, value) if statement is not None]
    if isinstance(node, ast.JoinedStr):
        return _joined_parts(value)
    if isinstance(node, ast.Call) and field in ("args", "keywords"):
        name = called(node)
        documentation = _DOCUMENTATION.get(name, frozenset())
        value = [argument for argument in value if getattr(argument, "arg", None) not in documentation]
        if name in _FOR_PEOPLE:
            return [_Words(argument) if _is_text(argument) else argument for argument in value]
    return value


def _joined_parts(parts: list[ast.expr]) -> list[ast.expr]:
    """Return the parts of an f-string, adjacent texts joined: versions of Python cut them differently."""
    joined: list[ast.expr] = []
    for is_text, group in groupby(parts, key=lambda part: isinstance(part, ast.Constant)):
        if not is_text:
            joined.extend(group)
        elif text := "".join(str(part.value) for part in group if isinstance(part, ast.Constant)):
            joined.append(ast.Constant(text))
    return joined


def _counted_statement(statement: ast.stmt) -> ast.stmt | None:
    """Return a statement without what does not count; None where nothing is left."""
    match statement:
        case ast.Expr(value=ast.Constant()):
            return None
        case ast.Expr(value=value) if is_log_call(value) and not list(_effects(value)):
            return None
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
            return None if name in _LOGGERS and called(call) == "getLogger" else statement
        case ast.Import(names=names):
            counted = [alias for alias in names if alias.name not in _LOG_MODULES and not is_neutral(alias.name)]
            counted += [alias for alias in names if alias.name in _LOG_MODULES and alias.asname]
            return ast.Import(counted) if counted else None
        case ast.ImportFrom(module=str(module), names=names, level=0):
            counted = [alias for alias in names if not is_neutral(module) and not is_neutral(f"{module}.{alias.name}")]
            ordered = sorted(counted, key=lambda alias: (alias.name, alias.asname or ""))
            return ast.ImportFrom(module, ordered, 0) if counted else None
    return statement


def _is_text(node: ast.AST) -> bool:
    """Return whether an argument is certainly a text: a string with parts put into it, or a choice between such."""
    match node:
        case ast.keyword(value=value) | ast.Subscript(value=value):
            return _is_text(value)
        case ast.Constant(value=value):
            return isinstance(value, str)
        case ast.JoinedStr():
            return True
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_text(left) or _is_text(right)
        case ast.BinOp(left=left, op=ast.Mod()):
            return _is_text(left)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_text(body) and _is_text(orelse)
        case ast.Call(func=ast.Attribute(value=receiver, attr="format" | "join")):
            return _is_text(receiver)
    return False


def _write_effects(node: ast.AST, pieces: list[str]) -> None:
    pieces.append("words")
    for effect in _effects(node):
        _write(effect, pieces)


def _effects(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of an expression that can do something when it is evaluated, in the order of the source."""
    match node:
        case ast.Call(func=ast.Attribute(value=receiver)) if is_log_call(node):
            parts: list[ast.AST] = [*getattr(receiver, "args", ()), *node.args, *node.keywords]
        case ast.Call(func=ast.Name(id=name)) if name in _WITHOUT_EFFECT:
            parts = [*node.args, *node.keywords]
        case ast.Call(func=ast.Attribute(value=receiver, attr="join"), args=[ast.AST() as joined]) if _is_text(
            receiver
        ):
            # Joining uses up an iterator, so what is joined counts.
            yield from _effects(joined) if isinstance(joined, ast.GeneratorExp | ast.ListComp) else [joined]
            return
        case ast.Call(func=ast.Attribute(value=receiver, attr="format")) if _is_text(receiver):
            parts = [receiver, *node.args, *node.keywords]
        case ast.GeneratorExp(generators=generators) | ast.ListComp(generators=generators):
            yield from generators
            parts = [node.elt]
        case ast.Call() | ast.NamedExpr() | ast.Await() | ast.Yield() | ast.YieldFrom() | ast.Starred():
            yield node
            return
        case ast.SetComp() | ast.DictComp():  # both iterate
            yield node
            return
        case _:
            parts = list(ast.iter_child_nodes(node))
    for part in parts:
        yield from _effects(part)
