"""A checkpoint is whole or absent, and belongs to one spec, input and code."""

import pytest
import torch
from training_made import an_update

from posologie.training import checkpoints
from posologie.training.checkpoints import Checkpoint, checkpoint_key


def after(steps, value=0.0, best=False):
    history = [an_update(n + 1, 2.0 - n / 10) for n in range(steps)]
    tensors = {"weight/a": torch.full((3, 2), value), "step/a": torch.tensor(float(steps))}
    return Checkpoint(history, tensors, {"a": torch.ones(2)} if best else {}, {"gpu_energy_joules": 12.5})


def test_what_is_loaded_is_what_was_saved(tmp_path):
    assert checkpoints.load(tmp_path) is None
    checkpoints.save(tmp_path, after(3, 1.5, best=True))
    loaded = checkpoints.load(tmp_path)
    assert loaded.history == after(3).history
    assert torch.equal(loaded.tensors["weight/a"], torch.full((3, 2), 1.5))
    assert torch.equal(loaded.best["a"], torch.ones(2))
    assert loaded.facts == {"gpu_energy_joules": 12.5}


def test_the_last_two_are_kept_and_the_latest_is_loaded(tmp_path):
    for steps in (1, 2, 30, 4):
        checkpoints.save(tmp_path, after(steps))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004", "step-00000030"]
    assert len(checkpoints.load(tmp_path).history) == 30


@pytest.mark.parametrize("file", ["state.safetensors", "history.parquet", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["cut", "missing", "altered"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, file, damage):
    checkpoints.save(tmp_path, after(1, 1.0))
    checkpoints.save(tmp_path, after(2, 2.0))
    path = tmp_path / "step-00000002" / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else content[:-3] + b"xyz")
    loaded = checkpoints.load(tmp_path)
    assert float(loaded.tensors["weight/a"][0, 0]) == 1.0


def test_a_half_written_checkpoint_is_not_seen(tmp_path):
    checkpoints.save(tmp_path, after(1))
    (tmp_path / "step-00000001").rename(tmp_path / ".step-00000001.partial")
    assert checkpoints.load(tmp_path) is None
    checkpoints.save(tmp_path, after(1))
    assert checkpoints.load(tmp_path) is not None


def test_any_other_part_gives_another_key():
    keys = {checkpoint_key(*parts) for parts in (("a", "b"), ("a", "c"), ("ab", ""), ("", "ab"), ("b", "a"))}
    assert len(keys) == 5


def test_removing_is_done_at_once_so_that_a_kill_leaves_no_part_to_resume(tmp_path, monkeypatch):
    folder = tmp_path / "key"
    checkpoints.save(folder, after(1))
    monkeypatch.setattr(checkpoints.shutil, "rmtree", lambda *args, **kwargs: None)  # killed before it was done
    checkpoints.remove(folder)
    assert not folder.exists()
    assert checkpoints.load(folder) is None
    monkeypatch.undo()
    checkpoints.save(folder, after(1))
    checkpoints.remove(folder)
    assert list(tmp_path.iterdir()) == []
