import pytest
import yaml
from judging_made import ROOT

from posologie.backends.interface import Failure, LabelStep, Reply
from posologie.judging.spec import Judge
from posologie.judging.verdicts import last_match, verdict
from posologie.running.code_digest import modules_behind

JUDGES = yaml.safe_load((ROOT / "resources" / "judges.yaml").read_text(encoding="utf-8"))


def test_the_judges_of_the_study_are_ready_entries():
    judges = {name: Judge.model_validate(entry) for name, entry in JUDGES.items()}
    kinds = {name: judge.backend.kind for name, judge in judges.items()}
    assert kinds.pop("smollm2") == "causal"
    assert sum(kind == "causal" for kind in kinds.values()) == 3
    assert sum(kind == "openai_endpoint" for kind in kinds.values()) == 4
    assert judges["gpt-5"].decoding.temperature is None


def test_the_reasoning_judge_is_read_after_its_reasoning():
    pattern = Judge.model_validate(JUDGES["huatuogpt-o1-72b"]).verdict
    assert last_match(pattern, "## Thinking\n1. La réponse\n\n## Final Response\n\n**0**").group(1) == "0"
    assert last_match(pattern, "## Thinking\n1") is None


STAGES = ("judging.command", "generation.synthesis", "generation.translation", "generation.translation_quality")


@pytest.mark.parametrize("stage", STAGES)
def test_mending_one_backend_leaves_the_code_behind_the_others_alone(stage):
    backends = "posologie.backends"
    local = modules_behind(f"posologie.{stage}+{backends}.causal")
    remote = modules_behind(f"posologie.{stage}+{backends}.openai_endpoint")
    assert f"{backends}.openai_endpoint" not in local
    assert f"{backends}.causal" not in remote
    assert f"{backends}.causal" in local
    assert f"{backends}.openai_endpoint" in remote


def test_the_last_verdict_counts():
    assert last_match("([01])", "0 at first sight, but then 1").group(1) == "1"
    assert last_match("([01])", "1, no: 0").start() == 7
    assert last_match("([01])", "neither") is None


def test_a_verdict_without_probabilities_has_none_and_every_row_has_all_columns():
    judge = Judge(backend={"kind": "openai_endpoint", "model": "m"}, verdict="([01])$", probability_at="verdict")
    bare = verdict(Reply("1", "stop", 9, 1), judge, "hash")
    assert (bare["label"], bare["probability"], bare["label_mass"]) == (1, None, None)
    failed = verdict(Failure("status 500"), judge, "hash")
    assert {"label", "probability", "label_mass", "outcome"} <= failed.keys()
    assert (failed["label_mass"], failed["outcome"]) == (None, "failed")


def test_a_step_counts_only_if_nothing_but_blanks_stands_between_it_and_the_verdict():
    judge = Judge(backend={"kind": "openai_endpoint", "model": "m"}, verdict="([01])$", probability_at="verdict")
    early, late = LabelStep(0, (0.9, 0.1), 0.5), LabelStep(9, (0.3, 0.7), 0.6)
    text = "0 or what 1"
    assert verdict(Reply(text, "stop", 9, 1, (early, late)), judge, "hash")["probability"] == 0.7
    assert verdict(Reply(text, "stop", 9, 1, (early,)), judge, "hash")["probability"] is None
    behind = LabelStep(11, (0.6, 0.4), 0.6)
    assert verdict(Reply(text, "stop", 9, 1, (late, behind)), judge, "hash")["probability"] == 0.7
