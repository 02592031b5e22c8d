import pytest
import yaml
from judging_made import ROOT

from posologie.code_digest import modules_behind
from posologie.judging.spec import Judge
from posologie.judging.verdicts import last_match

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


STAGES = ("judging", "generation.synthesis", "generation.translation", "generation.translation_quality")


@pytest.mark.parametrize("stage", STAGES)
def test_mending_one_backend_leaves_the_code_behind_the_others_alone(stage):
    backends = "posologie.generation.backends"
    local = modules_behind(f"posologie.{stage}.causal")
    remote = modules_behind(f"posologie.{stage}.openai_endpoint")
    assert f"{backends}.openai_endpoint" not in local
    assert f"{backends}.causal" not in remote
    assert f"{backends}.causal" in local
    assert f"{backends}.openai_endpoint" in remote


def test_the_last_verdict_counts():
    assert last_match("([01])", "0 at first sight, but then 1").group(1) == "1"
    assert last_match("([01])", "1, no: 0").start() == 7
    assert last_match("([01])", "neither") is None
