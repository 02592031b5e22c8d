"""`language:` of a study, and of a source where it differs, sets what depends on it and is left out."""

import pytest
import yaml
from study_files import STUDY, refusal, study_file  # noqa: F401

from posologie.config import job_specs
from posologie.config.language import settings_of
from posologie.config.load import load_study
from posologie.language.languages import described_languages
from posologie.records.prompting import Prompting
from posologie.scoring.spec import TextMetrics

BACKEND = {"kind": "openai_endpoint", "model": "m", "url": "http://localhost"}
ASKED = {
    "judges": {"j": {"backend": BACKEND}},
    "generators": {"g": {"backend": BACKEND, "tasks": {"mcqu": 1}}},
    "translators": {"t": {"backend": BACKEND, "sources": ["english"]}},
    "screening": {"quality": {"judge": "j", "threshold": 3}},
}
SOURCES = {
    "native": {"component": "native", "hub": "owner/data"},
    "english": {"component": "translated", "hub": "owner/english", "mixed": False},
    "translated": {"component": "translated", "from": "translated/t/english"},
    "originals": {"component": "translated", "hub": "owner/originals", "compared": True},
}


def test_a_spanish_study_says_spanish_once(write):
    study = load_study(write(language="es", sources=SOURCES, **ASKED))
    assert study.prompting.choices_line == "Opciones de respuesta:"
    assert study.prompting.context_line == "\n\nContexto: {context}"
    assert study.scoring.text == TextMetrics(words="unicode", bleu_tokenizer="13a", stemmer="spanish")
    assert study.report.language == "es"
    assert study.judges["j"].prompt == "resources/prompts/es/judging/equivalence.md"
    assert study.screening.quality.rating.prompt == "resources/prompts/es/quality/item.md"
    assert (study.generators["g"].language, study.generators["g"].prompts) == ("es", "resources/prompts/es/synthesis")
    translator = study.translators["t"]
    assert (translator.target_language, translator.prompt) == ("es", "resources/prompts/es/translation/item.md")
    assert translator.text_prompt == "resources/prompts/es/translation/text.md"
    spoken = {name: source.language for name, source in study.sources.items()}
    assert spoken == {"native": "es", "english": "en", "translated": "es", "originals": None}


def test_parallel_text_is_into_the_studys_language_unless_it_says_another(write):
    described = {"reader": "wmt_biomedical", "hub": "owner/parallel", "files": ["*.txt"]}
    collections = {"p": described, "q": {**described, "options": {"target_language": "de"}}}
    read = load_study(write(language="es", collections=collections)).collections
    assert [read[name].options for name in ("p", "q")] == [{"target_language": "es"}, {"target_language": "de"}]


def test_what_a_study_says_itself_counts(write):
    study = load_study(
        write(
            language="de",
            prompting={"choices_line": "Optionen:"},
            scoring={"text": {"stemmer": "none"}},
            report={"language": "nl"},
            statistics={"primary_text": {"metric": "bleu"}},
        )
    )
    assert (study.prompting.choices_line, study.prompting.context_line) == ("Optionen:", "\n\nKontext: {context}")
    assert study.scoring.text == TextMetrics(words="unicode", bleu_tokenizer="13a", stemmer="none")
    assert study.report.language == "nl"
    assert study.statistics.primary_text.metric == "bleu"


def test_a_source_in_another_language_is_asked_and_scored_in_its_own(write):
    sources = {"native": SOURCES["native"], "english": {**SOURCES["english"], "language": "en", "mixed": True}}
    suites = {
        "own": {"benchmarks": {"native": {"source": "native"}}},
        "both": {"benchmarks": {"native": {"source": "native"}, "english": {"source": "english"}}},
    }
    study = load_study(write(language="zh", sources=sources, suites=suites))
    assert study.scoring.text.bleu_tokenizer == "zh"
    assert job_specs.scoring_spec(study, "own").sources == {}
    spec = job_specs.scoring_spec(study, "both")
    assert spec.sources == {"english": TextMetrics(stemmer="english")}
    assert spec.text_of("english").stemmer == "english"
    assert spec.text_of("native") == study.scoring.text
    english = {"english": {"choices_line": "Answer choices:", "context_line": "\n\nContext: {context}"}}
    asked = job_specs.prediction_spec(study, "b/base", "both").model_dump(mode="json")["prompting"]
    assert (asked["choices_line"], asked["sources"]) == ("选项：", english)
    assert "sources" not in job_specs.prediction_spec(study, "b/base", "own").model_dump(mode="json")["prompting"]
    trained = job_specs.training_spec(study, "b", "NAT", 42).model_dump(mode="json")["prompting"]
    assert "sources" not in trained, "the mix holds no item of the other source"


def test_the_published_study_has_the_published_prompt_and_metrics(write):
    study = load_study("config/config.yaml")
    assert study.prompting == Prompting(), "its defaults are the published prompt"
    text = job_specs.scoring_spec(study, "oeq").model_dump(mode="json")["text"]
    assert text == {"bleu_tokenizer": "13a", "stemmer": "french", "wordnet": None}
    assert study.statistics.primary_text.metric == "rouge2"


def test_without_a_language_nothing_is_french(write):
    study = load_study(write(**ASKED | {"generators": {}, "translators": {}}))
    assert study.language is None
    assert study.prompting.choices_line == "Answer choices:"
    assert study.scoring.text == TextMetrics(words="unicode", stemmer="none")
    assert study.report.language == "und"
    assert study.judges["j"].prompt == "resources/prompts/en/judging/equivalence.md"
    refused = refusal(write(**ASKED))
    assert "generators.g.language: missing, and the study has no language; set one of the two" in refused
    refused = refusal(write(**ASKED | {"generators": {}}))
    assert "translators.t.target_language: missing, and the study has no language; set one of the two" in refused


def test_the_language_that_all_sources_declare_is_the_studys(write):
    declared = {"native": {**SOURCES["native"], "language": "it"}}
    assert load_study(write(sources=declared)).language == "it"
    original = {**SOURCES["english"], "language": "en"}
    assert load_study(write(sources={**declared, "original": original})).language == "it"
    both = {**declared, "other": {**SOURCES["native"], "language": "de"}}
    assert load_study(write(sources=both)).language is None


def test_a_language_without_a_file_takes_safe_general_settings():
    thai, persian, polish = (settings_of(code) for code in ("th", "fa", "pl"))
    assert (thai.primary_text, thai.scoring.bleu_tokenizer, thai.described) == ("chrf", "char", False)
    assert (persian.direction, persian.decimal_mark) == ("rtl", ".")
    assert (polish.primary_text, polish.direction, polish.decimal_mark) == ("rouge2", "ltr", ",")
    assert thai.scoring.words == polish.scoring.words == "unicode"
    assert [settings_of(code).primary_text for code in ("zh", "ja", None)] == ["rouge2"] * 3


def test_a_file_of_a_language_that_does_not_fit_is_named(write, tmp_path, monkeypatch):
    folder = tmp_path / "resources/languages"
    folder.mkdir(parents=True)
    (folder / "tlh.yaml").write_text(yaml.safe_dump({"name": "Klingon", "scoring": {"stemmer": "klingon"}}))
    monkeypatch.chdir(tmp_path)
    assert "resources/languages/tlh.yaml: scoring.stemmer = 'klingon': expected" in refusal(write(language="tlh"))


def test_a_misspelt_key_of_a_languages_file_is_named(write, tmp_path, monkeypatch):
    folder = tmp_path / "resources/languages"
    folder.mkdir(parents=True)
    (folder / "tlh.yaml").write_text("name: Klingon\npromptin: {choices_line: 'x', context_line: 'y {context}'}\n")
    monkeypatch.chdir(tmp_path)
    message = "resources/languages/tlh.yaml: unknown key 'promptin'; did you mean 'prompting'?"
    assert message in refusal(write(language="tlh"))


def test_the_keys_of_the_languages_that_ship_are_known():
    for code in described_languages():
        settings_of(code)


@pytest.mark.parametrize(("key", "name"), [("bleu_tokenizer", "ja-mecab"), ("words", "ko-mecab")])
def test_a_tokenizer_without_its_packages_is_one_line_when_the_study_is_read(write, key, name):
    assert f"scoring.text.{key} = '{name}': needs" in refusal(write(scoring={"text": {key: name}}))


def test_metrics_of_a_source_that_is_none_are_refused(write):
    assert "scoring.sources = 'latin': expected one of native" in refusal(write(scoring={"sources": {"latin": {}}}))
    lines = {"latin": {"choices_line": "x", "context_line": "{context}"}}
    assert "prompting.sources = 'latin': expected one of native" in refusal(write(prompting={"sources": lines}))


def test_a_generator_in_a_language_without_prompts_is_refused_and_takes_its_own(write, tmp_path):
    generators = {"g": {"backend": BACKEND, "tasks": {"mcqu": 1}}}
    refused = refusal(write(language="nl", generators=generators))
    assert "generators.g.language = 'nl': no prompts in this language ship; write some, named in prompts" in refused
    own = {"g": {**generators["g"], "prompts": str(tmp_path)}}
    assert load_study(write(language="nl", generators=own)).generators["g"].language == "nl"
    assert "'gsw': expected a code of two letters" in refusal(write(language="gsw", generators=own))
    translators = {"t": {"backend": BACKEND, "target_language": "ru"}}
    assert "translators.t.target_language = 'ru': no prompts" in refusal(write(translators=translators))
