"""Plant faults into right translations and count what the checks catch, by kind, beside the checks of another revision.

    python tests/benchmarks/translation_faults.py DATA [--old main] [--seed 1] [--json OUT.json] [--show KIND]

DATA holds `mmlu_en`, `mmlu_es` and `casimedicos` as public data sets publish them. Weights were fitted on MMLU and on
the part `train` of CasiMedicos, not on `dev` and `test`; false alarms were read in all parts. `--old` runs the same
cases through the checks of that revision of this repository. A fault counts as caught when an item is rejected that
passes without it. Intervals are Wilson's, 95 %.
"""

import argparse
import io
import json
import random
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from statsmodels.stats.proportion import proportion_confint
from translation_pairs import Pair, Texts, all_pairs

ROOT = Path(__file__).parents[2]
LANGUAGES = {"en": "English", "fr": "French", "es": "Spanish"}

WORKER = """
import json, sys
from posologie.generation.spec import Translator
try:
    from posologie.generation.translation_checks import Fields, Languages, problem_of, problem_of_whole
except ImportError:
    from posologie.generation.translation.requests import Fields
    try:
        from posologie.generation.translation.checks import Languages, problem_of, problem_of_whole
    except ImportError:
        from posologie.generation.translation.requests import problem_of, problem_of_whole
        Languages = None
translators = {}
def fields(value):
    return Fields(value["question"], value["context"], tuple(value["options"]), value["answer"])
for line in sys.stdin:
    case = json.loads(line)
    key = tuple(case["languages"])
    if Languages is not None:
        translators[key] = Languages(*key)
    elif key not in translators:
        backend = {"kind": "seq2seq", "backbone": "m"}
        names = {"source_language": key[0], "target_language": key[1]}
        translators[key] = Translator.model_validate({"backend": backend, **names})
    before, after = fields(case["source"]), fields(case["translation"])
    problem = problem_of(before, after, translators[key]) or problem_of_whole(before, after, translators[key])
    print(json.dumps(None if problem is None else str(problem)))
"""
"""Reads cases and writes the problem of each, with the package that PYTHONPATH names: this revision's or another's."""


Made = tuple[Texts, Texts] | None
Planter = Callable[[Pair, Sequence[Pair], random.Random], Made]

_WITHOUT_NEGATION = {
    "en": ((r"\b(?:does|do|did) (?:not|NOT) ", ""), (r"(?<=\w) (?:not|NOT)\b", ""), (r"\bcannot\b", "can")),
    "es": ((r"\b(?:no|NO|No) (?=\w)", ""),),
    "fr": ((r"\b[nN](?:['’]|e )((?:\S+ ){0,1}?\S+?) (?:pas|PAS|jamais|plus)\b", r"\1"),),
}
_TURNED = {
    "en": (
        (r"\bEXCEPT\b|\bexcept\b", "including"),
        (r"\bfalse\b|\bFALSE\b", "true"),
        (r"\bincorrect\b|\bINCORRECT\b|\bwrong\b|\bWRONG\b", "correct"),
    ),
    "es": (
        (r"(?i)\bexcepto\b|\bsalvo\b|\ba excepci[oó]n de\b|\bexceptuando\b", "incluido"),
        (r"(?i)\bfals(?=[ao]s?\b)", "verdader"),
        (r"(?i)\bincorrect(?=[ao]s?\b)", "correct"),
        (r"(?i)\berr[oó]ne(?=[ao]s?\b)", "correct"),
    ),
    "fr": (
        (r"(?i)\bsauf\b|\bexcepté\b|\bà l['’]exception d(?:e|['’])|\bhormis\b", "y compris"),
        (r"(?i)\bfauss?e?(?=s?\b)", "vraie"),
        (r"(?i)\bincorrect(?=e?s?\b)", "correct"),
        (r"(?i)\bmauvaise\b", "bonne"),
        (r"(?i)\berronée?(?=s?\b)", "correcte"),
    ),
}


def _substituted(text: str, rules: Sequence[tuple[str, str]], last: bool = False) -> str | None:
    """Return a text with one occurrence of the first rule that fits replaced, or None."""
    for pattern, replacement in rules:
        matches = list(re.finditer(pattern, text))
        if matches:
            match = matches[-1 if last else 0]
            return text[: match.start()] + match.expand(replacement) + text[match.end() :]
    return None


def _in_question(rules: dict[str, Any], side: int) -> Planter:
    def plant(pair: Pair, pairs: Sequence[Pair], draw: random.Random) -> Made:
        own, other = (pair.source, pair.translation)[side], (pair.source, pair.translation)[1 - side]
        changed = _substituted(own.question, rules[pair.languages[side]], last=True)
        # A negation in one language alone is a wording ("failed to", "loses"), not a fault that could be planted.
        negative = _substituted(other.question, rules[pair.languages[1 - side]])
        if changed is None or negative is None:
            return None
        made = replace(own, question=changed)
        return (made, other) if side == 0 else (other, made)

    return plant


_VERBS = {
    "en": (r"\b(is|are|can|should|would|will)\b", r"\1 not"),
    "es": (r"\b(es|son|está|están|puede|debe|presenta|tiene|sería)\b", r"no \1"),
    "fr": (r"\b(sont|peut|doit|présente|faut|serait)\b|\b(est)\b", r"ne \1\2 pas"),
}


def _inserted(side: int) -> Planter:
    """A negation put before the last verb of a question that has none; in the original, the translation lacks it."""

    def plant(pair: Pair, pairs: Sequence[Pair], draw: random.Random) -> Made:
        own, other = (pair.source, pair.translation)[side], (pair.source, pair.translation)[1 - side]
        if any(
            _substituted(text.question, _WITHOUT_NEGATION[language])
            for text, language in zip((pair.source, pair.translation), pair.languages, strict=True)
        ):
            return None
        changed = _substituted(own.question, (_VERBS[pair.languages[side]],), last=True)
        if changed is None:
            return None
        made = replace(own, question=changed)
        return (made, other) if side == 0 else (other, made)

    return plant


_EXCEPT = {"en": ", EXCEPT:", "es": ", EXCEPTO:", "fr": ", SAUF :"}


def _excepted(side: int) -> Planter:
    def plant(pair: Pair, pairs: Sequence[Pair], draw: random.Random) -> Made:
        own, other = (pair.source, pair.translation)[side], (pair.source, pair.translation)[1 - side]
        known = (*_WITHOUT_NEGATION[pair.languages[side]], *_TURNED[pair.languages[side]])
        if not own.question.strip() or _substituted(own.question, known):
            return None
        made = replace(own, question=own.question.rstrip(" .:?") + _EXCEPT[pair.languages[side]])
        return (made, other) if side == 0 else (other, made)

    return plant


def _in_options(pair: Pair, pairs: Sequence[Pair], draw: random.Random) -> Made:
    places = [
        number
        for number, (before, after) in enumerate(zip(pair.source.options, pair.translation.options, strict=True))
        if _substituted(before, _WITHOUT_NEGATION[pair.languages[0]])
        and _substituted(after, _WITHOUT_NEGATION[pair.languages[1]])
    ]
    if not places:
        return None
    number = draw.choice(places)
    changed = _substituted(pair.translation.options[number], _WITHOUT_NEGATION[pair.languages[1]])
    return pair.source, _with_option(pair.translation, number, changed or "")


def _in_context(pair: Pair, pairs: Sequence[Pair], draw: random.Random) -> Made:
    changed = _substituted(pair.translation.context, _WITHOUT_NEGATION[pair.languages[1]])
    if changed is None or _substituted(pair.source.context, _WITHOUT_NEGATION[pair.languages[0]]) is None:
        return None
    return pair.source, replace(pair.translation, context=changed)


def _with_option(texts: Texts, number: int, option: str) -> Texts:
    return replace(texts, options=(*texts.options[:number], option, *texts.options[number + 1 :]))


def _exchanged(pair: Pair, pairs: Sequence[Pair], draw: random.Random) -> Made:
    options = list(pair.translation.options)
    first, other = draw.sample(range(len(options)), 2)
    if _plain(options[first]) == _plain(options[other]):
        return None
    options[first], options[other] = options[other], options[first]
    return pair.source, replace(pair.translation, options=tuple(options))


def _moved_on(pair: Pair, pairs: Sequence[Pair], draw: random.Random) -> Made:
    options = pair.translation.options
    return pair.source, replace(pair.translation, options=(*options[1:], options[0]))


def _left(pair: Pair, pairs: Sequence[Pair], draw: random.Random) -> Made:
    both = list(zip(pair.source.options, pair.translation.options, strict=True))
    places = [number for number, (before, after) in enumerate(both) if _plain(before) != _plain(after)]
    if not places:
        return None
    number = draw.choice(places)
    return pair.source, _with_option(pair.translation, number, pair.source.options[number])


def _replaced(pair: Pair, pairs: Sequence[Pair], draw: random.Random) -> Made:
    other = draw.choice([candidate for candidate in pairs if candidate.key != pair.key and candidate.part == pair.part])
    changed = replace(pair.translation, question=other.translation.question, context=other.translation.context)
    return (pair.source, changed) if _plain(changed.question) != _plain(pair.translation.question) else None


def _number(pair: Pair, pairs: Sequence[Pair], draw: random.Random) -> Made:
    def other(match: re.Match[str]) -> str:
        return str(int(match.group()) + draw.choice((1, 10)))

    for name in ("question", "context"):
        text = getattr(pair.translation, name)
        if re.search(r"\d", text) and re.search(r"\d", getattr(pair.source, name)):
            return pair.source, replace(pair.translation, **{name: re.sub(r"\d+", other, text, count=1)})
    places = [number for number, option in enumerate(pair.translation.options) if re.search(r"\d", option)]
    if not places:
        return None
    number = draw.choice(places)
    return pair.source, _with_option(
        pair.translation, number, re.sub(r"\d+", other, pair.translation.options[number], count=1)
    )


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


KINDS: dict[str, Planter] = {
    "negation dropped from the question": _in_question(_WITHOUT_NEGATION, 1),
    "negation added to the question": _in_question(_WITHOUT_NEGATION, 0),
    "except or false turned round": _in_question(_TURNED, 1),
    "true turned into except or false": _in_question(_TURNED, 0),
    "negation only in the original": _inserted(0),
    "negation only in the translation": _inserted(1),
    "except only in the original": _excepted(0),
    "except only in the translation": _excepted(1),
    "negation dropped from an option": _in_options,
    "negation dropped from the case": _in_context,
    "two options exchanged": _exchanged,
    "all options moved on by one": _moved_on,
    "one option left untranslated": _left,
    "question of another item": _replaced,
    "another number": _number,
}


def judged(cases: list[dict[str, Any]], library: Path) -> list[str | None]:
    """Return the problem of each case under the checks of the package in a folder."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    process = subprocess.run(
        [sys.executable, "-c", WORKER],
        input=lines,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(library), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    if process.returncode:
        sys.exit(process.stderr)
    return [json.loads(line) for line in process.stdout.splitlines()]


def case_of(pair: Pair, made: tuple[Texts, Texts]) -> dict[str, Any]:
    """Return what the worker reads of a pair."""
    return {"languages": pair.languages, "source": asdict(made[0]), "translation": asdict(made[1])}


def share(caught: int, n: int) -> str:
    """Return a share with its n and interval, for reading."""
    if not n:
        return "–"
    low, high = proportion_confint(caught, n, method="wilson")
    return f"{caught:4}/{n:<4} {100 * caught / n:5.1f} % [{100 * low:.0f}, {100 * high:.0f}]"


def main() -> None:
    """Print caught and falsely rejected, by part of the data and kind of fault."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--old", metavar="REVISION", help="also run the checks of this revision")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--json", type=Path, metavar="OUT")
    arguments.add_argument(
        "--show", action="append", default=[], metavar="KIND", help="print what is missed ('right': rejected)"
    )
    options = arguments.parse_args()
    pairs = all_pairs(options.data)
    cases = [("right", pair, case_of(pair, (pair.source, pair.translation))) for pair in pairs]
    for kind, plant in KINDS.items():
        for pair in pairs:
            made = plant(pair, pairs, random.Random(f"{options.seed}:{kind}:{pair.key}"))
            if made is not None:
                cases.append((kind, pair, case_of(pair, made)))
    results = {"now": judged([case for *_, case in cases], ROOT / "workflow")}
    if options.old:
        archive = subprocess.run(
            ["git", "archive", options.old, "workflow", "resources"], cwd=ROOT, capture_output=True, check=True
        ).stdout
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(folder, filter="data")
            results[options.old] = judged([case for *_, case in cases], Path(folder) / "workflow")
    rows = []
    for part in dict.fromkeys(pair.part for pair in pairs):
        for kind in ("right", *KINDS):
            row: dict[str, Any] = {"part": part, "kind": kind}
            for name, problems in results.items():
                passing = {
                    pair.key
                    for (what, pair, _), problem in zip(cases, problems, strict=True)
                    if what == "right" and problem is None
                }
                caught = [
                    problem is not None
                    for (what, pair, _), problem in zip(cases, problems, strict=True)
                    if what == kind and pair.part == part and (kind == "right" or pair.key in passing)
                ]
                row[name] = {"caught": sum(caught), "n": len(caught)}
            rows.append(row)
    for part in dict.fromkeys(pair.part for pair in pairs):
        print(f"\n{part}")
        for row in rows:
            if row["part"] == part:
                shown = "   ".join(share(row[name]["caught"], row[name]["n"]) for name in results)
                print(f"  {'rejected, though right' if row['kind'] == 'right' else row['kind']:36} {shown}")
    for (kind, pair, case), problem in zip(cases, results["now"], strict=True):
        if kind in options.show and (problem is not None) == (kind == "right"):
            print(f"\n{pair.key}: {problem}")
            for side in ("source", "translation"):
                text = case[side]
                print(f"   {text['context'][:300]!r} {text['question']!r} {text['options']}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
