"""Edits of the real package, and the stages whose digest each one changes."""

import shutil

import pytest

from posologie.running import code_digest

STAGES = {
    "training": "posologie.training",
    "prediction": "posologie.prediction",
    "scoring": "posologie.scoring",
    "mixes": "posologie.mixes",
}
EVERY = frozenset(STAGES)
PROMPTED = EVERY - {"mixes"}


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    root = tmp_path_factory.mktemp("copy") / "posologie"
    shutil.copytree(code_digest._ROOT, root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def forget():
    for cached in (code_digest._file_of, code_digest._facts, code_digest._imports):
        cached.cache_clear()


@pytest.fixture
def changed_by(copied, monkeypatch, tmp_path):
    """Return a function that gives the stages whose digest an edit of the copied package changes."""
    monkeypatch.chdir(tmp_path)  # no folder of Snakemake: nothing is kept
    monkeypatch.setattr(code_digest, "_ROOT", copied)

    def digests():
        forget()
        return {name: code_digest.digest(module) for name, module in STAGES.items()}

    def changed(file, edit):
        before = digests()
        path = copied / file
        source = path.read_text(encoding="utf-8") if path.exists() else None
        try:
            path.write_text(edit(source), encoding="utf-8")
            after = digests()
        finally:
            if source is None:
                path.unlink()
            else:
                path.write_text(source, encoding="utf-8")
        return {name for name in STAGES if before[name] != after[name]}

    yield changed
    monkeypatch.undo()
    forget()


def replaced(old, new):
    def edit(source):
        assert source.count(old) >= 1, f"{old!r} is not there to be edited"
        return source.replace(old, new, 1)

    return edit


def appended(text):
    return lambda source: f"{source}\n\n{text}\n"


def reformatted(source):
    """Give every line that ends with an opening bracket a blank line behind it."""
    assert "(\n" in source
    return source.replace("(\n", "(\n\n")


NEUTRAL = {
    "an error's wording in items": (
        "records/items.py",
        replaced("expected a table of items", "choose a table of items"),
    ),
    "an error's wording in files": ("records/files.py", replaced("not a whole Parquet file", "damaged Parquet file")),
    "an error's wording in seals": ("running/seals.py", replaced("no such file", "there is no such file")),
    "an error split into two texts": (
        "records/items.py",
        replaced("is missing; expected a table", 'is " "missing: a table'),
    ),
    "an error of the loop": ("training/loop.py", replaced("the loss diverges, mean", "the loss grows, mean")),
    "a value left out of an error": ("training/loop.py", replaced("after {first:.3f} over the first; ", "")),
    "an error with a formatted value more": (
        "prediction/__main__.py",
        replaced("expected both or neither", "expected both or neither, not {options.adapter_config!r}"),
    ),
    "the wording of a validator": (
        "records/specs.py",
        replaced("beginning with a letter or digit", "first a letter or digit"),
    ),
    "the wording of an argument's error": ("running/commands.py", replaced("expected NAME=PATH", "write NAME=PATH")),
    "the docstring of the one exception": (
        "running/errors.py",
        replaced("that a person can fix", "that a person can correct"),
    ),
    "another exception in errors": ("running/errors.py", appended("class OtherError(Exception):\n    pass")),
    "a log text in devices": ("running/commands.py", replaced("working on GPU %s", "using GPU %s")),
    "how often devices are looked at": ("running/commands.py", replaced("_LOOK = 2.0", "_LOOK = 1.0")),
    "a log text in progress": ("running/commands.py", replaced("%s: %d of %d %s", "%s: %d/%d %s")),
    "how often progress is written": ("running/commands.py", replaced("self._written >= 2", "self._written >= 5")),
    "the heartbeat of claims": ("running/claims.py", replaced("BEAT = 10.0", "BEAT = 20.0")),
    "the silence that claims allow": ("running/claims.py", replaced("SILENCE = 120.0", "SILENCE = 300.0")),
    "the out-of-memory advice of the loop": (
        "training/reporting.py",
        replaced("(now {micro_batch};", "({micro_batch};"),
    ),
    "when memory ran out": ("training/loop.py", replaced('f"validation of epoch {epoch}"', 'f"validating, {epoch}"')),
    "the version": ("running/installed.py", replaced('"unknown"', '"none"')),
    "the docstring of the package": ("__init__.py", replaced("how much of which", "which amount of which")),
    "a comment": ("training/loop.py", replaced("# the one wait for the device", "# waits here")),
    "the docstring of a function": (
        "training/update.py",
        replaced("Return the learning rate of", "Give the rate of"),
    ),
    "the docstring of a constant": ("training/update.py", replaced("Float32 logits held at once", "Logits at once")),
    "the description of an option": ("training/spec.py", replaced("after the warm-up", "once warmed up")),
    "the help of an argument": ("training/__main__.py", replaced('help="training items of the mix"', 'help="items"')),
    "the name of an argument's value in the help": (
        "scoring/__main__.py",
        replaced('metavar="SOURCE=SHARD"', 'metavar="NAME=PATH"'),
    ),
    "the layout": ("training/loop.py", reformatted),
    "quotation marks": ("training/update.py", replaced('"cosine"', "'cosine'")),
    "the order of names in an import": (
        "training/adapters.py",
        replaced("Recipe, TrainingSpec", "TrainingSpec, Recipe"),
    ),
    "a log line's wording": ("training/job.py", replaced("continuing after update", "continuing after update")),
    "a log line's level": ("training/examples.py", replaced("log.info(", "log.debug(")),
    "a log line less": (
        "models/store.py",
        replaced('    log.info("%s: %d files checked", path.parent, len(facts["files"]))\n', ""),
    ),
    "a first log line in a module": (
        "training/update.py",
        lambda source: (
            source.replace("import math\n", "import logging\nimport math\n").replace(
                "    warmup = ", '    log.debug("step %d of %d", step, total)\n    warmup = '
            )
            + "\nlog = logging.getLogger(__name__)\n"
        ),
    ),
    "a warning's wording": (
        "training/update.py",
        lambda source: source.replace("import math\n", "import math\nimport warnings\n").replace(
            "    warmup = ", '    warnings.warn("a warm-up", stacklevel=2)\n    warmup = '
        ),
    ),
    "how temporary files are named": ("running/whole_files.py", replaced(".partial", ".part")),
    "when a temporary file counts as left": ("running/whole_files.py", replaced("= 3600.0", "= 7200.0")),
    "what counts as code": ("running/code_digest.py", replaced("_LENGTH = 16", "_LENGTH = 16  # digits")),
    "the format of log lines": ("running/commands.py", replaced("%(asctime)s %(name)s", "%(name)s")),
    "the text of a progress bar": ("training/reporting.py", replaced('unit="update"', 'unit="step"')),
    "a module that no stage imports": (
        "new_reader.py",
        lambda source: "from posologie.records.items import Item\nX = 1\n",
    ),
    "a page of the report": ("report/page.py", appended("COLOUR = 1")),
}
"""Edits that change no number: none of them re-makes an adapter, an answer, a score or a mix."""


@pytest.mark.parametrize("name", NEUTRAL)
def test_an_edit_that_changes_no_number_changes_no_digest(changed_by, name):
    assert changed_by(*NEUTRAL[name]) == set()


COUNTED = {
    "a constant of the loop": (
        "training/loop.py",
        replaced("DIVERGENCE_WINDOW = 20", "DIVERGENCE_WINDOW = 21"),
        {"training"},
    ),
    "an operator of the loss": ("training/loop.py", replaced("(loss / weight)", "(loss * weight)"), {"training"}),
    "a default of the recipe": ("training/spec.py", replaced("default=1e-4", "default=2e-4"), {"training"}),
    "a bound of an option": ("training/spec.py", replaced("gt=0", "ge=0"), {"training"}),
    "the warm-up": ("training/update.py", replaced("math.ceil(", "math.floor("), {"training"}),
    "the order of examples": ("training/batches.py", replaced("{seed}", "{seed + 1}"), {"training"}),
    "the number of mega-batches": ("training/batches.py", replaced("50)", "49)"), {"training"}),
    "which weights decay": ("training/update.py", replaced('r"bias|', 'r"biases|'), {"training"}),
    "the scale of dropout": ("training/layers.py", replaced("1 / (1 - self", "1 / (2 - self"), {"training"}),
    "the format of the weights": ("training/adapters.py", replaced('"format": "pt"', '"format": "np"'), {"training"}),
    "the name of an array": ("training/examples.py", replaced('f"{name}.npy"', 'f"{name}.bin"'), {"training"}),
    "the default of an argument": ("training/__main__.py", replaced("default=12", "default=13"), {"training"}),
    "the order of processes": (
        "training/launcher.py",
        replaced('"LOCAL_RANK": str(rank)', '"LOCAL_RANK": str(0)'),
        {"training"},
    ),
    "an exception of another class": (
        "training/loop.py",
        replaced("        raise InputError(", "        raise ValueError("),
        {"training"},
    ),
    "an error that is no longer raised": (
        "training/adapters.py",
        replaced("            raise InputError(", "            print("),
        {"training"},
    ),
    "a call inside an error": (
        "training/loop.py",
        replaced("update {step} (epoch {epoch})", "update {step} (epoch {group.gathered(1)})"),
        {"training"},
    ),
    "an assignment inside a log call": (
        "training/job.py",
        replaced('continuing after update %d of %d", done', 'continuing after update %d of %d", (done := 0)'),
        {"training"},
    ),
    "an import in an except block": (
        "training/update.py",
        appended("try:\n    pass\nexcept OSError:\n    from posologie.scoring.tables import label_sets"),
        {"training"},
    ),
    "a computing module in the place of a neutral one": (
        "training/loop.py",
        replaced("from posologie.running.errors import InputError", "from posologie.training.update import InputError"),
        {"training"},
    ),
    "the template's date": ("models/load.py", replaced("(2024, 7, 26)", "(2024, 7, 27)"), {"training", "prediction"}),
    "a comparison in parsing": ("prediction/parsing.py", replaced("< len(options)", "<= len(options)"), {"prediction"}),
    "a pattern of parsing": ("prediction/parsing_patterns.py", replaced("toutes|tous", "toutes"), {"prediction"}),
    "where a thought ends": (
        "language/marks.py",
        replaced("*_, closing = (None", "closing, *_ = (None"),
        {"prediction", "scoring"},
    ),
    "the tokens of an answer": ("prediction/requests.py", replaced("return 2 * len", "return 3 * len"), {"prediction"}),
    "a limit of a suite": ("prediction/spec.py", replaced("default=512", "default=511"), {"prediction", "scoring"}),
    "an order of BLEU": (
        "scoring/text.py",
        replaced("ORDERS_OF_BLEU, ORDERS_OF_CHRF = 4", "ORDERS_OF_BLEU, ORDERS_OF_CHRF = 3"),
        {"scoring"},
    ),
    "a keyword of a metric": (
        "scoring/text.py",
        replaced("effective_order=True", "effective_order=False"),
        {"scoring"},
    ),
    "the words of a text": ("scoring/text.py", replaced(r"[\p{L}\p{N}]", r"[\p{L}\p{N}_]"), {"scoring"}),
    "a comparison of scores": ("scoring/__main__.py", replaced("pc.not_equal", "pc.equal"), {"scoring"}),
    "the remainder of a quota": (
        "mixes/sampling.py",
        replaced("2 * awards[name] + 1", "2 * awards[name] + 2"),
        {"mixes"},
    ),
    "the order of a draw": ("mixes/sampling.py", replaced("digest_size=8", "digest_size=9"), {"mixes"}),
    "the compression of Parquet": ("records/files.py", replaced('compression="zstd"', 'compression="snappy"'), EVERY),
    "the decimals of CSV": ("records/files.py", replaced(":.6f", ":.5f"), EVERY),
    "the order of keys in JSON": ("records/files.py", replaced("sort_keys=True", "sort_keys=False"), EVERY),
    "a reason in items": ("records/items.py", replaced('return "no gold label"', 'return "no label"'), EVERY),
    "the form of an item's id": ("records/items.py", replaced("digest_size=10", "digest_size=11"), EVERY),
    "what a spec accepts": ("records/specs.py", replaced('extra="forbid"', 'extra="ignore"'), EVERY),
    "the default of the prompt": ("records/prompting.py", replaced("Choix de réponses :", "Choix :"), PROMPTED),
    "the order of options": ("records/prompting.py", replaced("{seed}\\x1f{variant}", "{seed}\\x1f"), PROMPTED),
    "a decorator": ("training/update.py", replaced("@torch.no_grad()", "@torch.enable_grad()"), {"training"}),
    "an import that runs code": (
        "training/update.py",
        replaced("import math\n", "import math\nimport json\n"),
        {"training"},
    ),
}
"""Edits that can change a number, and exactly the stages that must run again."""


@pytest.mark.parametrize("name", COUNTED)
def test_an_edit_that_can_change_a_number_changes_the_digests_it_is_behind(changed_by, name):
    file, edit, expected = COUNTED[name]
    assert changed_by(file, edit) == set(expected)


def test_the_table_is_as_long_as_it_should_be():
    assert min(len(NEUTRAL), len(COUNTED)) >= 30
