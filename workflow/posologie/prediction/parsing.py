"""What a free text answers, in French or English: labels, nothing, or something ambiguous.

The readers below are tried in order; the first that understands the text decides. A letter counts as a label only where
the text treats it as one: alone, in a list, in brackets, before an option's text, or announced ("la réponse est …").
`D'après` and `hépatite B` name no label.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from posologie.items import LABELS
from posologie.prediction.parsing_patterns import (
    ALL,
    AND,
    BEFORE,
    BEHIND_LABEL,
    CUE,
    EXCEPT,
    FALSE,
    FILLING,
    JOIN,
    LABEL,
    NEGATION,
    NOUN,
    PRONOUN,
    QUALIFIER,
    REFUSAL,
    RIGHT,
    TRUE,
)

Outcome = Literal["labels", "none", "ambiguous"]


@dataclass(frozen=True)
class Reading:
    """The labels that a text names (displayed positions, ascending), if it names some."""

    outcome: Outcome
    labels: tuple[int, ...] = ()


NONE = Reading("none")
AMBIGUOUS = Reading("ambiguous")


def read(text: str, options: Sequence[str], separator: str = ",") -> Reading:
    """Read which options a text answers.

    Args:
        text: what the model wrote.
        options: the texts of the options as displayed, the first being A.
        separator: between labels in the training format, beside the usual ones.
    """
    written = _written(text)
    count = len(options)
    folded = [_folded(option) for option in options]
    plain = _without_glosses(_plain(written), folded)
    if not re.search(r"\w", plain):
        return NONE
    readers: tuple[Callable[[], Reading | None], ...] = (
        lambda: _whole_list(plain, count, separator),
        lambda: _whole_options(written, folded),
        lambda: NONE if REFUSAL.search(plain.lower()) else None,
        lambda: _first_line(plain, count, separator),
        lambda: _verdicts(plain, count),
        lambda: _all_of_them(plain, count),
        lambda: _alternatives(plain, count),
        lambda: _enumerated(plain, folded),
        lambda: _announced(plain, count),
        lambda: _bracketed(plain, count),
        lambda: _mentioned_option(written, folded),
    )
    return next((reading for reader in readers if (reading := reader()) is not None), NONE)


def is_bare_label(text: str, options: int) -> bool:
    """Whether a text ends on a label that the next characters could turn into something else, as `D` into `D'après`."""
    return re.search(rf"(?:^|[^\w])[{LABELS[:options]}]$", text) is not None


def _written(text: str) -> str:
    """Return the text without thinking, emphasis and typographic variety; thinking that never ended is no text."""
    if "<think>" in text and "</think>" not in text:
        return ""
    text = text.rpartition("</think>")[2]
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'").replace("`", "")
    text = re.sub(r"</?(?:b|i|strong|em|p|br|answer|réponse)\s*/?>", " ", text, flags=re.IGNORECASE)
    for _ in range(2):  # \boxed{\text{A}}
        text = re.sub(r"\\(?:boxed|text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"(?<!\w)[*_#$]+|[*_#$]+(?!\w)", "", text)
    return re.sub(r"[ \t]+", " ", text).strip()


def _plain(written: str) -> str:
    """Return the text without quotation marks, list brackets and numbering."""
    text = re.sub(r"[\"«»“”{}<>]", " ", written)
    text = re.sub(r"\[([^\[\]]*,[^\[\]]*)\]", r" \1 ", text)
    text = re.sub(r"[ \t]+", " ", text).strip()
    return re.sub(r"^(?:question )?\d+ ?[.:)] ", "", text, flags=re.IGNORECASE)


def _without_glosses(text: str, options: Sequence[str]) -> str:
    """Return the text without an option's text in brackets behind its label, and with `E. coli` as one word."""

    def bare(match: re.Match[str]) -> str:
        label = LABELS.index(match[1])
        if label < len(options) and _folded(match[2]) == options[label]:
            return match[1]
        return f"{match[1]}. {match[2]}" if _folded(match[2]) in options else match[0]

    def joined(match: re.Match[str]) -> str:
        behind = _folded(text[match.start(2) :])
        return match[0] if behind.startswith(tuple(filter(None, options))) else f"{match[1]}.{match[2]}"

    species = rf"(?<![\w'])([A-Z])\.[ ](?!{BEHIND_LABEL}|{PRONOUN})([a-zà-ÿ]{{3,}})"
    text = re.sub(species, joined, text)
    return re.sub(r"(?<![\w'])([A-Z])[ ]?\(([^()]{2,})\)", bare, text)


def _folded(text: str) -> str:
    """Return a text for comparison: composed, lower case, blanks collapsed, no article and no final punctuation."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    plain = re.sub(r"\s+", " ", plain).strip(" \t\n.,;:!\"'«»()")
    return re.sub(r"^(?:le|la|les|un|une|des|du|the|an?) |^l'", "", plain)


def _labels(letters: Iterable[str], count: int) -> Reading:
    """Return a reading of letters; a letter without an option makes it ambiguous, or nothing if there are only such."""
    found = {LABELS.index(letter.upper()) for letter in letters}
    valid = tuple(sorted(label for label in found if label < count))
    if not valid:
        return NONE
    return Reading("labels", valid) if len(valid) == len(found) else AMBIGUOUS


@cache
def _list_pattern(separator: str) -> str:
    core = separator.strip()
    join = JOIN if not core else rf"(?:{JOIN}|\s*{re.escape(core)}\s*)"
    return rf"{BEFORE}{LABEL}(?:{join}{BEFORE}{LABEL})*"


def _letters(text: str) -> list[str]:
    """Return the letters of a text that the list pattern matched."""
    return re.findall(r"(?<![\w'])[A-Z](?![\w'])", text)


def _whole_list(text: str, count: int, separator: str) -> Reading | None:
    """A label, or a list of labels, and nothing else."""
    bare = re.sub(QUALIFIER, "", text).strip(" .!:;,?")
    bare = re.sub(rf"(?:\s*(?:,|{AND}))+$", "", bare)
    if re.fullmatch(r"[(\[][A-Z]", bare):
        bare = bare[1:]  # the tokens ran out before the bracket closed
    if bare.upper() == "N/A":
        return NONE
    if re.fullmatch(r"[A-Z]{2,26}", bare):
        return _run_together(bare, count)
    if found := re.fullmatch(r"(?:de )?([A-Z]) (?:à|to|through) ([A-Z])", bare):
        return _range(found[1], found[2], count)
    if re.fullmatch(r"[A-Z] ?[-–] ?[A-Z]", bare):
        return AMBIGUOUS  # both, or from … to …
    if re.fullmatch(_list_pattern(separator), bare, re.IGNORECASE if not re.search("[A-Z]", bare) else 0):
        letters = re.findall(r"(?<![\w'])[a-z](?![\w'])", bare) or _letters(bare)
        return _labels(letters, count)
    if re.fullmatch(r"\(?[a-z]\)?(?:(?:, ?| et | and |; ?)\(?[a-z]\)?)*", bare):
        return _labels(re.findall("[a-z](?![a-z])(?<![a-z]{2})", bare), count)
    return None


def _first_line(text: str, count: int, separator: str) -> Reading | None:
    """A list of labels on the first line, and an explanation below it."""
    first, _, below = text.partition("\n")
    if below and re.search(r"\w[^\w]+\w", first):
        found = _whole_list(first, count, separator)
        return found if found and found.outcome == "labels" else None
    return None


def _run_together(text: str, count: int) -> Reading:
    """`ACE` is a set, because it ascends and names options; `BAC` is a word."""
    if list(text) == sorted(set(text)) and LABELS.index(text[-1]) < count:
        return _labels(text, count)
    return NONE


def _range(first: str, last: str, count: int) -> Reading:
    start, stop = LABELS.index(first), LABELS.index(last)
    if not start < stop < count:
        return AMBIGUOUS
    return Reading("labels", tuple(range(start, stop + 1)))


def _whole_options(text: str, options: Sequence[str]) -> Reading | None:
    """The texts of one or several options, and nothing else."""
    whole = _folded(text)
    if whole in options:
        return _unique([whole], options)
    pieces = [_folded(piece) for piece in re.split(r"\n|;|,| et | and ", text)]
    pieces = [piece for piece in pieces if piece]
    if len(pieces) > 1 and all(piece in options for piece in pieces):
        return _unique(pieces, options)
    return None


def _unique(texts: Iterable[str], options: Sequence[str]) -> Reading:
    """Return the labels of option texts; a text that two options have tells nothing."""
    found = set()
    for text in texts:
        if options.count(text) > 1:
            return AMBIGUOUS
        found.add(options.index(text))
    return Reading("labels", tuple(sorted(found)))


def _verdicts(text: str, count: int) -> Reading | None:
    """Two or more labels, each with its verdict: `A : vrai, B : faux`."""
    verb = "" if re.search(r"\b(?:sont|are)\b", text) else r"(?:(?:est|is)\s+)?"
    found = re.findall(rf"({LABEL})\s*[:=.,–-]?\s*{verb}({TRUE}|{FALSE})(?![\w'])", text, re.IGNORECASE)
    judged = {_letters(label.upper())[0]: re.fullmatch(TRUE, verdict.lower()) is not None for label, verdict in found}
    if len(judged) < 2:
        return None
    return _labels([letter for letter, right in judged.items() if right], count)


def _all_of_them(text: str, count: int) -> Reading | None:
    """All options, all but some, or none of them."""
    lowered = text[:1].lower() + text[1:]
    if re.match(r"\W*(?:réponse|answer)?\s*:?\s*(?:aucune?|none|ni\b|neither)\b", lowered, re.IGNORECASE):
        return NONE
    found = ALL.fullmatch(lowered) or ALL.fullmatch(text)
    if not found:
        return None
    rest = found["rest"].strip(" .!")
    if not rest:
        return Reading("labels", tuple(range(count)))
    if excepted := EXCEPT.fullmatch(found["rest"].rstrip(" .!")):
        inner = re.match(_list_pattern(","), excepted["labels"])
        if inner and (left := _labels(_letters(inner.group()), count)).outcome == "labels":
            return Reading("labels", tuple(label for label in range(count) if label not in left.labels))
    return None


def _alternatives(text: str, count: int) -> Reading | None:
    """`A ou B` does not say which."""
    pattern = rf"{LABEL}\s*(?:,\s*)?(?:\bet/ou\b|\band/or\b|\bou\b|\bor\b|\bou bien\b)\s*{BEFORE}{LABEL}"
    found = re.search(pattern, text)
    if found or re.search(rf"\b(?:soit|either)\s+{BEFORE}{LABEL}", text, re.IGNORECASE):
        return AMBIGUOUS
    if re.search(rf"\b(?:ni|neither)\s+{BEFORE}{LABEL}", text, re.IGNORECASE):
        return NONE
    if found := re.search(rf"{NOUN}[ ]+([A-Z]) (?:à|to|through) ([A-Z])(?!\w)", text, re.IGNORECASE):
        return _range(found[1].upper(), found[2].upper(), count)
    return None


def _enumerated(text: str, options: Sequence[str]) -> Reading | None:
    """Labels before texts: `B. Amoxicilline`, one or several, at the beginning of the text or of lines."""
    opening = (
        rf"(?:^|\n|; ?)\W{{0,3}}(?:\d+[.)] ?)?(?:{BEFORE})"
        r"(?:\(([A-Z])\)|\[([A-Z])\]|([A-Z])[ ]?[).:–-]+(?!(?<=[A-Z]\.)[a-zà-ÿ])|"
        r"([A-Z])(?=,? (?:car|parce|because|since)\b)|([A-Z])(?=[ ]*(?:\n|\Z)))"
    )
    found = list(re.finditer(opening, text))
    if not found:
        return _label_and_text(text, options)
    denial = rf"(?:{JOIN}{LABEL})*\s*(?i:n'est|ne sont|est|sont|isn't|aren't|is|are)\s+(?i:pas|not|{FALSE})\b"
    if re.match(denial, text[found[0].end() :]):
        return None
    letters = ["".join(group or "" for group in match.groups()) for match in found]
    if len(set(letters)) == len(options) and len(options) > 2:
        return AMBIGUOUS  # the options repeated, not an answer
    for match, letter in zip(found, letters, strict=True):
        following = _folded(text[match.end() :].split("\n")[0])
        if following in options and options.index(following) != LABELS.index(letter) and options.count(following) == 1:
            return AMBIGUOUS  # the label of one option, the text of another
    rest = text[found[0].end() :]
    behind = rest.split("\n")[0]
    reasons = re.search(rf"{NEGATION}|\b(?:car|parce|because|since)\b", behind, re.IGNORECASE)
    inline = re.findall(r"(?<!\w)\(?([A-Z])\)", behind) if len(found) == 1 and not reasons else []
    if inline and set(inline) != set(letters):
        every = {*letters, *inline}
        return AMBIGUOUS if len(every) == len(options) and len(options) > 2 else _labels(every, len(options))
    return _labels(letters, len(options))


def _label_and_text(text: str, options: Sequence[str]) -> Reading | None:
    """`B Amoxicilline`: a label and its option's text, without punctuation."""
    found = re.match(r"([A-Z]) (.+)", text.split("\n")[0])
    if found and LABELS.index(found.group(1)) < len(options):
        label = LABELS.index(found.group(1))
        if _folded(found.group(2)) == options[label]:
            return Reading("labels", (label,))
    return None


def _announced(text: str, count: int) -> Reading | None:
    """Labels that the text announces as its answer.

    The last announcement that is called final decides; without one, announcements that differ decide nothing.
    """
    listed = _list_pattern(",")
    forward = re.compile(rf"(?P<cue>(?i:\b{CUE}))(?P<filling>(?:\s*(?i:{FILLING})(?!\w))*)\s*(?P<labels>{listed})")
    backward = re.compile(rf"(?P<labels>{listed})\s*,?\s*(?i:est|sont|is|are)\s+(?i:{RIGHT})")
    together = re.search(rf"\b{NOUN}\b[^.\n]*[: ]\s*([A-Z]{{2,26}})\W*$", text, re.IGNORECASE)
    if together and together[1].isupper() and _run_together(together[1], count) != NONE:
        return _run_together(together[1], count)
    closing = re.compile(rf"(?i:\best|\bsont|\bis|\bare|:)\s*(?P<labels>{listed})\W*$")
    said: list[tuple[bool, Reading]] = []
    for match in (*forward.finditer(text), *closing.finditer(text)):
        behind = text[match.end() :]
        if _denied(text[: match.start()], behind):
            continue
        final = re.search(r"\bfinal", text[max(0, match.start() - 12) : match.end()], re.IGNORECASE) is not None
        said.append((final, _labels(_letters(match["labels"]), count)))
    for match in backward.finditer(text):
        if _denied(text[: match.start()], ""):
            continue
        said.append((False, _labels(_letters(match["labels"]), count)))
    if not said:
        return None
    finals = [reading for final, reading in said if final]
    if finals:
        return finals[-1]
    readings = {reading for _, reading in said}
    return readings.pop() if len(readings) == 1 else AMBIGUOUS


def _denied(before: str, behind: str) -> bool:
    """Whether the clause around an announcement denies it: `la réponse A n'est pas …`, `A est fausse`."""
    clause_before = re.split(r"[.;:!?\n,]", before)[-1]
    clause_behind = re.split(r"[.;:!?\n,]", behind)[0][:40]
    return (
        re.search(NEGATION, clause_before, re.IGNORECASE) is not None
        or re.match(rf"\s*(?:\w+\s+){{0,2}}?{NEGATION}", clause_behind, re.IGNORECASE) is not None
    )


def _bracketed(text: str, count: int) -> Reading | None:
    """Labels in brackets somewhere in the text: one, or one list of them."""
    found = re.findall(r"(?<!\w)[(\[]([A-Z])[)\]]", text)
    if not found or re.search(NEGATION, text, re.IGNORECASE):
        return AMBIGUOUS if found else None
    if len(set(found)) == 1 or re.search(rf"(?:[(\[][A-Z][)\]]{JOIN}){{{len(found) - 1}}}[(\[][A-Z][)\]]", text):
        return _labels(found, count)
    return AMBIGUOUS


def _mentioned_option(text: str, options: Sequence[str]) -> Reading | None:
    """The text of one option inside a sentence that denies nothing."""
    folded = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).replace("’", "'").casefold())
    spans: list[tuple[int, int, int]] = []
    for label, option in enumerate(options):
        if len(option) >= 3:
            spans += [(*match.span(), label) for match in re.finditer(rf"(?<!\w){re.escape(option)}(?!\w)", folded)]
    # The text of one option may lie inside another's: the longer one is meant.
    outer = [one for one in spans if not any(o[0] <= one[0] and one[1] <= o[1] and o[:2] != one[:2] for o in spans)]
    labels = {label for _, _, label in outer}
    if not labels:
        return None
    if len(labels) > 1 or re.search(NEGATION, folded):
        return AMBIGUOUS
    return Reading("labels", tuple(labels))
