import pytest

from posologie import code_digest

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
    with pytest.raises(ModuleNotFoundError):
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
    monkeypatch.setattr(code_digest, "_write", None)  # no tree is walked again
    assert fresh() == first
    monkeypatch.undo()
