"""Readers of terse answers: a label or a list of them, the texts of options, labels before texts."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from posologie.prediction.parsing_patterns import AND, BEFORE, FALSE, JOIN, LABEL, NEGATION, QUALIFIER, TO, compiled
from posologie.prediction.readings import AMBIGUOUS, NONE, Reading, labels_of, letters_in, list_pattern
from posologie.records.items import LABELS

_RANGE = rf"(?:{BEFORE}|(?i:de|da|from|von) |从)([A-Z]) ?{TO} ?([A-Z])(?: まで)?"
_BREAKS = " .!:;,?。،؟।"


def folded(text: str) -> str:
    """Return a text for comparison: composed, lower case, blanks collapsed, no article and no final punctuation."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    plain = re.sub(r"\s+", " ", plain).strip(" \t\n.,;:!\"'«»()。،।")
    return re.sub(r"^(?:le|la|les|un|une|des|du|the|an?) |^l'", "", plain)


def whole_list(text: str, count: int, separator: str) -> Reading | None:
    """A label, or a list of labels, and nothing else."""
    bare = compiled(QUALIFIER).sub("", text).strip(_BREAKS)
    bare = compiled(rf"(?:\s*(?:,|{AND}))+$").sub("", bare)
    if re.fullmatch(r"[(\[][A-Z]", bare):
        bare = bare[1:]  # the tokens ran out before the bracket closed
    if bare.upper() == "N/A":
        return NONE
    if re.fullmatch(r"[A-Z]{2,26}", bare):
        return run_together(bare, count)
    if match := compiled(_RANGE).fullmatch(bare):
        return _range(match[1], match[2], count)
    if compiled(rf"{BEFORE}[(\[]?[A-Z][)\]]? ?[-–] ?[(\[]?[A-Z][)\]]?").fullmatch(bare):
        return AMBIGUOUS  # both, or from … to …
    if compiled(list_pattern(separator), re.IGNORECASE if not re.search("[A-Z]", bare) else 0).fullmatch(bare):
        letters = re.findall(r"(?<![\w'])[a-z](?![\w'])", bare) or letters_in(bare)
        return labels_of(letters, count)
    return None


def first_line(text: str, count: int, separator: str) -> Reading | None:
    """A list of labels on the first line or in the first sentence, and an explanation behind it."""
    first, _, below = text.partition("\n")
    if below and re.search(r"\w[^\w]+\w", first):
        reading = whole_list(first, count, separator)
        return reading if reading and reading.outcome == "labels" else None
    sentence = re.split(r"(?<=[A-Z)])[.。]\s", text, maxsplit=1)[0]
    if re.search(r"\w[^\w]+\w", sentence):
        reading = whole_list(sentence, count, separator)
        return reading if reading and len(reading.labels) > 1 else None
    return None


def run_together(text: str, count: int) -> Reading:
    """`ACE` is a set, because it ascends and names options; `BAC` is a word."""
    if list(text) == sorted(set(text)) and LABELS.index(text[-1]) < count:
        return labels_of(text, count)
    return NONE


def _range(first: str, last: str, count: int) -> Reading:
    """Return the labels of a range that is the whole answer; all options are the question's range, not an answer."""
    start, stop = LABELS.index(first), LABELS.index(last)
    if not start < stop < count or stop - start + 1 == count:
        return AMBIGUOUS
    return Reading("labels", tuple(range(start, stop + 1)))


def whole_options(text: str, options: Sequence[str]) -> Reading | None:
    """The texts of one or several options, and nothing else."""
    whole = folded(text)
    if whole in options:
        return _unique([whole], options)
    pieces = [folded(piece) for piece in compiled(rf"\n|;|,|、| {AND} ").split(text)]
    pieces = [piece for piece in pieces if piece]
    if len(pieces) > 1 and all(piece in options for piece in pieces):
        every = len(set(pieces)) == len(options) and len(options) > 2
        return AMBIGUOUS if every else _unique(pieces, options)  # all of them: the options repeated, not an answer
    return None


def _unique(texts: Iterable[str], options: Sequence[str]) -> Reading:
    """Return the labels of option texts; a text that two options share is ignored."""
    labels = set()
    for text in texts:
        if options.count(text) > 1:
            return AMBIGUOUS
        labels.add(options.index(text))
    return Reading("labels", tuple(sorted(labels)))


def enumerated(text: str, options: Sequence[str]) -> Reading | None:
    """Labels before texts: `B. Amoxicilline`, one or several, at the beginning of the text or of lines."""
    opening = (
        rf"(?:^|\n|; ?)\W{{0,3}}(?:\d+[.)] ?)?(?:{BEFORE})"
        r"(?:\(([A-Z])\)|\[([A-Z])\]|([A-Z])[ ]?[).:–-]+(?!(?<=[A-Z]\.)[a-zà-ÿ])|"
        r"([A-Z])(?=,? (?:car|parce|because|since)\b)|([A-Z])(?=[ ]*(?:\n|\Z)))"
    )
    heads = list(compiled(opening).finditer(text))
    if not heads:
        return _label_and_text(text, options)
    denial = rf"(?:{JOIN}{LABEL})*\s*(?i:n'est|ne sont|est|sont|isn't|aren't|is|are)\s+(?i:pas|not|{FALSE})\b"
    if compiled(denial).match(text[heads[0].end() :]):
        return None
    letters = ["".join(group or "" for group in match.groups()) for match in heads]
    if len(set(letters)) == len(options) and len(options) > 2:
        return AMBIGUOUS  # the options repeated, not an answer
    for match, letter in zip(heads, letters, strict=True):
        following = folded(text[match.end() :].split("\n")[0])
        if following in options and options.index(following) != LABELS.index(letter) and options.count(following) == 1:
            return AMBIGUOUS  # the label of one option, the text of another
    rest = text[heads[0].end() :]
    behind = rest.split("\n")[0]
    reasons = compiled(rf"{NEGATION}|\b(?:car|parce|because|since)\b", re.IGNORECASE).search(behind)
    inline = re.findall(r"(?<!\w)\(?([A-Z])\)", behind) if len(heads) == 1 and not reasons else []
    if inline and set(inline) != set(letters):
        every = {*letters, *inline}
        return AMBIGUOUS if len(every) == len(options) and len(options) > 2 else labels_of(every, len(options))
    return labels_of(letters, len(options))


def _label_and_text(text: str, options: Sequence[str]) -> Reading | None:
    """`B Amoxicilline`: a label and its option's text, without punctuation."""
    match = re.match(r"([A-Z]) (.+)", text.split("\n")[0])
    if match and LABELS.index(match.group(1)) < len(options):
        label = LABELS.index(match.group(1))
        if folded(match.group(2)) == options[label]:
            return Reading("labels", (label,))
    return None
