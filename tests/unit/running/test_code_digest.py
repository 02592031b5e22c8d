import ast

import pytest

from posologie.running import code_digest, counted_code

SOURCES = {
    "posologie": "",
    "posologie.shared": "def twice(x):\n    return 2 * x\n",
    "posologie.lazy": "VALUE = 1\n",
    "posologie.stage": '"""Stage."""\n',
    "posologie.stage.__main__": (
        '"""Command."""\nfrom posologie.shared import twice\n\n'
        'def main():\n    """Do it."""\n    from ..lazy import VALUE\n    return twice(VALUE)  # why\n'
    ),
    "posologie.other": "X = 1\n",
    "posologie.group": "from .inner import X\n",
    "posologie.group.inner": "X = 1\n",
    "posologie.group.deep": "",
    "posologie.group.deep.leaf": "from ..inner import X\nfrom ...shared import twice\nfrom . import twig\n",
    "posologie.group.deep.twig": "",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of our own in the place of the real one; returns a function that rewrites a module."""
    root = tmp_path / "posologie"
    packages = {name for name in SOURCES if any(other.startswith(f"{name}.") for other in SOURCES)}

    def write(name, text):
        path = root.joinpath(*name.split(".")[1:])
        path = path / "__init__.py" if name in packages else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for cached in (code_digest._file_of, code_digest._facts, code_digest._imports):
            cached.cache_clear()

    monkeypatch.setattr(code_digest, "_ROOT", root)
    for name, text in SOURCES.items():
        write(name, text)
    yield write
    monkeypatch.undo()
    for cached in (code_digest._file_of, code_digest._facts, code_digest._imports):
        cached.cache_clear()


def test_the_code_behind_a_stage_is_what_it_imports_also_inside_functions(package):
    assert code_digest.modules_behind("posologie.stage") == {
        "posologie",
        "posologie.stage",
        "posologie.stage.__main__",
        "posologie.shared",
        "posologie.lazy",
    }


@pytest.mark.parametrize(
    ("module", "behind"),
    [
        ("posologie.shared", {""}),
        ("posologie.group", {"", ".inner"}),
        ("posologie.group.deep.leaf", {"", ".inner", ".deep", ".deep.twig"}),
        ("posologie.group.deep.twig", {"", ".inner", ".deep"}),
    ],
)
def test_an_import_brings_the_packages_on_the_way_and_relative_ones_count_from_the_package(package, module, behind):
    grouped = {f"posologie.group{name}" for name in behind} if module != "posologie.shared" else set()
    shared = {"posologie.shared"} if module.endswith("leaf") else set()
    assert code_digest.modules_behind(module) == {"posologie", module} | grouped | shared


@pytest.mark.parametrize("statement", ["import posologie.group.deep.twig", "import posologie.group.deep.twig as other"])
def test_an_import_by_its_whole_name_brings_the_packages_on_the_way(package, statement):
    package("posologie.shared", f"{statement}\n")
    names = ("", ".inner", ".deep", ".deep.twig")
    grouped = {f"posologie.group{name}" for name in names}
    assert code_digest.modules_behind("posologie.shared") == {"posologie", "posologie.shared"} | grouped


def test_text_that_no_encoding_holds_counts(package):
    digests = set()
    for mark in ("d800", "d801"):
        package("posologie.shared", f"X = '\\u{mark}'\n")
        digests.add(code_digest.digest("posologie.shared"))
    assert len(digests) == 2


@pytest.mark.parametrize(
    "edit",
    [
        '"""Another docstring."""\nfrom posologie.shared import twice\n'
        "def main():\n    from ..lazy import VALUE\n    return twice(VALUE)\n",
        SOURCES["posologie.stage.__main__"].replace("# why", "# because").replace("\n\n", "\n\n\n\n"),
        SOURCES["posologie.stage.__main__"].replace('"""Do it."""', "'''Do it\n    well.'''"),
    ],
    ids=["docstrings", "comments and layout", "quotes"],
)
def test_prose_and_layout_do_not_count(package, edit):
    before = code_digest.digest("posologie.stage")
    package("posologie.stage.__main__", edit)
    assert code_digest.digest("posologie.stage") == before


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("posologie.stage.__main__", SOURCES["posologie.stage.__main__"].replace("return twice", "return 1 + twice")),
        ("posologie.shared", "def twice(x):\n    return x * 2\n"),
        ("posologie.shared", "def twice(x):\n    return 2.0 * x\n"),
        ("posologie.lazy", "VALUE = '1'\n"),
        ("posologie.lazy", "VALUE = True\n"),
        ("posologie.stage", "import os\n"),
    ],
)
def test_code_counts_also_that_of_imported_modules(package, module, text):
    before = code_digest.digest("posologie.stage")
    package(module, text)
    assert code_digest.digest("posologie.stage") != before


def test_the_description_of_an_option_does_not_count(package):
    package("posologie.shared", "x = Field(default=1, description='one')\n")
    before = code_digest.digest("posologie.stage")
    package("posologie.shared", "x = Field(default=1, description='another')\n")
    assert code_digest.digest("posologie.stage") == before
    package("posologie.shared", "x = Field(default=2, description='another')\n")
    assert code_digest.digest("posologie.stage") != before


def test_code_that_is_not_imported_does_not_count(package):
    before = code_digest.digest("posologie.stage")
    package("posologie.other", "X = 2\n")
    assert code_digest.digest("posologie.stage") == before


def test_the_digest_is_the_same_on_every_version_of_python(package):
    package(
        "posologie.shared",
        "import re\n"
        "class A(dict):\n    pass\n"
        "def f(a, /, b: int = 1, *c, d=2.5, **e) -> 'x':\n"
        "    match a:\n        case {'k': [1, *_]} if b: return f'{a!r:>{b}} {{}} {1 + 1}'\n"
        "    return [x for x in y] if (z := b'q') else {**e, 'u': ...}, lambda: (yield)\n",
    )
    assert code_digest.digest("posologie.stage") == "8b076138e72baaa5"


def test_a_module_that_does_not_exist_is_an_error():
    with pytest.raises(ModuleNotFoundError, match=r"no module named 'posologie\.nowhere' below posologie"):
        code_digest.digest("posologie.nowhere")


def test_what_is_kept_from_run_to_run_changes_no_digest(package, monkeypatch, tmp_path):
    place = tmp_path / "run"
    (place / ".snakemake").mkdir(parents=True)
    monkeypatch.chdir(place)

    def fresh():
        for cached in (code_digest._file_of, code_digest._facts, code_digest._imports, code_digest._kept):
            cached.cache_clear()
        return code_digest.digest("posologie.stage")

    first = fresh()
    assert len(list((place / ".snakemake").glob("posologie-code-*.json"))) == 1
    monkeypatch.setattr(code_digest, "counted_text", None)  # no tree is walked again
    assert fresh() == first
    monkeypatch.undo()


def test_what_is_known_of_the_code_is_written_where_it_is_new_and_can_be(package, monkeypatch, tmp_path):
    place = tmp_path / "run"
    place.mkdir()
    monkeypatch.chdir(place)
    code_digest._kept.cache_clear()
    code_digest._NEW.clear()
    first = code_digest.digest("posologie.stage")
    assert not list(place.iterdir()), "no folder for Snakemake's records is made"
    records = place / ".snakemake"
    records.mkdir()
    assert code_digest.digest("posologie.stage") == first
    [file] = records.iterdir()
    file.unlink()
    code_digest.digest("posologie.stage")
    assert not list(records.iterdir()), "nothing new"
    file.mkdir()
    package("posologie.other", "X = 3\n")
    assert code_digest.digest("posologie.other") != first, "that it cannot be written is no matter"
    code_digest._NEW.clear()


BLOCKS = {
    "else": "if 1:\n    pass\nelse:\n    {}",
    "while": "while 0:\n    {}",
    "else of a loop": "for x in ():\n    pass\nelse:\n    {}",
    "with": "with open('x'):\n    {}",
    "try": "try:\n    {}\nexcept OSError:\n    pass",
    "except": "try:\n    pass\nexcept OSError:\n    {}",
    "except*": "try:\n    pass\nexcept* OSError:\n    {}",
    "else of try": "try:\n    pass\nexcept OSError:\n    pass\nelse:\n    {}",
    "finally": "try:\n    pass\nfinally:\n    {}",
    "match": "match 1:\n    case 2:\n        {}",
    "class": "class A:\n    {}",
    "method": "class A:\n    def f(self):\n        {}",
    "coroutine": "async def f():\n    async with g():\n        {}",
    "except in a function": "def f():\n    try:\n        pass\n    except OSError:\n        {}",
}


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    "statement",
    ["import posologie.other", "from posologie import other", "from posologie.other import X", "from . import other"],
)
def test_an_import_counts_in_whatever_block_it_stands(package, block, statement):
    package("posologie.shared", BLOCKS[block].format(statement))
    assert "posologie.other" in code_digest.modules_behind("posologie.stage")
    before = code_digest.digest("posologie.stage")
    package("posologie.other", "X = 2\n")
    assert code_digest.digest("posologie.stage") != before


def test_what_does_not_count_is_left_out_on_every_version_of_python(package):
    package(
        "posologie.shared",
        "import logging, json\n"
        "from posologie.running.errors import InputError\n"
        "log = logging.getLogger(__name__)\n"
        "LEFT = 1\n"
        "'''what it is'''\n"
        "def f(a, b):\n"
        "    log.info('%s of %s', a / 2, {b: 1}[b])\n"
        "    log.warning(f'{a.pop()} {(c := b)!r:>{a + 1}}')\n"
        "    if a:\n"
        "        raise InputError(f'{a}: ' + ', '.join(f'{x} and {g(x)}' for x in b if x) + ' no') from b\n"
        "    raise ValueError('%s' % h(a), a)\n",
    )
    assert code_digest.digest("posologie.stage") == "0e729c8ceefbc0ec"


def test_how_a_version_of_python_cuts_the_text_of_an_f_string_does_not_count():
    whole, cut = ast.parse("x = f'ab{y:>{z}}'"), ast.parse("x = f'ab{y:>{z}}'")
    value = cut.body[0].value
    value.values[:1] = [ast.Constant("a"), ast.Constant(""), ast.Constant("b")]
    value.values[-1].format_spec.values.append(ast.Constant(""))  # as Python 3.12.1 does
    assert counted_code.counted_text(cut) == counted_code.counted_text(whole)
    value.values[0] = ast.Constant("c")
    assert counted_code.counted_text(cut) != counted_code.counted_text(whole)


COUNTED_IN_WORDS = {
    "a call": ("f'{x}'", "f'{x.pop()}'"),
    "what a call is given": ("f'{g(1)}'", "f'{g(2)}'"),
    "an assignment": ("f'{x}'", "f'{(x := 1)}'"),
    "what is joined": ("', '.join(x)", "', '.join(y)"),
    "what is iterated over": ("', '.join(f'{a}' for a in x)", "', '.join(f'{a}' for a in y)"),
    "what is unpacked": ("f'{(*x, 1)}'", "f'{(*y, 1)}'"),
    "await": ("f'{x}'", "f'{await x}'"),
    "yield": ("f'{x}'", "f'{(yield x)}'"),
    "a call in what does nothing": ("f'{len(x)}'", "f'{len(g(x))}'"),
}
WORDS = {
    "a text": ("'a'", "'b'"),
    "a text and what is put into it": ("'a'", "f'{x} b'"),
    "texts added": ("'a'", "'b' + f'{x!r}'"),
    "a text and its arguments": ("'a'", "'%s' % x"),
    "format": ("'a'", "'{}'.format(x)"),
    "the separator": ("', '.join(x)", "' or '.join(x)"),
    "how each is shown": ("', '.join(f'{a}' for a in x)", "', '.join(f'<{a!r}>' for a in x)"),
    "the end of a text": ("'a'", "f'{x}'[:9]"),
    "one of two texts": ("'a'", "('a' if x else 'b')"),
    "arithmetic": ("f'{x / y}'", "f'{100 * x // y:.1f}'"),
    "an attribute, an entry and a length": ("f'{x}'", "f'{x.y[0]} {len(x)}'"),
}


def digests_of(package, *bodies):
    """Return the stage's digest for each body of a function of a module behind it."""
    digests = []
    for body in bodies:
        package("posologie.shared", f"async def f():\n    {body}\n")
        digests.append(code_digest.digest("posologie.stage"))
    return digests


@pytest.mark.parametrize("words", COUNTED_IN_WORDS)
@pytest.mark.parametrize("statement", ["raise InputError({})", "log.info({})", "warnings.warn({}, stacklevel=2)"])
def test_what_can_do_something_counts_inside_words_too(package, words, statement):
    first, other = digests_of(package, *(statement.format(text) for text in COUNTED_IN_WORDS[words]))
    assert first != other


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(
    "statement", ["raise InputError({})", "log.info({})", "self._log.error({})", "y = InputError({})"]
)
def test_words_for_people_do_not_count(package, words, statement):
    first, other = digests_of(package, *(statement.format(text) for text in WORDS[words]))
    assert first == other


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("raise Rejected('no gold')", "raise Rejected('no label')"),
        ("raise InputError('a')", "raise KeyError('a')"),
        ("raise InputError('a')", "raise InputError('a') from None"),
        ("raise InputError('a', 1)", "raise InputError('a', 2)"),
        ("raise InputError('a')", "InputError('a')"),
        ("x = 'a'; raise InputError(x)", "x = 'b'; raise InputError(x)"),
        ("return 'a'", "return 'b'"),
        ("print('a')", "print('b')"),
        ("math.log('a')", "math.log('b')"),
        ("log.write('a')", "log.write('b')"),
        ("table.info('a')", "table.info('b')"),
        ("add_argument('--a', help='a')", "add_argument('--b', help='a')"),
        ("add_argument('--a', default='a')", "add_argument('--a', default='b')"),
        ("plot(title='a')", "plot(title='b')"),
        ("log = getLogger('a')", "table = getLogger('a')"),
        ("import logging", "import numpy as logging"),
        ("from x import a, b", "from x import a as b, b as a"),
    ],
)
def test_words_that_an_artifact_can_hold_count(package, first, other):
    before, after = digests_of(package, first, other)
    assert before != after


def test_a_neutral_module_and_its_imports_do_not_count_wherever_it_moves(package, monkeypatch):
    monkeypatch.setattr(counted_code, "NEUTRAL", {"errors": "words", "running": "words"})
    package("posologie.running.errors", "from posologie import other\nclass InputError(Exception): pass\n")
    package(
        "posologie.shared",
        "from posologie.running.errors import InputError\nfrom posologie.lazy import VALUE\nX = VALUE\n",
    )
    before = code_digest.digest("posologie.stage")
    assert not code_digest.modules_behind("posologie.stage") & {"posologie.running.errors", "posologie.other"}
    package("posologie.running.errors", "class InputError(Exception): pass\nBEAT = 2\n")
    assert code_digest.digest("posologie.stage") == before
    package("posologie.running.errors", "class InputError(Exception): pass\n")
    moved = "from posologie.lazy import VALUE\nfrom posologie.running.errors import InputError\nX = VALUE\n"
    package("posologie.shared", moved)
    assert code_digest.digest("posologie.stage") == before


def test_the_code_of_a_backend_is_behind_the_jobs_that_ask_it_alone(package):
    package("posologie.backends.near", "X = 1\n")
    package("posologie.backends.far", "X = 1\n")
    near, far = (
        code_digest.code_name("posologie.stage", ["--spec", "{}", "--backend", kind]) for kind in ("near", "far")
    )
    assert near == "posologie.stage+posologie.backends.near"
    behind_both = code_digest.modules_behind("posologie.stage")
    assert code_digest.modules_behind(near) - behind_both == {"posologie.backends.near"}
    before = code_digest.digest(near), code_digest.digest(far)
    package("posologie.backends.near", "X = 2\n")
    assert code_digest.digest(near) != before[0]
    assert code_digest.digest(far) == before[1]
    with pytest.raises(ModuleNotFoundError, match=r"backends\.none"):
        code_digest.digest("posologie.stage+posologie.backends.none")
