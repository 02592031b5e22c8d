"""An adversarial scheduler: whatever happens to a study, it ends as a calm run of its last configuration does."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from histories import STAGES, Study, World, calm
from posologie.running.sealing import whole
from posologie.running.seals import read_seal, seal_path

HISTORIES = int(os.environ.get("POSOLOGIE_HISTORIES", "200"))

_CALM: dict[Study, dict[str, str]] = {}


class Histories(RuleBasedStateMachine):
    """Edits, submissions, kills and orphans in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="posologie-history-")
        self.before = Path.cwd()
        os.chdir(self.folder.name)
        self.world = World(Path(self.folder.name))
        self.saved = [self.world.study]
        self.were_whole: set[tuple[str, ...]] = set()

    @initialize(finished=st.booleans())
    def begin(self, finished: bool) -> None:
        if finished:
            self.world.settle()

    def teardown(self) -> None:
        """Let everything come to rest, and compare with a calm run."""
        try:
            self.world.settle()
            study = self.world.study
            if study not in _CALM:
                with tempfile.TemporaryDirectory(prefix="posologie-calm-") as folder:
                    _CALM[study] = calm(study, Path(folder) / "study")
            made, expected = self.world.contents(), _CALM[study]
            assert made == {file: expected[file] for file in made}
            assert "table.txt" in made, "what is asked for is there, whatever was deleted"
        finally:
            os.chdir(self.before)
            self.folder.cleanup()

    @rule(stage=st.integers(0, len(STAGES) - 1), value=st.integers(0, 2), code=st.booleans())
    def edit_setting_or_code(self, stage: int, value: int, code: bool) -> None:
        study = self.world.study
        values = list(study.code if code else study.settings)
        values[stage] = value
        changed = {"code" if code else "settings": tuple(values)}
        self.world.restore(Study(**{**study.__dict__, **changed}))
        self.saved.append(self.world.study)

    @rule(text=st.sampled_from(["source", "other source"]), prompt=st.booleans())
    def edit_input(self, text: str, prompt: bool) -> None:
        changed = {"prompt" if prompt else "source": text}
        self.world.restore(Study(**{**self.world.study.__dict__, **changed}))
        self.saved.append(self.world.study)

    @rule(back=st.integers(0, 5))
    def put_back(self, back: int) -> None:
        self.world.restore(self.saved[max(0, len(self.saved) - 1 - back)])

    @rule()
    def start_head(self) -> None:
        self.world.start_head()

    @precondition(lambda self: self.world.head is not None)
    @rule()
    def kill_head(self) -> None:
        self.world.kill_head()

    @precondition(lambda self: self.world.queue)
    @rule(which=st.integers(0, 9), steps=st.integers(1, 6))
    def job_goes_on(self, which: int, steps: int) -> None:
        job = self.world.queue[which % len(self.world.queue)]
        for _ in range(steps):
            if job in self.world.queue:
                self.world.advance(job)

    @precondition(lambda self: self.world.queue)
    @rule(which=st.integers(0, 9))
    def kill_job(self, which: int) -> None:
        self.world.kill(self.world.queue[which % len(self.world.queue)])

    @precondition(lambda self: self.world.queue)
    @rule(which=st.integers(0, 9), held=st.booleans())
    def hold_or_release(self, which: int, held: bool) -> None:
        self.world.queue[which % len(self.world.queue)].held = held

    @rule(stages=st.sets(st.integers(0, 2), min_size=1), seals=st.booleans())
    def delete_stages(self, stages: set[int], seals: bool) -> None:
        for job in self.world.plan(self.world.study).values():
            if STAGES.index(job.identity.module) in stages:
                self._delete(job.outputs, seals)

    @rule(which=st.integers(0, 9), seal=st.booleans())
    def delete_an_artifact(self, which: int, seal: bool) -> None:
        jobs = list(self.world.plan(self.world.study).values())
        self._delete(jobs[which % len(jobs)].outputs, seal)

    def _delete(self, outputs: tuple[str, ...], seal: bool) -> None:
        self.were_whole.discard(outputs)
        for path in (*outputs, *([seal_path(outputs)] if seal else [])):
            Path(path).unlink(missing_ok=True)

    @rule(which=st.integers(0, 9))
    def alter_an_artifact(self, which: int) -> None:
        jobs = list(self.world.plan(self.world.study).values())
        outputs = jobs[which % len(jobs)].outputs
        self.were_whole.discard(outputs)
        if Path(outputs[0]).exists():
            Path(outputs[0]).write_text("by hand")

    @invariant()
    def nothing_whole_is_ever_absent(self) -> None:
        whole_now = {job.outputs for job in self.world.plan(self.world.study).values() if is_whole(job.outputs)}
        assert self.were_whole <= whole_now, "what was whole is gone, and nobody deleted or altered it"
        self.were_whole = whole_now


def is_whole(outputs: tuple[str, ...]) -> bool:
    seal = read_seal(seal_path(outputs))
    return seal is not None and whole(seal)


TestHistories = pytest.mark.slow(Histories.TestCase)
TestHistories.settings = settings(
    max_examples=HISTORIES,
    stateful_step_count=25,
    deadline=None,
    phases=[Phase.generate],  # the shrinking of a history takes minutes; its steps are printed as they are
    derandomize=HISTORIES == 200,
    suppress_health_check=list(HealthCheck),
)


EDITS = {
    "setting of mixes": Study(settings=(1, 0, 0)),
    "setting of training": Study(settings=(0, 1, 0)),
    "code of mixes": Study(code=(1, 0, 0)),
    "code of training": Study(code=(0, 1, 0)),
    "source": Study(source="other source"),
    "nothing": Study(),
}


@pytest.mark.parametrize("seals", [False, True], ids=["files", "files and seals"])
@pytest.mark.parametrize("stages", [("mixes",), ("training",), ("mixes", "training")], ids=" and ".join)
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_reaches_the_table_also_where_what_it_changes_was_deleted(tmp_path, monkeypatch, edit, stages, seals):
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    world = World(tmp_path / "study")
    world.settle()
    before = Path("table.txt").stat().st_mtime_ns
    for job in world.plan(world.study).values():
        if job.identity.module in stages:
            for path in (*job.outputs, *([seal_path(job.outputs)] if seals else [])):
                Path(path).unlink()
    world.restore(EDITS[edit])
    world.settle()
    expected = calm(EDITS[edit], tmp_path / "calm")
    assert {file: expected[file] for file in world.contents()} == world.contents()
    assert (Path("table.txt").stat().st_mtime_ns == before) == (edit == "nothing")
