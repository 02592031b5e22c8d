"""A published record on its way to an item: what its form says (a draft), and the cleaning that all forms share."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from posologie.records.items import LABELS, TASKS, Item, Task, published, stable_id
from posologie.sources.answers import AnswerForm, gold_indices, is_absent
from posologie.sources.cleaning import Rejected, as_text, plain_text
from posologie.sources.options import (
    PrefixLabels,
    distinct_options,
    label_key,
    labelled_list,
    options_in_text,
    prefix_labels,
    without_prefixes,
)
from posologie.sources.spec import ShardSpec

_BY_LABEL = ("labels", "any")
_NOT_A_NUMBER = frozenset(("nan", "NaN", "NAN"))
"""What a missing value becomes where pandas writes it as text."""


@dataclass(slots=True)
class Draft:
    """A record as its form gives it: values unchecked, text uncleaned.

    Attributes:
        task: None if it follows from the number of right options (one: mcqu, several: mcq) or, without options, is oeq.
        options: published texts; one text where they are lettered in it; None if they stand inside the question's text.
        labels: what the source prints before each option, or None where it numbers them by their place alone.
        answer: labels, indices or texts, as `answer_form` says; for oeq the reference text.
        rejected: of a preference pair, the answer that is not preferred; `answer` is the chosen one.
        second_answer: the right answer in another form, which has to name the same options; None where there is none.
        native_key: the record's own identifier, None if it has none.
        group: the form's own key of what belongs to one case; the context stands for it if left out.
    """

    question: Any
    answer: Any
    task: Task | None = None
    options: Sequence[Any] | str | None = ()
    answer_form: AnswerForm = "labels"
    labels: Sequence[str] | None = None
    second_answer: tuple[Any, AnswerForm] | None = None
    context: Any = None
    native_key: str | None = None
    group: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    choices_line: re.Pattern[str] | None = None
    rejected: Any = None


def finished(
    draft: Draft,
    spec: ShardSpec,
    repairs: set[str],
    *,
    plain: bool = False,
    depends: re.Pattern[str] | None = None,
) -> Item:
    """Clean a draft and make it an item.

    Ids depend on the source and the native key, or else on the source and the content. Items with the same context have
    the same group in any source and split, so a clinical case is recognised everywhere.

    Args:
        draft: what the reader made of one record.
        spec: the shard's.
        repairs: receives the name of each repair that was needed.
        plain: whether the record's texts are known to need no cleaning.
        depends: pattern of options that depend on the place of the others (`languages.position_dependent`).

    Raises:
        Rejected: if the record does not fit.
    """
    text = plain_text if plain else as_text
    published_text = text(draft.question, "question", repairs)
    context = text(draft.context, "context", repairs)
    if context in _NOT_A_NUMBER and context:
        repairs.add("'nan' context dropped")
        context = ""
    if not published_text or published_text in _NOT_A_NUMBER:
        raise Rejected("empty question", published_text)
    if draft.task is not None and draft.task not in TASKS:
        raise Rejected("unknown type", f"{draft.task!a:.60}; expected {', '.join(TASKS)}")
    content = _content(draft, published_text, text, repairs)
    case = stable_id("context", context) if context else ""
    if draft.native_key is not None:
        item_id = stable_id(spec.source, "key", draft.native_key)
    else:
        # Cleaning has removed control characters, so that this separator keeps the fields apart.
        fields = (content.task, content.question, case, *content.options, str(content.gold), content.answer)
        item_id = stable_id(spec.source, "content", "\x1f".join(fields))
    meta = _meta(draft, content, depends)
    if repairs and (original := _original(draft, published_text, context, content.options, content.answer)):
        meta["original"] = original
    item = Item(
        id=item_id,
        source=spec.source,
        provenance=spec.provenance,
        split=spec.split,
        task=content.task,
        question=content.question,
        context=context,
        options=content.options,
        gold=content.gold,
        answer=content.answer,
        group=case or item_id if draft.group is None else stable_id("group", spec.source, draft.group),
        meta=meta,
    )
    if problem := item.problem():
        raise Rejected(problem)
    return item


class _Content(NamedTuple):
    """What an item asks, and what is right.

    Attributes:
        labels: the printed labels of the options, None where they are A, B, C ….
    """

    task: Task
    question: str
    options: tuple[str, ...] = ()
    gold: tuple[int, ...] = ()
    answer: str = ""
    labels: tuple[str, ...] | None = None


def _content(draft: Draft, question: str, text: Callable[[Any, str, set[str]], str], repairs: set[str]) -> _Content:
    if draft.task == "preference":
        pair = text(draft.answer, "answer", repairs), text(draft.rejected, "rejected answer", repairs)
        return _Content("preference", question, pair, (0,))
    if draft.task == "oeq" or (draft.task is None and draft.options is not None and not draft.options):
        answer = text(draft.answer, "answer", repairs)
        if answer in _NOT_A_NUMBER:
            raise Rejected("empty answer", answer)
        if draft.options:
            raise Rejected("options on an open question")
        return _Content("oeq", question, answer=answer)
    question, labels, options, gold = _choices(draft, question, repairs)
    task = draft.task or ("mcqu" if len(gold) == 1 else "mcq")
    return _Content(task, question, options, gold, labels=labels)


def _meta(draft: Draft, content: _Content, depends: re.Pattern[str] | None) -> dict[str, Any]:
    """Return the further fields of a record, and what cleaning found out about it."""
    meta = {name: storable(value) for name, value in draft.meta.items() if not is_absent(value)}
    if draft.native_key is not None:
        meta["native_id"] = storable(draft.native_key)
    if content.labels is not None:
        meta["labels"] = storable(list(content.labels))
    options = () if content.task == "preference" else content.options
    if depends is not None and options and depends.search("\n".join(options)):
        meta["position_dependent"] = True
    if "lineage" not in meta and (lineage := published(meta)):
        meta["lineage"] = lineage
    return meta


def _choices(
    draft: Draft, question: str, repairs: set[str]
) -> tuple[str, tuple[str, ...] | None, tuple[str, ...], tuple[int, ...]]:
    """Return question, labels where they are not A, B, C …, options and gold."""
    labels = draft.labels
    if draft.options is None:
        question, labels, options = options_in_text(question, repairs, draft.choices_line)
    elif isinstance(draft.options, str):
        _, labels, options = labelled_list(as_text(draft.options, "options", repairs), whole=True)
    else:
        if not isinstance(draft.options, list | tuple):
            raise Rejected("unreadable options", f"{type(draft.options).__name__}; expected a list")
        options = [as_text(option, "option", repairs) for option in draft.options]
    unmarked = without_prefixes(options, repairs)
    own = prefix_labels(options) if labels is None and unmarked == options and draft.answer_form in _BY_LABEL else None
    if own is not None and own.certain:
        repairs.add("letter prefixes in options")
        labels, unmarked = own.labels, own.options
    options = unmarked
    if len(options) > len(LABELS):
        raise Rejected("more than 26 options", f"{len(options)}")
    if labels is not None and len(labels) != len(options):
        raise Rejected("unreadable options", f"{len(labels)} labels for {len(options)} options")
    gold = gold_indices(draft.answer, options, draft.answer_form, repairs, labels)
    if own is not None and not own.certain and _names_other(draft, own, gold):
        raise Rejected("ambiguous answer", f"{draft.answer!a:.60} by the letters in the options is another option")
    if draft.second_answer is not None and not is_absent(draft.second_answer[0]):
        second = gold_indices(draft.second_answer[0], options, draft.second_answer[1], set(), labels)
        if second != gold:
            raise Rejected("answers disagree", f"{draft.answer!a:.60} and {draft.second_answer[0]!a:.60}")
    distinct, gold = distinct_options(options, gold, repairs)
    return question, _own_labels(labels, options, distinct), distinct, gold


def _names_other(draft: Draft, own: PrefixLabels, gold: tuple[int, ...]) -> bool:
    """Return whether the answer names other options by the letters that stand in their texts than by their places."""
    try:
        return gold_indices(draft.answer, own.options, draft.answer_form, set(), own.labels) != gold
    except Rejected:
        return False


def _own_labels(
    labels: Sequence[str] | None, options: Sequence[str], distinct: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Return the printed labels of the options that are kept, or None where they are the letters in their order."""
    if labels is None or (len(distinct) == len(options) and "".join(labels) == LABELS[: len(labels)]):
        return None
    first = dict(zip(reversed(options), reversed(labels), strict=True))
    own = tuple(first[option] for option in distinct)
    return None if [label_key(label) for label in own] == list(LABELS[: len(own)].lower()) else own


def first_field(record: Mapping[str, Any], *names: str, required: bool = True) -> Any:
    """Return the first of the named fields that the record has with a value, or None.

    Raises:
        KeyError: naming the first, if one is required and the record has none of these fields at all.
    """
    for name in names:
        if record.get(name) is not None and record[name] == record[name]:  # not a number is no value
            return record[name]
    if required and not any(name in record for name in names):
        raise KeyError(names[0])
    return None


def native_key(value: Any) -> str | None:
    """Return a record's own identifier as text, or None where it has none that can serve."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 64 else None


def storable(value: Any) -> Any:
    """Return a published value in a form that JSON and UTF-8 can hold; ordinary text and numbers are unchanged."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list | tuple):
        return [storable(member) for member in value]
    if isinstance(value, dict):
        return {str(storable(str(name))): storable(member) for name, member in value.items()}
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1 << 64):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else storable(f"{value!r:.200}")


def _original(draft: Draft, question: str, context: str, options: tuple[str, ...], answer: str) -> dict[str, Any]:
    """Return the published text of each field that cleaning changed by more than blanks around it."""
    original: dict[str, Any] = {}
    if _differs(draft.question, question):
        original["question"] = storable(draft.question)
    if _differs(draft.context, context):
        original["context"] = storable(draft.context)
    if isinstance(draft.options, str):
        original["options"] = storable(draft.options)
    elif draft.options and tuple(_stripped(option) for option in draft.options) != options:
        original["options"] = storable(list(draft.options))
    if answer and _differs(draft.answer, answer):
        original["answer"] = storable(draft.answer)
    return original


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _differs(published: Any, clean: str) -> bool:
    return _stripped(published) != clean and not (published is None and not clean)
