"""Published models in the place of training, and what is released, as the configuration asks for it."""

import pytest
import yaml

from posologie.config import job_specs, merging, plan
from posologie.config.load import load_study
from posologie.running.errors import InputError

STUDY = {
    "study": "mine",
    "sources": {"native": {"provenance": "native", "hub": "owner/data"}},
    "suites": {"mcqa": {"benchmarks": {"native": {"source": "native"}}}},
    "mixes": {"NAT": {"shares": {"native": 1}, "size": 10}, "SYN": {"shares": {"native": 1}, "size": 5}},
    "backbones": {"b": {"hub": "owner/model"}},
}
MERGED = {"model": {"hub": "owner/QWEN-4B-NAT"}}


@pytest.fixture
def study(tmp_path):
    """A function that reads a study with some sections changed."""

    def read(**sections):
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump({**STUDY, **sections}), encoding="utf-8")
        return load_study(path)

    return read


def test_models_are_worked_out_once_for_a_study_and_anew_for_another(study):
    first, other = study(), study(published_models={"nat": MERGED})
    assert plan.models(first) is plan.models(first)
    assert set(plan.models(other)) - set(plan.models(first)) == {"published/nat"}
    assert "published/nat" not in plan.models(first)


def test_a_published_model_takes_the_place_of_a_trained_one(study):
    own = study(published_models={"nat": {**MERGED, "in_place_of": "b/NAT/seed-42"}})
    models = plan.models(own)
    assert list(models) == ["b/base", "b/NAT/seed-42", "b/SYN/seed-42"]
    nat = models["b/NAT/seed-42"]
    assert (nat.kind, nat.mix, nat.seed, nat.published, nat.trained) == ("mix", "NAT", 42, "nat", False)
    assert [model.id for model in merging.trained_models(own)] == ["b/SYN/seed-42"]
    evaluated = {model.name: model for model in plan.evaluated_models(own)}
    assert evaluated["b/NAT/seed-42"].kind == "mix"
    assert evaluated["b/NAT/seed-42"].published
    assert not evaluated["b/SYN/seed-42"].published


def test_without_a_place_to_take_it_is_evaluated_beside(study):
    models = plan.models(study(published_models={"nat": MERGED}))
    assert list(models)[-1] == "published/nat"
    assert models["published/nat"].kind == "published"
    assert models["b/NAT/seed-42"].trained


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"in_place_of": "b/NAT/seed-1"}, "in_place_of = 'b/NAT/seed-1': expected one of b/NAT/seed-42, b/SYN/seed-42"),
        ({"in_place_of": "b/base"}, "in_place_of = 'b/base': expected one of"),
        ({"in_place_of": "b/NAT/seed-42", "mix": "SYN"}, "nat.mix = 'SYN': expected NAT"),
    ],
)
def test_a_place_that_there_is_not_is_refused(study, sections, expected):
    with pytest.raises(InputError, match=r"published_models\.nat") as caught:
        study(published_models={"nat": {**MERGED, **sections}})
    assert expected in str(caught.value)


def test_two_models_in_one_place_and_an_adapter_of_another_backbone_are_refused(study):
    place = {**MERGED, "in_place_of": "b/NAT/seed-42"}
    with pytest.raises(InputError, match="already takes it"):
        study(published_models={"one": place, "two": place})
    backbones = {"b": {"hub": "owner/model"}, "c": {"hub": "owner/other"}}
    with pytest.raises(InputError, match="adapter_on = 'c': expected b"):
        study(backbones=backbones, published_models={"one": {**place, "adapter_on": "c"}})


def test_every_trained_model_is_released_in_both_forms_unless_less_is_asked_for(study):
    def names(**release):
        return [(model.id, form) for model, form in merging.released(study(release=release))]

    assert names() == [(f"b/{mix}/seed-42", form) for mix in ("NAT", "SYN") for form in ("adapter", "merged")]
    assert names(models=["b/SYN/seed-42"], forms=["merged"]) == [("b/SYN/seed-42", "merged")]


def test_a_fully_trained_model_is_released_whole(study):
    full = {"recipe": {"method": "full"}}
    assert {form for _, form in merging.released(study(training=full))} == {"merged"}
    with pytest.raises(InputError, match=r"release.forms = \[adapter\]"):
        study(training=full, release={"forms": ["adapter"]})


def test_each_push_has_its_own_repository_and_names_the_backbones(study):
    own = study(release={"repository": "me/{study}-{backbone}-{mix}-{seed}-{form}", "private": False})
    [first, *_] = [merging.push_spec(own, model, form) for model, form in merging.released(own)]
    assert first.repository == "me/mine-b-NAT-42-adapter"
    assert first.base == "owner/model"
    assert not first.private


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ({"models": ["b/NAT/seed-1"]}, "release.models = 'b/NAT/seed-1': expected one of b/NAT/seed-42"),
        ({"repository": "me/{mix}"}, "expected one repository for each"),
        ({"repository": "me/{mixx}"}, "expected `owner/name` on the hub, in which {study}"),
        ({"repository": "no-owner-{mix}"}, "expected `owner/name` on the hub, in which {study}"),
        ({"forms": []}, "release.forms"),
    ],
)
def test_a_release_that_cannot_be_is_refused_before_any_job(study, release, expected):
    with pytest.raises(InputError, match="release") as caught:
        study(release=release)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("release", "declared", "expected"),
    [({}, None, ()), ({}, "de", ("de",)), ({"language": "fr"}, "de", ("fr",))],
)
def test_a_card_has_the_language_of_the_release_or_of_the_training_sources(study, release, declared, expected):
    native = STUDY["sources"]["native"] | ({"language": declared} if declared else {})
    made = study(sources={"native": native}, release={**release, "tags": ["law"], "limits": ["Not legal advice."]})
    spec = merging.card_spec(made, merging.trained_models(made)[0], "adapter")
    assert (spec.languages, spec.tags, spec.limits) == (expected, ("law",), ("Not legal advice.",))


def test_everything_that_asks_a_backbone_puts_chats_to_it_in_one_form(study):
    chat = {"template_options": {"enable_thinking": True}, "thinking": True}
    judge = {"backend": {"kind": "causal", "backbone": "b"}}
    own = {"backend": {"kind": "causal", "backbone": "b", "thinking": False}}
    served = study(backbones={"b": {"hub": "owner/model", "chat": chat}}, judges={"same": judge, "other": own})
    form = served.backbones["b"].chat
    assert job_specs.training_spec(served, "b", "NAT", 42).chat == form
    assert job_specs.prediction_spec(served, "b/NAT/seed-42", "mcqa").chat == form
    judged = {name: job_specs.judging_spec(served, name, "b/base", "mcqa").judge.backend for name in ("same", "other")}
    assert (judged["same"].thinking, judged["same"].template_options) == (True, {"enable_thinking": True})
    assert (judged["other"].thinking, judged["other"].template_options) == (False, {})
    assert served.backbones["b"].folder_name() == study().backbones["b"].folder_name()


def test_the_item_browser_knows_which_models_were_sent_the_same_prompts(study, tmp_path):
    (tmp_path / "answers.csv").write_text("question,answer\n")
    own = study(
        published_models={
            "nat": {**MERGED, "in_place_of": "b/NAT/seed-42"},
            "served": {
                "served": {"backend": {"kind": "openai_endpoint", "url": "http://localhost:1/v1", "model": "m"}}
            },
            "recorded": {"answers": {"files": [str(tmp_path / "answers.csv")], "question": "question"}},
        }
    )
    spec = job_specs.browser_spec(own)
    forms = {form.backbone: form.models for form in spec.forms}
    assert forms == {
        "owner--model@main": ("b/base", "b/SYN/seed-42"),
        "owner--QWEN-4B-NAT@main": ("b/NAT/seed-42",),
        "": ("published/served",),
    }, "what was sent for answers from files is not known"
    assert spec.mixes == {"NAT": (42,), "SYN": (42,)}
    assert spec.prompting == own.prompting
