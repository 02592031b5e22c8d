"""What a free text answers: labels, nothing, or something ambiguous.

The readers below are tried in order; the first that understands the text decides. A letter counts as a label only where
the text treats it as one: alone, in a list, in brackets, before an option's text, or announced ("la réponse est …").
`D'après` and `hépatite B` name no label. Thoughts are no part of the answer, the stated conclusion wins over the
discussion before it, and a range of labels ("options A to D") is none of them.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

from posologie.language.answer_words import letters
from posologie.language.marks import part, without_control
from posologie.prediction.parsing_lists import enumerated, first_line, folded, whole_list, whole_options
from posologie.prediction.parsing_patterns import (
    ALL,
    BEFORE,
    BEHIND_LABEL,
    EITHER,
    EXCEPT,
    JOIN,
    LABEL,
    NEGATION,
    NEITHER,
    NOUN,
    OR,
    PRONOUN,
    REFUSAL,
    TO,
    WORD,
    compiled,
)
from posologie.prediction.parsing_statements import MARK, announced, stated, verdicts
from posologie.prediction.readings import AMBIGUOUS, NONE, Reading, labels_of, letters_in, list_pattern
from posologie.records.items import LABELS

_LONG = 400
"""Characters from which a text is looked at for repetitions."""
_LATIN_LABEL = re.compile(r"(?<![\w'])[A-Z](?!\w)")
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff"
"""Kana and Chinese characters, which are written without blanks."""


def read(text: str, options: Sequence[str], separator: str = ",") -> Reading:
    """Read which options a text answers.

    Args:
        text: what the model wrote.
        options: the texts of the options as displayed, the first being A.
        separator: between labels in the training format, beside the usual ones.
    """
    marked = _written(text)
    written = marked.replace(MARK, "")
    count = len(options)
    plain_options = [folded(option) for option in options]
    plain = _without_glosses(_plain(written), plain_options)
    if not re.search(r"\w", plain):
        return NONE
    ranged = _without_ranges(plain)
    concluding = _without_ranges(_without_glosses(_plain(marked), plain_options))
    readers: tuple[Callable[[], Reading | None], ...] = (
        lambda: whole_list(plain, count, separator),
        lambda: whole_options(written, plain_options),
        lambda: stated(concluding, plain_options, separator),
        lambda: NONE if REFUSAL.search(ranged) else None,
        lambda: first_line(ranged, count, separator),
        lambda: announced(ranged, plain_options, strong=True),
        lambda: verdicts(ranged, plain_options),
        lambda: _all_of_them(ranged, count),
        lambda: _alternatives(ranged),
        lambda: enumerated(ranged, plain_options),
        lambda: announced(ranged, plain_options, strong=False),
        lambda: _bracketed(ranged, count),
        lambda: _mentioned_option(written, plain_options),
    )
    return next((reading for reader in readers if (reading := reader()) is not None), NONE)


def is_bare_label(text: str, options: int) -> bool:
    """Whether a text ends on a label that the next characters could turn into something else, as `D` into `D'après`."""
    return re.search(rf"(?:^|[^\w])[{LABELS[:options]}]$", text) is not None


def _written(text: str) -> str:
    """Return the answer without emphasis and typographic variety, with a mark before what is boxed or tagged."""
    text = without_control(part(text).answer)
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'").replace("`", "")
    text = re.sub(r"(?<!\w)'(\(?[A-Z]\)?)'(?!\w)", r"\1", text)
    if not _LATIN_LABEL.search(text):
        for label, letter in zip(LABELS, letters(), strict=False):
            text = letter.sub(rf"\1 {label}", text)
    text = re.sub("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufe0f]", "", text)
    text = re.sub(
        r"<(?:answer|réponse)\s*>|^#{4}\s+(?=\(?[A-Z]\)?\W*$)", MARK, text, flags=re.IGNORECASE | re.MULTILINE
    )
    text = re.sub(r"</?(?:b|i|strong|em|p|br|answer|réponse)\s*/?>", " ", text, flags=re.IGNORECASE)
    text = text.replace("\\ ", " ").replace("\\(", " ").replace("\\)", " ").replace("\\[", " ").replace("\\]", " ")
    for _ in range(3):  # \boxed{\text{A}}
        text = re.sub(r"\\(?:text|textbf|mathrm|mathbf|bf)\s*\{([^{}]*)\}", r"\1", text)
        text = re.sub(r"\\boxed\s*\{([^{}]*)\}", rf"{MARK}\1", text)
    text = re.sub(r"(?<!\w)[*_#$]+|[*_#$]+(?!\w)", "", text)
    text = re.sub(rf"(?<=[{_UNSPACED}])(?=[A-Z(\[])|(?<=[A-Z)\]])(?=[{_UNSPACED}])", " ", text)
    text = re.sub(r"[ \t]+", " ", text).strip()
    # Models repeat themselves until their tokens run out: the third time says no more than the second.
    return re.sub(r"(.{3,80}?)\1{2,}", r"\1\1", text, flags=re.DOTALL) if len(text) > _LONG else text


def _plain(written: str) -> str:
    """Return the text without quotation marks, list brackets and numbering."""
    text = re.sub(r"[\"«»“”„{}<>「」【】]", " ", written)
    text = re.sub(r"\[([^\[\]]*,[^\[\]]*)\]", r" \1 ", text)
    text = compiled(WORD).sub(lambda match: match[0].lower(), re.sub(r"[ \t]+", " ", text).strip())
    if not re.search(r"(?<![\w'])[A-Z](?!\w)", text):  # `b)` and `answer: b`
        text = re.sub(
            r"(?:(?<=: )|(?<=\())[a-z](?=[).]*\s*$)|(?<![\w'])[a-z](?=\))", lambda match: match[0].upper(), text
        )
    return re.sub(r"^(?:question )?\d+ ?[.:)] ", "", text, flags=re.IGNORECASE)


def _without_glosses(text: str, options: Sequence[str]) -> str:
    """Return the text without an option's text in brackets behind its label, and with `E. coli` as one word."""

    def bare(match: re.Match[str]) -> str:
        label = LABELS.index(match[1])
        if label < len(options) and folded(match[2]) == options[label]:
            return match[1]
        return f"{match[1]}. {match[2]}" if folded(match[2]) in options else match[0]

    def joined(match: re.Match[str]) -> str:
        behind = folded(text[match.start(2) :])
        return match[0] if behind.startswith(tuple(filter(None, options))) else f"{match[1]}.{match[2]}"

    species = rf"(?<![\w'])([A-Z])\.[ ](?!{BEHIND_LABEL}|{PRONOUN})([a-zà-ÿ]{{3,}})"
    text = compiled(species).sub(joined, text)
    return re.sub(r"(?<![\w'])([A-Z])[ ]?\(([^()]{2,})\)", bare, text)


def _without_ranges(text: str) -> str:
    """Return the text without ranges of labels: `among the options A to D` names none of them."""
    label = r"[(\[]?(?<![\w'])([A-Z])(?!\w)[)\].]?"

    def gone(match: re.Match[str]) -> str:
        return " … " if match[1] < match[2] else match[0]

    text = compiled(rf"(?i:{NOUN})\s+\(?[A-Z]\)?-\(?[A-Z]\b\)?(?!-)").sub(" … ", text)
    to = rf"(?:{TO}|\.\.+|…|(?<=[)\]])[-–]|–)"
    return compiled(rf"{label}\s*{to}\s*{label}(?!\s*[-–]\s*\(?[A-Z]\b)").sub(gone, text)


def _all_of_them(text: str, count: int) -> Reading | None:
    """All options, all but some, or none of them."""
    lowered = re.sub(r"^\w|[^\W\d_]{2,}", lambda word: word[0].lower(), text)
    if re.match(r"\W*(?:réponse|answer)?\s*:?\s*(?:aucune?|none|ni\b|neither)\b", lowered):
        return NONE
    match = ALL.fullmatch(lowered) or ALL.fullmatch(text)
    if not match:
        return None
    rest = match["rest"].strip(" .!")
    if not rest:
        return Reading("labels", tuple(range(count)))
    if excepted := EXCEPT.fullmatch(match["rest"]):
        inner = compiled(list_pattern()).match(excepted["labels"])
        if inner and (left := labels_of(letters_in(inner.group()), count)).outcome == "labels":
            return Reading("labels", tuple(label for label in range(count) if label not in left.labels))
    return None


def _alternatives(text: str) -> Reading | None:
    """`A ou B` does not say which."""
    if compiled(rf"{LABEL}\s*(?:,\s*)?{OR}\s*{BEFORE}{LABEL}").search(text):
        return AMBIGUOUS
    if compiled(rf"{EITHER}\s+{BEFORE}{LABEL}", re.IGNORECASE).search(text):
        return AMBIGUOUS
    return NONE if compiled(rf"{NEITHER}\s+{BEFORE}{LABEL}", re.IGNORECASE).search(text) else None


def _bracketed(text: str, count: int) -> Reading | None:
    """Labels in brackets somewhere in the text: one, or one list of them."""
    letters = re.findall(r"(?<!\w)[(\[]([A-Z])[)\]]", text)
    if not letters or compiled(NEGATION, re.IGNORECASE).search(text):
        return AMBIGUOUS if letters else None
    label = r"[(\[][A-Z][)\]]"
    lists = (len(re.findall(label, match[0])) for match in compiled(rf"{label}(?:{JOIN}{label})*").finditer(text))
    if len(set(letters)) == 1 or max(lists) == len(letters):
        return labels_of(letters, count)
    return AMBIGUOUS


def _mentioned_option(text: str, options: Sequence[str]) -> Reading | None:
    """The text of one option inside a sentence that denies nothing."""
    lowered = re.sub(r"\s+", " ", text.casefold())
    spans: list[tuple[int, int, int]] = []
    for label, option in enumerate(options):
        if len(option) >= 3 or re.match(rf"[{_UNSPACED}]{{2}}", option):
            edges = ("", "") if re.match(rf"[{_UNSPACED}]", option) else (r"(?<!\w)", r"(?!\w)")
            pattern = re.escape(option).join(edges)
            spans += [(*match.span(), label) for match in re.finditer(pattern, lowered)]
    # The text of one option may lie inside another's: the longer one is meant.
    outer = [
        span for span in spans if not any(o[0] <= span[0] and span[1] <= o[1] and o[:2] != span[:2] for o in spans)
    ]
    labels = {label for _, _, label in outer}
    if not labels:
        return None
    if len(labels) > 1 or compiled(NEGATION, re.IGNORECASE).search(lowered):
        return AMBIGUOUS
    return Reading("labels", tuple(labels))
