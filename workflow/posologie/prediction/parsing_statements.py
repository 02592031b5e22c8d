"""Readers of answers in sentences: what a text states as its conclusion, and verdicts on single options.

Statements are weighed. One that a connective draws (`therefore`, `donc`) outweighs a plain one, which outweighs a
conjecture (`could be`) and the mere mention of an option. Among statements of the most weight that differ, the last
counts where it is drawn, corrects an earlier one, or closes a longer text; otherwise the text is ambiguous.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from posologie.prediction.parsing_lists import enumerated, folded, run_together, whole_list, whole_options
from posologie.prediction.parsing_patterns import (
    BEFORE,
    COPULA,
    CORRECTION,
    CUE,
    EITHER,
    FALSE,
    FILLING,
    FILLINGS,
    FINAL,
    HEDGE,
    INSTEAD,
    JOIN,
    LABEL,
    NEGATION,
    NOUN,
    OR,
    ORDINALS,
    RIGHT,
    SO,
    TRUE,
    compiled,
)
from posologie.prediction.readings import AMBIGUOUS, NONE, Reading, labels_of, letters_in, list_pattern
from posologie.records.items import LABELS

MARK = "\x02"
"""Stands before what a text puts into a box or a tag as its answer."""

_MENTION, _PLAIN, _DRAWN = range(3)
_CLAUSE = r"[.;:!?\n,。、；！？،؛]"
_NEAR = 400
"""Characters before and behind a statement that are looked at."""
_LONG = 3
"""Lines from which a text counts as a discussion with a conclusion at its end."""


@dataclass(frozen=True, slots=True)
class _Statement:
    place: int
    weight: int
    reading: Reading
    forward: bool = True


def _forward() -> re.Pattern[str]:
    filling = rf"(?P<filling>{FILLINGS})"
    return compiled(rf"(?P<cue>(?i:{CUE})),?{filling}\s*(?P<labels>{list_pattern()})")


def _gap() -> re.Pattern[str]:
    """`the correct answer in this scenario is option B`."""
    gap = r"(?P<filling>[^.;:!?\n。]{1,60}?"
    link = rf"(?i:{COPULA}){FILLINGS})"
    return compiled(rf"(?P<cue>(?i:{NOUN}|{RIGHT})){gap}{link}\s*(?P<labels>{list_pattern()})(?!\s*(?i:{COPULA}))")


def _closing() -> re.Pattern[str]:
    """A label at the end of the text, behind `is` or a colon, or before the `is` of languages that close with it."""
    opening = r"^\W*(?:[^\W\d_]+ ){0,3}[^\W\d_]{2,}[ …]*,"
    return compiled(rf"(?P<cue>(?i:{COPULA})|:|{opening})(?P<filling>)\s*(?P<labels>{list_pattern()})\W*$")


def _closed() -> re.Pattern[str]:
    return compiled(rf"(?P<cue>[^\x00-\u024f\s])(?P<filling>)\s+(?P<labels>{list_pattern()})\s*(?:です|である|है|हैं)\W*$")


def _instead() -> re.Pattern[str]:
    """`not (C) but (D)`; Japanese and Chinese deny and go on in one word."""
    denied = rf"(?P<cue>{NEGATION}[^.\n]{{0,20}}?){LABEL}\s*,?\s*(?i:{INSTEAD})|{LABEL}\s*(?=[^\x00-\u024f]){INSTEAD}"
    return compiled(rf"(?:{denied}){FILLINGS}\s*(?P<labels>{list_pattern()})")


def _backward() -> re.Pattern[str]:
    """`B is the right answer`, and `ist B richtig` where the verb stands before."""
    link = rf"(?:,?\s*(?i:{COPULA})\s+(?=\w)|\s*(?i:{COPULA})?\s*(?=[^\x00-\u024f]))"
    before = rf"(?<=\b(?i:ist|est) )(?P<inverted>{LABEL})\s+(?i:{RIGHT})(?=\W*(?:$|\n))"
    return compiled(rf"{before}|(?P<labels>{list_pattern()})(?:\s+(?i:{NOUN}))?{link}\s*(?i:{RIGHT})")


def _ordinal(place: int) -> re.Pattern[str]:
    number = rf"(?i:{ORDINALS[place]})"
    ends = rf"(?=\s*(?:[.,;!。]|\Z|\n|(?i:{NOUN}|one\b)))"
    announced = rf"(?i:{CUE}){FILLINGS}\s*{number}{ends}"
    return compiled(rf"{announced}|{number}\s*(?i:{NOUN})\s*(?i:{COPULA})?\s*(?i:{RIGHT})")


def announced(text: str, options: Sequence[str], *, strong: bool) -> Reading | None:
    """Return what the text announces as its answer; with `strong`, only what more than a mention or a verdict says."""
    count = len(options)
    run = compiled(rf"{CUE}[^.\n]*[: ]\s*([A-Z]{{2,26}})\W*$", re.IGNORECASE)
    together = run.search(text)
    if together and together[1].isupper() and run_together(together[1], count) != NONE:
        return run_together(together[1], count)
    statements = sorted(_statements(text, options), key=lambda statement: statement.place)
    if strong:
        statements = [statement for statement in statements if statement.forward and statement.weight > _MENTION]
    if not statements:
        return None
    weight = max(statement.weight for statement in statements)
    if weight == _MENTION and any(statement.forward for statement in statements):
        return statements[0].reading if len({statement.reading for statement in statements}) == 1 else AMBIGUOUS
    heavy = [statement for statement in statements if statement.weight == weight]
    if len({statement.reading for statement in heavy}) == 1 or weight == _DRAWN:
        return heavy[-1].reading
    last = heavy[-1]
    before = next(statement for statement in reversed(heavy) if statement.reading != last.reading)
    corrected = compiled(rf"(?i:{CORRECTION})").search(text[before.place : last.place])
    paragraph = text.rstrip().rfind("\n") + 1
    closes = text.count("\n") >= _LONG - 1 and last.place >= paragraph > before.place
    return last.reading if corrected or closes else AMBIGUOUS


def _statements(text: str, options: Sequence[str]) -> Iterator[_Statement]:
    count = len(options)
    for pattern in (_forward(), _gap(), _closing(), _closed()):
        for match in pattern.finditer(text):
            before, behind = _around(text, match)
            if _denied(before + match["filling"], behind) or match.start("labels") == match.start("cue"):
                continue
            weight, reading = _weight(match, before, behind), _labels_said(match, behind, options)
            if reading is not None:
                yield _Statement(match.start(), weight, reading)
    for match in _instead().finditer(text):
        yield _Statement(match.start(), _DRAWN, labels_of(letters_in(match["labels"]), count))
    for match in _backward().finditer(text):
        before = _around(text, match)[0]
        if not _denied(before, ""):
            alternative = compiled(rf"(?:{OR}|{EITHER}[^.\n]*)\s*$").search(before[-60:])
            reading = AMBIGUOUS if alternative else labels_of(letters_in(match["labels"] or match["inverted"]), count)
            yield _Statement(match.start(), _PLAIN, reading, forward=False)
    for place in range(min(count, len(ORDINALS))):
        for match in _ordinal(place).finditer(text):
            if not _denied(*_around(text, match)):
                yield _Statement(match.start(), _PLAIN, Reading("labels", (place,)))
    yield from _named_options(text, options)


def _named_options(text: str, options: Sequence[str]) -> Iterator[_Statement]:
    """`the answer is aspirin because …`: an option's text in the place of its label."""
    named = sorted((option for option in options if len(option) >= 2), key=len, reverse=True)

    def first(behind: str) -> str | None:
        lowered = re.sub(r"^(?:l'|the |an? )", "", behind[:_NEAR].lstrip().casefold())
        fitting = (option for option in named if lowered.startswith(option))
        return next((option for option in fitting if not re.match(r"[a-zà-ÿ0-9]", lowered[len(option) :])), None)

    for match in compiled(rf"(?P<cue>{CUE})(?P<filling>{FILLINGS})", re.IGNORECASE).finditer(text):
        place, option = _option_behind(match, first, text)
        before = _around(text, match)[0]
        if option is None or _denied(before, ""):
            continue
        behind = text[place : place + _NEAR]
        behind = behind[behind.casefold().find(option) + len(option) :]
        if _denied("", behind):
            continue
        if compiled(rf"\s*,?\s*{OR}\s").match(behind) or options.count(option) > 1:
            reading = AMBIGUOUS
        elif (joint := compiled(rf"\s*(?:,|{JOIN})\s*").match(behind)) and first(behind[joint.end() :]):
            continue  # a list of texts
        else:
            reading = Reading("labels", (options.index(option),))
        yield _Statement(match.start(), _weight(match, before, behind), reading)


def _option_behind(match: re.Match[str], first: Callable[[str], str | None], text: str) -> tuple[int, str | None]:
    """Return where an announced option's text begins, and the option: behind a link, or a verb that announces."""
    noun = compiled(NOUN, re.IGNORECASE).fullmatch(match["cue"])
    linked = compiled(rf"[:=]|{COPULA}", re.IGNORECASE).search(match["filling"])
    if noun and not linked:
        return match.end(), None
    earliest = match.start("filling") + (linked.end() if linked else 0)
    starts = [
        match.end(),
        *(word.start() for word in re.finditer(r"\b\w", text[: match.end()]) if word.start() >= earliest),
    ]
    return next(
        ((start, option) for start in reversed(starts) if (option := first(text[start : start + _NEAR]))),
        (match.end(), None),
    )


def _around(text: str, match: re.Match[str]) -> tuple[str, str]:
    """Return what stands near a statement: before it and behind it."""
    return text[max(0, match.start() - _NEAR) : match.start()], text[match.end() : match.end() + _NEAR]


def _weight(match: re.Match[str], before: str, behind: str) -> int:
    cue, filling = match["cue"], match["filling"]
    clause = re.split(_CLAUSE, before)[-1]
    hedge, so = compiled(HEDGE, re.IGNORECASE), compiled(rf"{SO}", re.IGNORECASE)
    if hedge.search(f"{clause} {filling} {behind[:16]}"):
        return _MENTION
    if so.search(clause) or compiled(rf"{SO}\W*$", re.IGNORECASE).search(before[-40:]) or so.search(cue + filling):
        return _DRAWN
    linked = compiled(rf"[:=>]|{COPULA}|{RIGHT}", re.IGNORECASE).search(filling)
    if re.search(r"(?:^|\n)\s*$", before) and re.match(
        r"[ ]*\n", match.string[match.end("cue") :]
    ):  # "Answer" over the answer
        return _PLAIN
    called_right = compiled(rf"{RIGHT}\s*$", re.IGNORECASE).search(before[-30:])
    is_noun = compiled(NOUN, re.IGNORECASE).fullmatch(cue)
    return _MENTION if is_noun and not (linked or called_right) else _PLAIN


def _labels_said(match: re.Match[str], behind: str, options: Sequence[str]) -> Reading | None:
    """Return the labels of an announcement, with those that follow as a list of labels and texts.

    None for a heading ("the options:") over a discussion of them.
    """
    count, letters = len(options), letters_in(match["labels"])
    if "\n" in match.group()[: match.start("labels") - match.start()]:
        block = f"{match['labels']}{behind}".split("\n\n")[0]
        listed = enumerated(block, options) if "\n" in block.strip() else None
        if listed is not None and listed != labels_of(letters, count):
            heading = not compiled(rf"{COPULA}|{RIGHT}", re.IGNORECASE).search(match["filling"])
            return None if heading or listed.outcome != "labels" else listed
    while following := _further(behind, letters[-1], options):
        letters.append(following[1])
        behind = behind[following.end() :]
    before = match.string[max(0, match.start("labels") - 40) : match.start("labels")]
    alternative = compiled(rf"{LABEL}\s*,?\s*{OR}{FILLINGS}\s*$").search(before)
    if alternative or compiled(rf"\s*,?\s*(?:{OR}){FILLINGS}\s*{LABEL}").match(behind):
        return AMBIGUOUS
    return labels_of(letters, count)


def _further(behind: str, letter: str, options: Sequence[str]) -> re.Match[str] | None:
    """Return the next label of a list whose labels have their options' texts behind them."""
    start = _behind_option(behind, letter, options)
    pattern = compiled(rf"[.)]?{JOIN}(?:\(|\[)?([A-Z])(?=[)\].:]|\s)")
    return None if start is None else pattern.match(behind, start)


def _behind_option(text: str, letter: str, options: Sequence[str]) -> int | None:
    """Return the place behind the text of a label's option, if the text begins with it."""
    label = LABELS.index(letter)
    if label >= len(options) or not options[label]:
        return None
    match = re.match(rf"[\s\])*.:=–-]*(?i:(?:l'|le |la |les |the )?{re.escape(options[label])})", text)
    return None if match is None else match.end()


def _denied(before: str, behind: str) -> bool:
    """Whether the clause around an announcement denies it: `la réponse A n'est pas …`, `A est fausse`."""
    clause_before = re.split(_CLAUSE, before)[-1]
    clause_behind = re.split(_CLAUSE, behind)[0][:40]
    denial = rf"\s*(?:\w+\s+){{0,2}}?(?:{NEGATION}|{FALSE})"
    return (
        compiled(NEGATION, re.IGNORECASE).search(clause_before) is not None
        or compiled(denial, re.IGNORECASE).match(clause_behind) is not None
    )


def stated(text: str, options: Sequence[str], separator: str) -> Reading | None:
    """Return what the text calls its final answer; the last such statement that can be read counts."""
    for mark in reversed(list(compiled(rf"{MARK}|(?i:{FINAL})").finditer(text))):
        rest = text[mark.end() :].replace(MARK, "")
        line, _, below = rest.partition("\n")
        if not re.search(r"\w", compiled(FILLING, re.IGNORECASE).sub("", line)):
            line = below.strip().split("\n\n")[0]
        if (reading := _concluded(line.strip(" :=*-,"), options, separator)) is not None:
            return reading
    return None


def _concluded(text: str, options: Sequence[str], separator: str) -> Reading | None:
    for reading in (
        whole_list(text, len(options), separator),
        whole_options(text, options),
        announced(f"Answer: {text}", options, strong=True),
        whole_list(text.split(".")[0], len(options), separator),
        enumerated(text, options),
    ):
        if reading is not None and reading != NONE:
            return reading
    return None


def _head() -> re.Pattern[str]:
    """A label where a verdict on it may follow: at the beginning of a line or clause."""
    before = rf"(?:^|\n|[.;,。；]\s*|\s(?=[(\[]))\W{{0,4}}(?:\d+[.)] ?)?{BEFORE}"
    return compiled(rf"{before}({LABEL}|(?<![\w'])[A-Z](?=[.):]))")


def _judged() -> re.Pattern[str]:
    link = rf"(?:(?>(?i:{COPULA}|{FILLING}|indeed|also|it is|this is|c'est|,))\s*){{0,5}}"
    return compiled(
        rf"[\s\])*.:=–-]*(?:(?P<text>[^\n:=–]{{1,80}}?)\s*[:=–]+|(?P<dash>[^\n]{{1,80}}?)\s-)?\s*{link}"
        rf"(?P<not>(?:not|isn't|n'est pas|ne sont pas|nicht|no es|non è|não é)\s+)?"
        rf"(?:(?P<right>(?i:{TRUE}|{RIGHT}))|(?P<wrong>(?i:{FALSE})))(?![\w'])"
    )


def verdicts(text: str, options: Sequence[str]) -> Reading | None:
    """Two or more labels, each with its verdict: `A : vrai, B : faux`, `(A) Insulin: Incorrect`."""
    heads = list(_head().finditer(text))
    judged: dict[str, bool] = {}
    for head, following in zip_longest(heads, heads[1:]):
        segment = text[head.end() : following.start() if following else len(text)]
        letter = letters_in(head[1])[0]
        known = {option for option in options if option}
        verdict = _judged().match(segment) or _judged_text(segment, options, letter)
        if verdict is None:
            tick = re.match(r"[^\n]*?([✓✔✅☑]|[✗✘❌✖])\W*(?:\n|$)", segment)
            if tick is not None:
                judged[letter] = tick[1] in "✓✔✅☑"
            continue
        if verdict["text"] and folded(verdict["text"]) not in known and len(verdict["text"].split()) > 6:
            continue
        judged[letter] = (verdict["right"] is not None) != bool(verdict["not"])
    if len(judged) < 2 or not any(judged.values()):
        return None
    return labels_of([letter for letter, right in judged.items() if right], len(options))


def _judged_text(segment: str, options: Sequence[str], letter: str) -> re.Match[str] | None:
    """`(A) Insulin is incorrect`: a verdict behind the option's text."""
    start = _behind_option(segment, letter, options)
    link = rf"(?P<text>)(?P<dash>)\W*(?:(?>(?i:{COPULA}|{FILLING}))\s*){{0,5}}(?P<not>(?:not|pas|nicht)\s+)?"
    pattern = compiled(rf"{link}(?:(?P<right>(?i:{TRUE}|{RIGHT}))|(?P<wrong>(?i:{FALSE})))(?![\w'])")
    return None if start is None else pattern.match(segment, start)
