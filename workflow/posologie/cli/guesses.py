"""What the columns of a file hold, by their values and names: a guess for `posologie new-study`, to be confirmed.

Options are recognised by their form, the answer by whether it can be read as one of the options, the question by its
text. Names in `resources/column_names.yaml` settle what values leave open. The guess is tried with the reader itself.
"""

import ast
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, get_args

import yaml

from posologie.records.files import read_text
from posologie.records.items import SPLITS, Split
from posologie.running.installed import project
from posologie.sources.answers import AnswerForm, gold_indices, is_absent
from posologie.sources.cleaning import Rejected
from posologie.sources.cleaning import value_at as field_of
from posologie.sources.options import labelled_list

_MOST_COLUMNS = 100
_MOST = 0.8
"""Share of the records in which a column has to be what it is taken for."""
_LABELLED = re.compile(r"(.*?)[\s_.-]*([A-Za-z]|\d)", re.DOTALL)


@dataclass
class Guess:
    """What a file seems to hold.

    Attributes:
        options: options of the reader `columns`, each with a remark that says why.
        items: how many of the records looked at become items with these options.
        looked: how many were looked at.
        doubts: what values and names leave open, in sentences.
        splits: splits that a column of the file distinguishes.
        columns: every column, as options of the reader name them.
        example: the first question.
    """

    options: dict[str, Any]
    remarks: dict[str, str]
    items: int = 0
    looked: int = 0
    doubts: list[str] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    example: str = ""
    rejected: Counter[str] = field(default_factory=Counter)


@cache
def _words() -> Mapping[str, frozenset[str]]:
    path = project() / "resources/column_names.yaml"
    names = yaml.safe_load(read_text(path))
    return {role: frozenset(_plain(word) for word in words) for role, words in names.items()}


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def named(name: str, role: str) -> float:
    """Return how far a column's name says its role: 1 for the whole name, less for a part of it, 0 for none."""
    whole = _plain(name.rpartition(".")[2].lstrip("^@"))
    words = _words()[role]
    if whole in words:
        return 1.0
    parts = re.split(r"[\s_./-]+", whole)
    return 0.6 if any(part in words for part in parts) else 0.0


def split_named(text: str) -> Split | None:
    """Return the split that a word of a file's name or a value of a column stands for."""
    matching = [split for split in SPLITS if _plain(text) in _words()[split]]
    return matching[0] if matching else None


def guessed(records: Sequence[Any]) -> Guess | None:
    """Return what records seem to hold; None where no question with an answer can be seen in them."""
    if not records or not all(isinstance(record, dict) for record in records):
        return None
    names = _names(records)
    if len(names) > _MOST_COLUMNS:  # a map from keys to records
        return None
    values = {name: [value_of(record, name) for record in records] for name in names}
    images = [name for name in names if named(name, "image")]
    values = {name: of for name, of in values.items() if name not in images and not all(map(is_absent, of))}
    for options in _option_forms(values):
        taken = _columns_of(options)
        answer = _answer(options, values, taken)
        question = _question(values, taken | ({answer[0]} if answer else set()))
        if question is None or (answer is None and options):
            continue
        if not options:
            answer = _reference(values, question)
        if answer is not None:
            return replace(_whole(values, question, options, answer, images), columns=names)
    return None


def value_of(record: Any, name: str) -> Any:
    """Return a field of a record; None where it has none of this name."""
    try:
        return field_of(record, name)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        return None


def _names(records: Sequence[Any]) -> list[str]:
    """Return the columns of records: fields, those of maps and lists of maps in them, and of what holds the records."""
    columns: dict[str, None] = {}
    for record in records[:50]:
        for name, value in record.items():
            if not isinstance(name, str) or "." in name or "[" in name:
                continue
            columns[name] = None
            if isinstance(value, dict):
                columns |= {f"{name}.{key}": None for key in value if isinstance(key, str) and len(key) > 1}
            if isinstance(value, list) and value and isinstance(value[0], dict):
                columns |= {f"{name}.*.{key}": None for key in value[0]}
        holder = getattr(record, "holder", None)
        if isinstance(holder, dict):
            columns |= {f"^.{key}": None for key, value in holder.items() if isinstance(value, str | int)}
    return list(columns)


def _listed(value: Any) -> Any:
    """Return a list or map that was written as text; else the value."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        try:
            return ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value


def _share(values: Sequence[Any], fits: Any) -> float:
    return sum(1 for value in values if fits(value)) / len(values)


def _texts(value: Any) -> bool:
    value = _listed(value)
    several = isinstance(value, list | tuple) and len(value) > 1
    return several and all(isinstance(text, str | int | float) for text in value)


def _mapped(value: Any) -> bool:
    value = _listed(value)
    return isinstance(value, dict) and len(value) > 1 and all(isinstance(text, str) for text in value.values())


def _option_forms(values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Yield the reader's settings that may find the options of the questions; none at all, for open questions, last."""
    lists = [name for name, of in values.items() if _share(of, _texts) >= _MOST]
    lengths = {name: _length([text for value in values[name] for text in _listed(value) or ()]) for name in lists}
    for name in sorted(lists, key=lambda name: -lengths[name]):
        if lengths[name] < 1.5:
            continue  # labels or flags
        beside = [
            other
            for other in lists
            if other != name and other.rpartition(".")[0] == name.rpartition(".")[0] and "." in name
        ]
        labels = [other for other in beside if lengths[other] <= 2]
        yield {"options": name, **({"option_labels": labels[0]} if labels else {})}
    yield from ({"options": name} for name, of in values.items() if _share(of, _mapped) >= _MOST)
    groups: dict[str, dict[str, str]] = {}
    for name in values:
        fitting = _LABELLED.fullmatch(name)
        if fitting is not None:
            groups.setdefault(fitting[1].casefold(), {})[fitting[2].casefold()] = name
    for ends in groups.values():
        yield from ({"options": names} for names in _runs(ends, values))
    for name, of in values.items():
        if _share(of, lambda value: len(_lettered(value, whole=True)[0]) > 1) >= _MOST:
            yield {"options": name}
        elif _share(of, lambda value: len(_lettered(value, whole=False)[0]) > 1) >= _MOST:
            yield {"options_in_question": True, "question": name}
    yield {}


def _lettered(text: Any, *, whole: bool) -> tuple[list[str], list[str] | None]:
    """Return the options that are written into a text, and their labels; none where it holds none."""
    try:
        _, labels, texts = labelled_list(text, whole=whole) if isinstance(text, str) else ("", [], [])
    except Rejected:
        return [], None
    return texts, labels


def _runs(ends: Mapping[str, str], values: Mapping[str, list[Any]]) -> Iterator[list[str]]:
    """Yield columns whose names end in labels that follow each other; unnamed columns without those around them."""
    for start in ("a", "1", "0"):
        run: list[str] = []
        while (label := chr(ord(start) + len(run))) in ends:
            run.append(ends[label])
        if len(run) > 3 and run == [str(number + 1) for number in range(len(run))]:
            yield run[1:-1]  # a file without a header: the question, the options, the answer
        if len(run) > 1 and all(_share(values[name], lambda value: not is_absent(value)) > 0 for name in run):
            yield run


def _columns_of(options: Mapping[str, Any]) -> set[str]:
    columns: set[str] = set()
    for value in (options.get("options"), options.get("option_labels")):
        columns |= {value} if isinstance(value, str) else set(value or ())
    return columns | {name.partition(".")[0] for name in columns if "." in name and not name.startswith("^")}


def _length(texts: Sequence[Any]) -> float:
    return sum(len(str(text)) for text in texts) / max(1, len(texts))


def _options_of(
    options: Mapping[str, Any], values: Mapping[str, list[Any]], row: int
) -> tuple[list[str], list[str] | None]:
    """Return the texts of a record's options, and their labels where these are printed."""
    if "question" in options:
        return _lettered(values[options["question"]][row], whole=False)
    held = options["options"]
    if not isinstance(held, str):
        return [str(values[name][row]) for name in held if not is_absent(values[name][row])], None
    value = _listed(values[held][row])
    if isinstance(value, dict):
        return [str(text) for text in value.values()], [str(label) for label in value]
    if isinstance(value, str):
        return _lettered(value, whole=True)
    label_column = options.get("option_labels")
    labels = None if label_column is None else [str(label) for label in _listed(values[label_column][row]) or ()]
    return [str(text) for text in value or ()], labels


def _answer(
    options: Mapping[str, Any], values: Mapping[str, list[Any]], taken: set[str]
) -> tuple[str, AnswerForm, str] | None:
    """Return the column that can be read as one of the options, how, and what is doubtful; None where there is none."""
    if not options:
        return None
    candidates = []
    rows = range(len(next(iter(values.values()))))
    by_row = [_options_of(options, values, row) for row in rows]
    for name, of in values.items():
        if name in taken or any(name.startswith(f"{column}.") for column in taken) or named(name, "explanation"):
            continue
        for place, form in enumerate(_forms_of(of, by_row)):
            read = [_read(value, *row, form) for value, row in zip(of, by_row, strict=True)]
            share = sum(reading is not None for reading in read) / len(read)
            if share < _MOST:
                continue
            called = named(name, "answer")
            other = 0 if called == 1 else max(named(name, role) for role in ("id", "subject", "split", "context"))
            score = share + called - other - min(_length(of), 100) / 1000  # a label rather than the text beside it
            counted = len(of) > 3 and [str(value) for value in of] == [str(number) for number in range(1, len(of) + 1)]
            candidates.append((score - counted - place / 100, name, form, _doubt(name, form, of, by_row)))
    if not candidates:
        return None
    _, name, form, doubt = max(candidates, key=lambda candidate: candidate[0])
    return name, form, doubt


def _second_answer(
    options: Mapping[str, Any], values: Mapping[str, list[Any]], answer: str, form: AnswerForm
) -> str | None:
    """Return the column of the right option's text, where one stands beside its label or number."""
    taken = _columns_of(options) | {answer}
    by_row = [_options_of(options, values, row) for row in range(len(values[answer]))]
    right = [_read(value, *row, form) for value, row in zip(values[answer], by_row, strict=True)]
    for name, of in values.items():
        texts = [
            _read(value, row[0], None, "text") if isinstance(value, str) else None
            for value, row in zip(of, by_row, strict=True)
        ]
        agree = sum(reading is not None and reading == other for reading, other in zip(texts, right, strict=True))
        if name not in taken and form != "text" and agree >= _MOST * len(of):
            return name
    return None


def _remark(options: Mapping[str, Any], values: Mapping[str, list[Any]], answer: tuple[str, AnswerForm, str]) -> str:
    """Return in how many of the records looked at the answer is one of the options."""
    if not options:
        return "the reference answer"
    of = values[answer[0]]
    read = sum(_read(value, *_options_of(options, values, row), answer[1]) is not None for row, value in enumerate(of))
    return f"read as one of the options in {read} of {len(of)} records"


def _forms_of(values: Sequence[Any], by_row: Sequence[tuple[list[str], list[str] | None]]) -> list[AnswerForm]:
    """Return in which forms a column may give answers, the likeliest first."""
    shown = [_listed(value) for value in values if not is_absent(value)]
    lists = [value for value in shown if isinstance(value, list | tuple)]
    flags = [value for value in lists if {str(flag).lower() for flag in value} <= _FLAGS]
    if len(flags) > _MOST * len(values) and all(len(value) > 1 for value in flags):
        return ["one_hot"]
    flat = [element for value in shown for element in (value if isinstance(value, list | tuple) else [value])]
    if not flat or not all(re.fullmatch(r"\d+(\.0)?", str(element)) for element in flat):
        return ["labels", "text"]
    if any(labels is not None and all(label.isdecimal() for label in labels) for _, labels in by_row):
        return ["labels"]
    return ["index0"] if min(float(element) for element in flat) == 0 else ["index1", "index0", "text"]


_FLAGS = {"0", "1", "true", "false", "0.0", "1.0"}


def _read(value: Any, texts: Sequence[str], labels: Sequence[str] | None, form: AnswerForm) -> tuple[int, ...] | None:
    if len(texts) < 2 or (labels is not None and len(labels) != len(texts)):
        return None
    try:
        return gold_indices(_listed(value), texts, form, set(), labels) or None
    except (Rejected, ValueError, TypeError):
        return None


def _doubt(name: str, form: str, values: Sequence[Any], by_row: Sequence[tuple[list[str], list[str] | None]]) -> str:
    most = max(len(texts) for texts, _ in by_row)
    if form != "index1" or any(str(value).removesuffix(".0") == str(most) for value in values):
        return ""
    return f"'{name}' may count from 0 (index0) or from 1 (index1): no record looked at has 0 or {most}"


def _question(values: Mapping[str, list[Any]], taken: set[str]) -> str | None:
    """Return the column that is most like a question: by its name, its ends, how often it differs, its length."""

    def score(name: str) -> float:
        texts = [str(value) for value in values[name] if isinstance(value, str)]
        asks = sum(text.rstrip().endswith(("?", "？", "؟", ":", "：", "।")) for text in texts) / len(texts)
        different = len(set(texts)) / len(texts)
        other = max(named(name, role) for role in ("explanation", "context", "subject", "id", "split", "answer"))
        return 2 * named(name, "question") + asks / 2 + different / 2 + min(_length(texts), 200) / 400 - 2 * other

    texts = {
        name
        for name, of in values.items()
        if name not in taken and not any(name.startswith(f"{column}.") for column in taken) and not name.startswith("^")
        if _share(of, lambda value: isinstance(value, str) and any(map(str.isalpha, value))) >= _MOST
        and _length(of) >= 5
    }
    return max(sorted(texts), key=score) if texts else None


def _reference(values: Mapping[str, list[Any]], question: str) -> tuple[str, AnswerForm, str] | None:
    """Return the column of the reference answers of open questions: one that is called so."""
    named_so = [name for name in values if name != question and named(name, "answer") and not name.startswith("^")]
    texts = [name for name in named_so if _share(values[name], lambda value: isinstance(value, str)) >= _MOST]
    return (max(texts, key=lambda name: named(name, "answer")), "text", "") if texts else None


def _whole(
    values: Mapping[str, list[Any]],
    question: str,
    options: Mapping[str, Any],
    answer: tuple[str, AnswerForm, str],
    images: list[str],
) -> Guess:
    """Return the guess with every column that its values and name identify."""
    right, form, doubt = answer
    settings: dict[str, Any] = {"question": options.get("question", question), **options, "answer": right}
    remarks = {"answer": _remark(options, values, answer)}
    if options:
        settings["answer_form"] = form
        remarks["answer_form"] = f"one of {', '.join(get_args(AnswerForm))}"
        if (text := _second_answer(options, values, right, form)) is not None:
            settings["answer_text"], remarks["answer_text"] = text, "a record in which it is another option is rejected"
    else:
        settings["task"], remarks["task"] = "oeq", "open questions: no options were seen"
    result = Guess(settings, remarks, doubts=[doubt] if doubt else [])
    others = [name for name in values if name not in {settings["question"], right} | _columns_of(settings)]
    for role, key in (("context", "context"), ("group", "group"), ("subject", "subject")):
        fitting = [
            name
            for name in others
            if named(name, role) and _share(values[name], lambda v: isinstance(v, dict | list)) == 0
        ]
        if fitting:
            settings[key] = max(fitting, key=lambda name: named(name, role))
    ids = [name for name in others if named(name, "id") == 1 and len({*map(str, values[name])}) == len(values[name])]
    if ids and not any(name.startswith("^") for name in values):  # numbers may begin again inside every exam
        settings["id"] = ids[0]
    if images:
        settings["must_be_empty"], remarks["must_be_empty"] = images, "a question that needs an image is rejected"
    for name in others:
        split_of_value = {str(value): split_named(str(value)) for value in values[name] if not is_absent(value)}
        if None not in split_of_value.values() and (len(split_of_value) > 1 or named(name, "split")):
            settings |= {"split_column": name, "splits": split_of_value}
            result.splits = [split for split in SPLITS if split in split_of_value.values()]
            break
    used = {settings["question"], right, *_columns_of(settings), *images, *(str(settings.get(key)) for key in settings)}
    rest = [name for name in others if name not in used and not named(name, "explanation") and not name.startswith("^")]
    long = [name for name in rest if _length([text for text in values[name] if isinstance(text, str)]) > 80]
    result.doubts += [f"'{name}' holds long texts: add `context: {name}` if questions need them" for name in long]
    return result
