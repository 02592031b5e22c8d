"""What `posologie check` says of languages: what a study's language lacks, and whether its items are in it."""

import importlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from posologie.cli.checks import OK, WARNING, Finding
from posologie.config import job_specs, plan
from posologie.config.language import settings_of, study_language
from posologie.config.study import Study
from posologie.errors import InputError
from posologie.items import Item
from posologie.languages import GENERAL, known_languages, language_of, macrolanguage
from posologie.sources.drafts import finished
from posologie.sources.layouts import local_files
from posologie.sources.rejection import Elsewhere, Rejected
from posologie.sources.shards import Place, read_plainly

_RECORDS = 200
"""Records of a source that are looked at: the first ones of its first split."""
_LETTERS = 20
_OTHERS = 0.5
"""Share of the items that look like another language from which a source is warned of: single ones err often."""
_DOWNLOADED = ("spm", "flores101", "flores200", "spBLEU-1K")


def languages(study: Study) -> Iterator[Finding]:
    """Say what the study's language lacks, and compare the declared languages with those of the items."""
    found = {name: _found(study, name) for name in study.sources}
    yield from _of_study(study, sum(found.values(), Counter()))
    for name, source in study.sources.items():
        counted = found[name]
        if not counted or source.language is None:
            continue
        if source.language not in known_languages():
            yield Finding(WARNING, f"sources.{name}.language = '{source.language}': no language that can be told")
            continue
        others = counted.total() - counted[macrolanguage(source.language)]
        told = f"{others} of {counted.total()} items"
        if others > _OTHERS * counted.total():
            most = max(counted, key=lambda code: (counted[code], code))
            said = (
                f"look like '{most}' and not like '{source.language}', which is declared; set sources.{name}.language"
            )
            yield Finding(WARNING, f"sources.{name}: {told} {said}")
        else:
            yield Finding(OK, f"sources.{name}: '{source.language}' is declared; {told} look like another language")
    tokenizer = study.scoring.text.bleu_tokenizer
    if tokenizer in _DOWNLOADED and plan.open_suites(study):
        told = "sacreBLEU fetches its model at the first use; score once where there is a network"
        yield Finding(WARNING, f"scoring.text.bleu_tokenizer = '{tokenizer}': {told}")


def _of_study(study: Study, found: Counter[str]) -> Iterator[Finding]:
    """Say in one line what a study takes from the general settings, for want of a language or of its file."""
    code = study_language(study)
    settings = settings_of(code)
    if settings.described:
        yield Finding(OK, f"language '{code}': resources/languages/{code}.yaml")
        return
    lacking = "English prompt lines and prompts, no stemmer, no phrases of position-dependent options"
    if code is not None:
        told = f"language '{code}': resources/languages/{code}.yaml is missing, so that general.yaml holds: {lacking}"
        if settings.primary_text == "chrf":
            told += "; words cannot be told, so that chrF is the primary metric of open answers"
        yield Finding(WARNING, f"{told}; write the file, or the settings into the study")
    elif study.sources:
        guess = max(found, key=lambda one: (found[one], one), default=None)
        like = f"`language: {guess}`, the language that most items look like" if guess else "such as `language: es`"
        yield Finding(WARNING, f"language: missing, so that {GENERAL} holds: {lacking}; add one, {like}")


def _found(study: Study, name: str) -> Counter[str]:
    """Return how many of a source's first items are in each language, where its files are on this machine."""
    told = (language_of(_text(item), _LETTERS) for item in _first_items(study, name))
    return Counter(code for code in told if code is not None)


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
