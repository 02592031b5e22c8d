"""Say what would go wrong with a study, before anything is spent.

Looks at the study file, data files and their languages, prompts, models, hub access and tokens, disk, GPUs, SLURM,
installed packages, and, if shards are already made, whether the mixes can be filled.
"""

import argparse
import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from rich.table import Table
from rich.text import Text

from posologie.cli import checks, hub_checks
from posologie.cli.checks import OK, PROBLEM, WARNING, Finding
from posologie.cli.places import add_study, console, print_json, study_of
from posologie.config import job_specs, plan
from posologie.config.language import settings_of, study_language
from posologie.config.study import Study
from posologie.language.languages import known_languages, language_of, macrolanguage
from posologie.records.items import Item
from posologie.running.errors import InputError
from posologie.sources.cleaning import Elsewhere, Rejected
from posologie.sources.drafts import finished
from posologie.sources.layouts import local_files
from posologie.sources.shards import Place, read_plainly

_RECORDS = 200
"""Records of a source that are looked at: the first ones of its first split."""
_LETTERS = 20
_OTHERS = 0.5
"""Share of the items that look like another language from which a source is warned of: single ones err often."""
_DOWNLOADED = ("spm", "flores101", "flores200", "spBLEU-1K")


def languages(study: Study) -> Iterator[Finding]:
    """Say what the study's language lacks, and compare the declared languages with those of the items."""
    counts = {name: _language_counts(study, name) for name in study.sources}
    yield from _languages_of_study(study, sum(counts.values(), Counter()))
    for name, source in study.sources.items():
        counted = counts[name]
        if not counted or source.language is None:
            continue
        if source.language not in known_languages():
            yield Finding(WARNING, f"sources.{name}.language = '{source.language}': no language that can be identified")
            continue
        others = counted.total() - counted[macrolanguage(source.language)]
        text = f"{others} of {counted.total()} items"
        if others > _OTHERS * counted.total():
            most = max(counted, key=lambda code: (counted[code], code))
            advice = (
                f"look like '{most}' and not like '{source.language}', which is declared; set sources.{name}.language"
            )
            yield Finding(WARNING, f"sources.{name}: {text} {advice}")
        else:
            yield Finding(OK, f"sources.{name}: '{source.language}' is declared; {text} look like another language")
    tokenizer = study.scoring.text.bleu_tokenizer
    if tokenizer in _DOWNLOADED and plan.open_suites(study):
        text = "sacreBLEU fetches its model at the first use; score once where there is a network"
        yield Finding(WARNING, f"scoring.text.bleu_tokenizer = '{tokenizer}': {text}")


def _languages_of_study(study: Study, counts: Counter[str]) -> Iterator[Finding]:
    """Say in one line which general settings a study uses because its language, or that language's file, is missing."""
    code = study_language(study)
    settings = settings_of(code)
    if settings.described:
        yield Finding(OK, f"language '{code}': resources/languages/{code}.yaml")
        return
    lacking = "English prompt lines and prompts, no stemmer, no phrases of position-dependent options"
    if code is not None:
        text = f"language '{code}': no resources/languages/{code}.yaml, so the general settings are used: {lacking}"
        if settings.primary_text == "chrf":
            text += "; words cannot be separated, so chrF is the primary metric of open answers"
        yield Finding(WARNING, f"{text}; add the file (docs/own-language.md), or set these in the study")
    elif study.sources:
        guess = max(counts, key=lambda language: (counts[language], language), default=None)
        like = f"`language: {guess}`, the language that most items look like" if guess else "such as `language: es`"
        yield Finding(WARNING, f"language: missing, so the general settings are used: {lacking}; add one, {like}")


def _language_counts(study: Study, name: str) -> Counter[str]:
    """Return how many of a source's first items are in each language, where its files are on this machine."""
    codes = (language_of(_text(item), _LETTERS) for item in _first_items(study, name))
    return Counter(code for code in codes if code is not None)


def _first_items(study: Study, name: str) -> Iterator[Item]:
    source = study.sources[name]
    if source.path is None:
        return
    module = importlib.import_module(f"posologie.sources.{source.reader}")
    split = source.splits[0]
    try:
        spec = job_specs.shard_spec(study, name, split)
        files = {file: Path(file) for file in local_files(source, split)}
        draft = module.reader(spec, files)
        batches = getattr(module, "rows", read_plainly)(files, spec)
        records = ((batch, record) for batch in batches for record in batch.values())
        for number, (batch, record) in enumerate(islice(records, _RECORDS)):
            try:
                yield finished(draft(record, Place(batch.file, number)), spec, set())
            except (Rejected, Elsewhere, KeyError, TypeError, AttributeError, IndexError, ValueError):
                continue
    except InputError:  # the check of the data says it
        return


def _text(item: Item) -> str:
    return " \n".join([item.question, item.context, *item.options, item.answer])


CHECKS: dict[str, Callable[[Study], Iterator[Finding]]] = {
    "environment": checks.environment,
    "data": checks.data,
    "languages": languages,
    "prompts and ratings": checks.other_files,
    "models": checks.models,
    "keys": checks.keys,
    "mixes": checks.mixes,
    "GPUs": checks.gpus,
    "engines": checks.engines,
    "disk": checks.disk,
    "SLURM": checks.slurm,
}
_STYLES = {OK: "green", WARNING: "yellow", PROBLEM: "red"}


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `check`."""
    add_study(arguments)
    arguments.add_argument("--offline", action="store_true", help="do not ask the hub")
    arguments.add_argument(
        "--gpu", action="store_true", help="try the GPUs of this machine instead, in about a minute; reads no study"
    )


def _of_gpus() -> list[tuple[str, Finding]]:
    from posologie.cli import gpu  # torch takes seconds to import

    return list(gpu.findings())


def _of_study(options: argparse.Namespace) -> list[tuple[str, Finding]]:
    study = study_of(options)
    findings = [("study file", Finding(OK, f"{options.configfile}: study {study.study}"))]
    findings += [(name, finding) for name, check in CHECKS.items() for finding in check(study)]
    if not options.offline:
        findings += [("hub", finding) for finding in hub_checks.hub(study)]
    return findings


def answer(options: argparse.Namespace) -> int:
    """Print every finding; the exit code is 1 if there is a problem."""
    findings = _of_gpus() if options.gpu else _of_study(options)
    problems = sum(finding.state == PROBLEM for _, finding in findings)
    if options.json:
        print_json([{"check": name, "state": finding.state, "message": finding.text} for name, finding in findings])
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in range(3):
            table.add_column(overflow="fold")
        for name, finding in findings:
            table.add_row(Text(finding.state, style=_STYLES[finding.state]), name, Text(finding.text))
        console().print(table)
        console().print(
            f"\n{problems} problem{'' if problems == 1 else 's'}." if problems else "\nNothing is in the way."
        )
    return 1 if problems else 0
