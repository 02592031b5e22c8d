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
        splits: splits that a column of the file tells apart.
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
    found = [split for split in SPLITS if _plain(text) in _words()[split]]
    return found[0] if found else None


def guessed(records: Sequence[Any]) -> Guess | None:
    """Return what records seem to hold; None where no question with an answer can be seen in them."""
    if not records or not all(isinstance(record, dict) for record in records):
        return None
    names = _names(records)
    if len(names) > _MOST_COLUMNS:  # a map from keys to records
        return None
    values = {name: [value_of(record, name) for record in records] for name in names}
    images = [name for name in names if named(name, "image")]
    values = {name: of for name, of in values.items() if name not in images and any(not is_absent(one) for one in of)}
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
    found: dict[str, None] = {}
    for record in records[:50]:
        for name, value in record.items():
            if not isinstance(name, str) or "." in name or "[" in name:
                continue
            found[name] = None
            if isinstance(value, dict):
                found |= {f"{name}.{key}": None for key in value if isinstance(key, str) and len(key) > 1}
            if isinstance(value, list) and value and isinstance(value[0], dict):
                found |= {f"{name}.*.{key}": None for key in value[0]}
        holder = getattr(record, "holder", None)
        if isinstance(holder, dict):
            found |= {f"^.{key}": None for key, value in holder.items() if isinstance(value, str | int)}
    return list(found)


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
    return (
        isinstance(value, list | tuple) and len(value) > 1 and all(isinstance(one, str | int | float) for one in value)
    )


def _mapped(value: Any) -> bool:
    value = _listed(value)
    return isinstance(value, dict) and len(value) > 1 and all(isinstance(one, str) for one in value.values())


def _option_forms(values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Yield the reader's settings that may find the options of the questions; none at all, for open questions, last."""
    lists = [name for name, of in values.items() if _share(of, _texts) >= _MOST]
    for name in sorted(lists, key=lambda name: -_length([text for one in values[name] for text in _listed(one) or ()])):
        if _length([text for one in values[name] for text in _listed(one) or ()]) < 1.5:
            continue  # labels or flags
        beside = [
            other
            for other in lists
            if other != name and other.rpartition(".")[0] == name.rpartition(".")[0] and "." in name
        ]
        labels = [other for other in beside if _length([one for of in values[other] for one in _listed(of) or ()]) <= 2]
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
        if _share(of, lambda one: len(_lettered(one, whole=True)[0]) > 1) >= _MOST:
            yield {"options": name}
        elif _share(of, lambda one: len(_lettered(one, whole=False)[0]) > 1) >= _MOST:
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
        if len(run) > 1 and all(_share(values[name], lambda one: not is_absent(one)) > 0 for name in run):
            yield run


def _columns_of(options: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for value in (options.get("options"), options.get("option_labels")):
        found |= {value} if isinstance(value, str) else set(value or ())
    return found | {name.partition(".")[0] for name in found if "." in name and not name.startswith("^")}


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
    told = options.get("option_labels")
    labels = None if told is None else [str(one) for one in _listed(values[told][row]) or ()]
    return [str(text) for text in value or ()], labels


def _answer(
    options: Mapping[str, Any], values: Mapping[str, list[Any]], taken: set[str]
) -> tuple[str, AnswerForm, str] | None:
    """Return the column that can be read as one of the options, how, and what is doubtful; None where there is none."""
    if not options:
        return None
    found = []
    rows = range(len(next(iter(values.values()))))
    given = [_options_of(options, values, row) for row in rows]
    for name, of in values.items():
        if name in taken or any(name.startswith(f"{one}.") for one in taken) or named(name, "explanation"):
            continue
        for place, form in enumerate(_forms_of(of, given)):
            read = [_read(value, *one, form) for value, one in zip(of, given, strict=True)]
            share = sum(one is not None for one in read) / len(read)
            if share < _MOST:
                continue
            called = named(name, "answer")
            other = 0 if called == 1 else max(named(name, one) for one in ("id", "subject", "split", "context"))
            score = share + called - other - min(_length(of), 100) / 1000  # a label rather than the text beside it
            counted = len(of) > 3 and [str(one) for one in of] == [str(number) for number in range(1, len(of) + 1)]
            found.append((score - counted - place / 100, name, form, _doubt(name, form, of, given)))
    if not found:
        return None
    _, name, form, doubt = max(found, key=lambda one: one[0])
    return name, form, doubt


def _second_answer(
    options: Mapping[str, Any], values: Mapping[str, list[Any]], answer: str, form: AnswerForm
) -> str | None:
    """Return the column of the right option's text, where one stands beside its label or number."""
    taken = _columns_of(options) | {answer}
    given = [_options_of(options, values, row) for row in range(len(values[answer]))]
    right = [_read(value, *one, form) for value, one in zip(values[answer], given, strict=True)]
    for name, of in values.items():
        texts = [
            _read(value, one[0], None, "text") if isinstance(value, str) else None
            for value, one in zip(of, given, strict=True)
        ]
        agree = sum(one is not None and one == other for one, other in zip(texts, right, strict=True))
        if name not in taken and form != "text" and agree >= _MOST * len(of):
            return name
    return None


def _said(options: Mapping[str, Any], values: Mapping[str, list[Any]], answer: tuple[str, AnswerForm, str]) -> str:
    """Return in how many of the records looked at the answer is one of the options."""
    if not options:
        return "the reference answer"
    of = values[answer[0]]
    read = sum(_read(value, *_options_of(options, values, row), answer[1]) is not None for row, value in enumerate(of))
    return f"read as one of the options in {read} of {len(of)} records"


def _forms_of(values: Sequence[Any], given: Sequence[tuple[list[str], list[str] | None]]) -> list[AnswerForm]:
    """Return in which forms a column may give answers, the likeliest first."""
    shown = [_listed(one) for one in values if not is_absent(one)]
    flags = [one for one in shown if isinstance(one, list | tuple) and {str(flag).lower() for flag in one} <= _FLAGS]
    if len(flags) > _MOST * len(values) and all(len(one) > 1 for one in flags):
        return ["one_hot"]
    flat = [part for one in shown for part in (one if isinstance(one, list | tuple) else [one])]
    if not flat or not all(re.fullmatch(r"\d+(\.0)?", str(one)) for one in flat):
        return ["labels", "text"]
    if any(labels is not None and all(label.isdecimal() for label in labels) for _, labels in given):
        return ["labels"]
    return ["index0"] if min(float(one) for one in flat) == 0 else ["index1", "index0", "text"]


_FLAGS = {"0", "1", "true", "false", "0.0", "1.0"}


def _read(value: Any, texts: Sequence[str], labels: Sequence[str] | None, form: AnswerForm) -> tuple[int, ...] | None:
    if len(texts) < 2 or (labels is not None and len(labels) != len(texts)):
        return None
    try:
        return gold_indices(_listed(value), texts, form, set(), labels) or None
    except (Rejected, ValueError, TypeError):
        return None


def _doubt(name: str, form: str, values: Sequence[Any], given: Sequence[tuple[list[str], list[str] | None]]) -> str:
    most = max(len(texts) for texts, _ in given)
    if form != "index1" or any(str(value).removesuffix(".0") == str(most) for value in values):
        return ""
    return f"'{name}' may count from 0 (index0) or from 1 (index1): no record looked at has 0 or {most}"


def _question(values: Mapping[str, list[Any]], taken: set[str]) -> str | None:
    """Return the column that is most like a question: by its name, its ends, how often it differs, its length."""

    def score(name: str) -> float:
        texts = [str(one) for one in values[name] if isinstance(one, str)]
        asks = sum(text.rstrip().endswith(("?", "？", "؟", ":", "：", "।")) for text in texts) / len(texts)
        different = len(set(texts)) / len(texts)
        other = max(named(name, role) for role in ("explanation", "context", "subject", "id", "split", "answer"))
        return 2 * named(name, "question") + asks / 2 + different / 2 + min(_length(texts), 200) / 400 - 2 * other

    texts = {
        name
        for name, of in values.items()
        if name not in taken and not any(name.startswith(f"{one}.") for one in taken) and not name.startswith("^")
        if _share(of, lambda one: isinstance(one, str) and any(map(str.isalpha, one))) >= _MOST and _length(of) >= 5
    }
    return max(sorted(texts), key=score) if texts else None


def _reference(values: Mapping[str, list[Any]], question: str) -> tuple[str, AnswerForm, str] | None:
    """Return the column of the reference answers of open questions: one that is called so."""
    named_so = [name for name in values if name != question and named(name, "answer") and not name.startswith("^")]
    texts = [name for name in named_so if _share(values[name], lambda one: isinstance(one, str)) >= _MOST]
    return (max(texts, key=lambda name: named(name, "answer")), "text", "") if texts else None


def _whole(
    values: Mapping[str, list[Any]],
    question: str,
    options: Mapping[str, Any],
    answer: tuple[str, AnswerForm, str],
    images: list[str],
) -> Guess:
    """Return the guess with every column that its values and name tell."""
    name, form, doubt = answer
    made: dict[str, Any] = {"question": options.get("question", question), **options, "answer": name}
    remarks = {"answer": _said(options, values, answer)}
    if options:
        made["answer_form"] = form
        remarks["answer_form"] = f"one of {', '.join(get_args(AnswerForm))}"
        if (text := _second_answer(options, values, name, form)) is not None:
            made["answer_text"], remarks["answer_text"] = text, "a record in which it is another option is rejected"
    else:
        made["task"], remarks["task"] = "oeq", "open questions: no options were seen"
    result = Guess(made, remarks, doubts=[doubt] if doubt else [])
    others = [one for one in values if one not in {made["question"], name} | _columns_of(made)]
    for role, key in (("context", "context"), ("group", "group"), ("subject", "subject")):
        fitting = [
            one for one in others if named(one, role) and _share(values[one], lambda v: isinstance(v, dict | list)) == 0
        ]
        if fitting:
            made[key] = max(fitting, key=lambda one: named(one, role))
    told = [one for one in others if named(one, "id") == 1 and len({*map(str, values[one])}) == len(values[one])]
    if told and not any(one.startswith("^") for one in values):  # numbers may begin again inside every exam
        made["id"] = told[0]
    if images:
        made["must_be_empty"], remarks["must_be_empty"] = images, "a question that needs an image is rejected"
    for one in others:
        told_splits = {str(value): split_named(str(value)) for value in values[one] if not is_absent(value)}
        if None not in told_splits.values() and (len(told_splits) > 1 or named(one, "split")):
            made |= {"split_column": one, "splits": told_splits}
            result.splits = [split for split in SPLITS if split in told_splits.values()]
            break
    used = {made["question"], name, *_columns_of(made), *images, *(str(made.get(key)) for key in made)}
    rest = [one for one in others if one not in used and not named(one, "explanation") and not one.startswith("^")]
    long = [one for one in rest if _length([text for text in values[one] if isinstance(text, str)]) > 80]
    result.doubts += [f"'{one}' holds long texts: add `context: {one}` if questions need them" for one in long]
    return result
