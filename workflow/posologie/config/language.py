"""What the language of a study sets: how words are counted, the lines of the prompts, the prompt files, the report.

What a study file says itself always counts; the language fills in what it leaves out. The values are data:
`resources/languages/{code}.yaml`, and `general.yaml` for a language without a file.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from posologie.config.study import Scoring, Study
from posologie.generation.spec import Generator, Translator
from posologie.judging.spec import Judge
from posologie.language.languages import GENERAL, decimal_mark, general_data, language_data
from posologie.records.prompting import Lines, Prompting
from posologie.records.specs import Spec, first_problem
from posologie.report.spec import Report
from posologie.running.errors import InputError
from posologie.running.installed import shipped
from posologie.scoring.spec import TextMetrics
from posologie.screening.spec import Rating
from posologie.sources.layouts import PARALLEL
from posologie.sources.spec import Collection
from posologie.statistics.spec import Measured, Statistics

UNDECLARED = "und"
"""The code of a text whose language is not said (ISO 639-2), for the report."""

_Section = TypeVar("_Section", bound=BaseModel)


FILLED = {
    Prompting: ("choices_line", "context_line"),
    TextMetrics: ("words", "normalization", "bleu_tokenizer", "stemmer"),
    Statistics: ("primary_text",),
    Report: ("language",),
    Rating: ("prompt",),
    Judge: ("prompt",),
    Generator: ("language", "prompts"),
    Translator: ("target_language", "prompt", "text_prompt"),
}
"""The fields of each section that a study's language sets if they are left out."""


class Language(Spec):
    """What a study's settings take from the file of its language."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(description="the language's English name")
    direction: Literal["ltr", "rtl"] = Field(default="ltr", description="in which direction its texts are written")
    decimal_mark: Literal[",", "."] = Field(default=".", description="what stands between units and tenths")
    primary_text: str = Field(default="rouge2", description="the primary metric of open answers")
    scoring: TextMetrics = Field(default=TextMetrics(), description="how open answers are compared")
    prompting: Lines = Field(description="the lines of a question's layout")
    described: bool = Field(default=True, description="whether the language has a file of its own")


KEYS = (
    *(name for name in Language.model_fields if name != "described"),
    *("answers", "position_dependent", "refers_to_text", "speaks_of_itself", "polarity", "concepts", "exception"),
    *("negation", "negation_continued", "negation_idioms", "negation_like"),
    *("units", "per", "cardinals", "number_words", "number_prefix"),
)
"""Keys of a language's file; the shipped files explain each."""


def settings_of(code: str | None) -> Language:
    """Return what a language sets; the general settings for one without a file, and for None.

    Raises:
        InputError: naming the file and the key that does not fit.
    """
    general = general_data()
    own = dict(language_data(code)) if code is not None else {}
    if unknown := [name for name in own if name not in KEYS]:
        close = difflib.get_close_matches(str(unknown[0]), KEYS, 1)
        hint = f"did you mean '{close[0]}'?" if close else f"choose one of {', '.join(KEYS)}"
        raise InputError(f"resources/languages/{code}.yaml: unknown key '{unknown[0]}'; {hint}")
    values = {name: general[name] for name in Language.model_fields if name in general}
    if code is not None:
        values |= {"name": f"'{code}'", "direction": "rtl" if code in general["right_to_left"] else "ltr"}
        values["decimal_mark"] = decimal_mark(code)
        if code in general["without_spaces"]:
            values |= {"primary_text": "chrf", "scoring": {**values["scoring"], "bleu_tokenizer": "char"}}
    values |= {name: own[name] for name in Language.model_fields if name in own}
    try:
        return Language.model_validate({**values, "described": bool(own)})
    except ValidationError as error:
        place = f"{code}.yaml" if own else GENERAL
        raise InputError(f"resources/languages/{place}: {first_problem(error)}") from error


def prompt_file(code: str | None, name: str) -> str:
    """Return the path of a prompt in a language, in English where the language has none of this name.

    Args:
        name: path below the language's folder, such as `judging/equivalence.md`.
    """
    path = f"resources/prompts/{code}/{name}"
    return path if code is not None and is_there(path) else f"resources/prompts/en/{name}"


def is_there(path: str) -> bool:
    """Return whether a file or folder is one of the study, or ships with this project under the same name."""
    return Path(shipped(path)).exists()


def with_language(study: Study) -> Study:
    """Return the study with everything that depends on its language, where its file leaves it out.

    Raises:
        InputError: if the file of a language does not fit.
    """
    study = _with_languages_of_sources(study)
    code = study_language(study)
    settings = settings_of(code)
    statistics = study.statistics
    if "primary_text" not in statistics.model_fields_set:
        measured = Measured(metric=settings.primary_text)
        statistics = statistics.model_copy(update={"primary_text": measured})
    quality = study.screening.quality
    if quality is not None:
        rating = _filled(quality.rating, prompt=prompt_file(code, "quality/item.md"))
        quality = quality.model_copy(update={"rating": rating})
    return study.model_copy(
        update={
            "language": code,
            "prompting": _prompting(study, code),
            "scoring": _scoring(study, code),
            "statistics": statistics,
            "screening": study.screening.model_copy(update={"quality": quality}),
            "report": _filled(study.report, language=code or UNDECLARED),
            "judges": {
                name: _filled(judge, prompt=prompt_file(code, "judging/equivalence.md"))
                for name, judge in study.judges.items()
            },
            "collections": {name: _parallel(collection, code) for name, collection in study.collections.items()},
            **_makers(study, code),
        }
    )


def _parallel(collection: Collection, code: str | None) -> Collection:
    """Return a collection; parallel text that does not say which language it translates into has the study's."""
    if collection.reader not in PARALLEL or "target_language" in collection.options or code is None:
        return collection
    return collection.model_copy(update={"options": {**collection.options, "target_language": code}})


def study_language(study: Study) -> str | None:
    """Return the language of a study: the one it declares, or the only one that its own sources declare."""
    if study.language is not None:
        return study.language
    declared = {source.language for source in study.sources.values() if source.mixed and not source.compared}
    return declared.pop() if len(declared) == 1 else None


def _with_languages_of_sources(study: Study) -> Study:
    """Return the study with the language of each source: its own, that of who makes it, or the study's.

    Originals that a translator reads are in the language that it translates from. Of a source that is only compared
    with, nothing is known unless it says so: it is most often the original of a translation.
    """
    known: dict[str, str] = {}
    for translator in study.translators.values():
        known |= dict.fromkeys(translator.sources, translator.source_language)
    sources = {}
    for name, source in study.sources.items():
        kind, _, rest = (source.made or "").partition("/")
        maker = rest.partition("/")[0]
        code = known.get(name, None if source.compared else study.language)
        if kind == "generated" and maker in study.generators:
            code = _stated(study.generators[maker]).get("language", code)
        if kind == "translated" and maker in study.translators:
            code = _stated(study.translators[maker]).get("target_language", code)
        sources[name] = source if source.language is not None or code is None else _filled(source, language=code)
    return study.model_copy(update={"sources": sources})


def prompting_of(study: Study, sources: Iterable[str]) -> Prompting:
    """Return how the items of some sources are put to a model: no more than changes what these are asked."""
    own = {name: lines for name, lines in study.prompting.sources.items() if name in set(sources)}
    return study.prompting.model_copy(update={"sources": own})


def in_other_languages(study: Study, code: str | None) -> dict[str, str]:
    """Return the language of each source that is known to be in another."""
    spoken = {name: source.language for name, source in study.sources.items()}
    return {name: own for name, own in spoken.items() if own is not None and own != code}


def declared_languages(study: Study, sources: Iterable[str], suites: Iterable[str]) -> dict[str, str]:
    """Return the language of each source that declares one, among those that are compared in a search for test items.

    Args:
        study: the study.
        sources: whose items are screened, and those before it.
        suites: whose items must not be trained on.
    """
    suites = list(suites)
    tested = [benchmark.source for suite in suites for benchmark in study.suites[suite].benchmarks.values()]
    originals = [name for name, source in study.sources.items() if source.compared] if suites else []
    spoken = {name: study.sources[name].language for name in {*sources, *tested, *originals}}
    return {name: code for name, code in sorted(spoken.items()) if code is not None}


def _prompting(study: Study, code: str | None) -> Prompting:
    """Return how items are put to a model: in the language of the study, and of the sources in another."""
    prompting = study.prompting
    sources = {name: settings_of(own).prompting for name, own in in_other_languages(study, code).items()}
    filled = {
        **settings_of(code).prompting.model_dump(),
        **_stated(prompting),
        "sources": {**sources, **prompting.sources},
    }
    return Prompting.model_validate(filled)


def _scoring(study: Study, code: str | None) -> Scoring:
    """Return how open answers are scored: by the language of the study, and of the sources in another."""
    settings = _stated(study.scoring.text)
    spoken = in_other_languages(study, code)
    sources = {
        name: TextMetrics.model_validate(
            {**dict(settings_of(spoken.get(name, code)).scoring), **({} if name in spoken else settings), **own}
        )
        for name in (*spoken, *study.scoring.sources)
        for own in [_stated(study.scoring.sources[name]) if name in study.scoring.sources else {}]
    }
    text = TextMetrics.model_validate({**dict(settings_of(code).scoring), **settings})
    differing = {name: own for name, own in sources.items() if own != text or name in study.scoring.sources}
    return study.scoring.model_copy(update={"text": text, "sources": differing})


def _makers(study: Study, code: str | None) -> dict[str, Any]:
    """Return the generators and translators of a study, which write in its language where they do not say another.

    Raises:
        InputError: if nothing says in which language one writes, or no prompt ships in that language and none is given.
    """
    generators, translators = {}, {}
    for name, generator in study.generators.items():
        writes = _written(f"generators.{name}.language", generator, code)
        prompts = {"prompts": prompt_file(writes, "synthesis")}
        generators[name] = _filled(generator, language=writes, **prompts)
        _check_prompts(f"generators.{name}.language", generator, writes, prompts)
    for name, translator in study.translators.items():
        writes = _written(f"translators.{name}.target_language", translator, code)
        prompts = {"prompt": prompt_file(writes, "translation/item.md")}
        texts = {"text_prompt": prompt_file(writes, "translation/text.md")}
        translators[name] = _filled(translator, target_language=writes, **prompts, **texts)
        if translator.backend.kind != "seq2seq":
            _check_prompts(f"translators.{name}.target_language", translator, writes, prompts)
    return {"generators": generators, "translators": translators}


def _written(key: str, maker: BaseModel, code: str | None) -> str:
    """Return the language in which a maker writes: its own, or else the study's."""
    writes = _stated(maker).get(key.rpartition(".")[2], code)
    if writes is None:
        raise InputError(f"{key}: missing, and the study has no language; set one of the two")
    if len(writes) != 2:
        raise InputError(f"{key} = '{writes}': expected a code of two letters, for which texts can be checked")
    return str(writes)


def _check_prompts(key: str, maker: BaseModel, writes: str, prompts: dict[str, str]) -> None:
    for name, path in prompts.items():
        if name not in maker.model_fields_set and not path.startswith(f"resources/prompts/{writes}/"):
            raise InputError(f"{key} = '{writes}': no prompts in this language ship; write some, named in {name}")


def _stated(section: BaseModel) -> dict[str, Any]:
    """Return what a study file itself says of a section."""
    return {name: getattr(section, name) for name in section.model_fields_set}


def _filled(section: _Section, **values: Any) -> _Section:
    """Return a section with the values of those fields that the study file leaves out."""
    left_out = {name: value for name, value in values.items() if name not in section.model_fields_set}
    return section.model_copy(update=left_out)
