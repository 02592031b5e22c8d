"""The modules that the code digest skips compute nothing, and write nothing that a number rests on."""

import ast
import sys

import pytest

from posologie.running import code_digest
from posologie.running.counted_code import NEUTRAL, is_log_call, is_neutral, last_name

ROOT = code_digest._ROOT


def modules():
    """Return the syntax tree of every neutral module by its dotted name below the package."""
    names = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path for path in ROOT.rglob("*.py")}
    return {
        name: ast.parse(path.read_text(encoding="utf-8"))
        for name, path in sorted(names.items())
        if is_neutral(f"posologie.{name}")
    }


MODULES = modules()

ARITHMETIC = {
    "running.claims.dead": "when a process started",
    "running.claims.acquire": "the number of the next claim, and seconds to wait",
    "running.claims._beat": "signs of life",
    "running.claims._gone": "seconds of silence",
    "running.code_digest.code_name": "the place of a word",
    "running.code_digest._find_imports": "parts of a dotted name",
    "running.commands.advance": "units done, units a second, and seconds since the last line",
    "running.keeper.main": "the exit status of a killed server",
    "running.keeper.end": "seconds until a server is killed",
    "running.keeper.descendants": "lists of processes",
    "running.serving.wait_until": "seconds of waiting",
    "running.seals.remember_sealed": "when a job started, in nanoseconds",
    "running.counted_code.is_neutral": "parts of a dotted name",
    "running.counted_code._write": "fields of a syntax tree, as sets",
    "running.counted_code._counted_statement": "names of an import, as lists",
    "running.planning._prune": "the age of an ended run",
    "running.planning.freeze": "the number of a run",
    "running.head._as_planned": "a path",
    "running.head._has_lost_its_head": "a path",
    "running.planning.acceptances": "keys of an entry, as sets",
    "running.sealing.taken_out": "the place of an argument",
    "running.sealing.identity_of": "the place of an argument",
    "running.sealing.__init__": "paths",
    "running.sealing.files": "paths",
    "running.sealing._made": "seconds that a job took",
    "running.seals.seal_path": "a file name",
    "running.seals.seal_of": "a file name",
    "running.seals.in_one_line": "how many differences are not shown",
    "running.seals.spec_differences": "lists of differences",
    "running.seals.input_differences": "lists of differences",
    "running.seals._value_differences": "lists of differences",
    "running.whole_files": "the size of a block that is hashed at once",
    "running.whole_files.is_abandoned": "the age of a temporary file",
    "training.reporting._scalars": "tokens a second, for charts",
}
"""Functions of neutral modules that calculate, each with what: times and counts for people, never data."""

ARITHMETIC_OPERATORS = (
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Pow,
    ast.MatMult,
    ast.LShift,
    ast.RShift,
)

LIBRARIES = {
    "running.claims": {"psutil"},
    "running.commands": {"pynvml"},
    "running.head": {"snakemake.logging"},
    "running.seam": {
        "snakemake.exceptions",
        "snakemake.jobs",
        "snakemake.logging",
        "snakemake.persistence",
        "snakemake.persistence.file",
        "snakemake.workflow",
    },
    "training.reporting": {"tqdm", "torch.utils.tensorboard", "wandb", "trackio", "mlflow.tracking"},
}
"""Libraries beside Python's own that a neutral module imports."""

FORMATS = {
    "csv",
    "pickle",
    "shelve",
    "sqlite3",
    "struct",
    "array",
    "random",
    "math",
    "statistics",
    "decimal",
    "fractions",
}
"""Modules of Python's own that compute, or write a format of data."""

JSON = {
    "running.claims": "the claim, which no artifact holds",
    "running.code_digest": "what is known of the code from run to run",
    "running.commands": "progress.json, which only `posologie status` reads",
    "running.planning": "the record of a run, and accepted changes of code",
    "running.seals": "seals, and checksums from run to run",
    "running.head": "reads Snakemake's marks",
    "running.sealing": "reads what a job makes from its command line",
    "running.seam": "the owner of a lock",
    "running.whole_files": "records of runs",
}
"""Neutral modules that write JSON, each with what."""


def imported(tree):
    """Yield every module that a tree imports, without what only a type checker imports."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and last_name(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            if node.module == "posologie":
                yield from (f"posologie.{alias.name}" for alias in node.names)
            else:
                yield node.module


def is_arithmetic(node):
    """Whether a node calculates: an operator on anything but texts, paths and sets, `sum`, or a negative number."""
    if isinstance(node, ast.AugAssign):
        return isinstance(node.op, ARITHMETIC_OPERATORS)
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ARITHMETIC_OPERATORS):
        return False
    if isinstance(node.op, ast.Div) and is_path(node):
        return False
    return not any(
        isinstance(side, ast.JoinedStr | ast.Constant) and not is_number(side) for side in (node.left, node.right)
    )


def is_number(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def is_path(node):
    """Whether a division joins a path: with a text, or a folder by name."""
    sides = (node.left, node.right)
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        or (isinstance(side, ast.BinOp) and isinstance(side.op, ast.Div) and is_path(side))
        or last_name(side) in ("folder", "work")
        for side in sides
    )


def test_every_entry_names_a_module_and_says_why():
    for name, reason in NEUTRAL.items():
        path = ROOT.joinpath(*name.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), name
        assert len(reason.split()) >= 4, name


@pytest.mark.parametrize("name", MODULES)
def test_a_neutral_module_imports_nothing_that_computes(name):
    for module in imported(MODULES[name]):
        if module.split(".")[0] == "posologie":
            assert module == "posologie" or is_neutral(module), f"{name} imports {module}, which counts"
        elif module.split(".")[0] not in sys.stdlib_module_names:
            assert module in LIBRARIES.get(name, ()), f"{name} imports {module}"
        else:
            assert module not in FORMATS, f"{name} imports {module}"
            assert module != "json" or name in JSON, f"{name} writes JSON"


def calculating(tree, name):
    """Yield `module.function` and the expression of every calculation in a module."""

    def walked(node, place):
        for child in ast.iter_child_nodes(node):
            if is_arithmetic(child) or (isinstance(child, ast.Call) and last_name(child.func) in ("sum", "round")):
                yield place, ast.unparse(child)
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walked(child, f"{name}.{child.name}" if named else place)

    return walked(tree, name)


@pytest.mark.parametrize("name", MODULES)
def test_a_neutral_module_calculates_with_times_and_counts_alone(name):
    for place, expression in calculating(MODULES[name], name):
        assert place in ARITHMETIC, f"{place} calculates {expression}"


@pytest.mark.parametrize(
    "text",
    ["x = a + b", "x = a / b", "x = 2 * a", "x += 1", "x = a ** 2", "x = a @ b", "x = a % 2", "x = (a - b) / c"],
)
def test_arithmetic_is_found(text):
    assert any(is_arithmetic(node) for node in ast.walk(ast.parse(text)))


@pytest.mark.parametrize("text", ["x = folder / name", "x = a / 'b' / c", "x = 'a' + b", "x = a | b", "x = '%s' % a"])
def test_texts_and_paths_are_no_arithmetic(text):
    assert not any(is_arithmetic(node) for node in ast.walk(ast.parse(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import csv", {"csv"}),
        ("def f():\n    from posologie.records.items import Item", {"posologie.records.items"}),
        ("from posologie import running", {"posologie.running"}),
        ("if TYPE_CHECKING:\n    import torch", set()),
    ],
)
def test_imports_are_found(text, expected):
    assert set(imported(ast.parse(text))) == expected


def test_the_lists_of_exceptions_hold_nothing_that_is_not_needed():
    assert set(ARITHMETIC) == {place for name, tree in MODULES.items() for place, _ in calculating(tree, name)}
    assert set(JSON) == {name for name, tree in MODULES.items() if "json" in imported(tree)}
    assert {(name, module) for name, modules in LIBRARIES.items() for module in modules} == {
        (name, module)
        for name, tree in MODULES.items()
        for module in imported(tree)
        if module.split(".")[0] not in {*sys.stdlib_module_names, "posologie"}
    }


@pytest.mark.slow
def test_what_the_digest_takes_for_a_logger_is_one():
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bound = {
            last_name(target)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
            if ast.unparse(node.value.func) == "logging.getLogger"
            for target in node.targets
        }
        bound |= {"logger"} if "snakemake.logging" in set(imported(tree)) else set()
        for node in ast.walk(tree):
            if is_log_call(node) and not isinstance(node.func.value, ast.Call):
                assert last_name(node.func.value) in bound | {"warnings"}, f"{path}, line {node.lineno}"


def _is_options(node):
    """Whether a node is a model of a reader's options: its errors end before any job."""
    return isinstance(node, ast.ClassDef) and {last_name(base) for base in node.bases} & {"Spec", "FileForm"}


def test_readers_and_generators_raise_no_error_whose_words_a_table_of_rejects_would_keep():
    """A reader's ValueError becomes the detail of a reject; with its own words, it would have to count."""
    checked = 0
    rooms = [
        path for room in ("sources", "generation", "judging", "screening") for path in ROOT.glob(f"{room}/**/*.py")
    ]
    for path in rooms:
        if path.name in ("spec.py", "world_recipe.py"):
            continue  # validators of the study, whose words end in an InputError
        tree = ast.parse(path.read_text(encoding="utf-8"))
        options = {id(inner) for node in tree.body if _is_options(node) for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and id(node) not in options:
                checked += 1
                if last_name(node.exc.func) in ("ValueError", "TypeError", "RuntimeError"):
                    words = [part for argument in node.exc.args for part in ast.walk(argument)]
                    texts = [
                        part
                        for part in words
                        if isinstance(part, ast.JoinedStr) or isinstance(getattr(part, "value", 0), str)
                    ]
                    assert not texts, f"{path}, line {node.lineno}"
    assert checked > 40


def test_no_version_stands_behind_a_stage():
    for stage in ("training", "prediction", "scoring", "mixes", "report"):
        for module in code_digest.modules_behind(f"posologie.{stage}"):
            assert "__version__ =" not in code_digest._file_of(module).read_text(encoding="utf-8"), module
