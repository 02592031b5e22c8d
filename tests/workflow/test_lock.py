import re


def test_the_lock_pins_exact_public_versions(repository):
    lines = (repository / "envs/requirements.lock").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 50
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!]*", line), (
            f"{line}: expected NAME==VERSION, no local tag"
        )
    assert "torch==2.13.0" in lines


def test_the_lock_holds_everything_that_is_asked_for(repository):
    locked = {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
        for line in (repository / "envs/requirements.lock").read_text(encoding="utf-8").splitlines()
    }
    for file in ("envs/requirements.in", "envs/models.in"):
        for line in (repository / file).read_text(encoding="utf-8").splitlines():
            name = re.split(r"[\[=<>#\s]", line)[0]
            if name:
                assert re.sub(r"[-_.]+", "-", name).lower() in locked, f"{name}: run `make lock`"
