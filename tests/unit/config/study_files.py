"""A small study file, sections of which a test replaces, and the refusal of one that does not fit."""

import pytest
import yaml

from posologie.config.load import load_study
from posologie.running.errors import InputError

STUDY = {
    "study": "mine",
    "sources": {"native": {"provenance": "native", "hub": "owner/data"}},
    "suites": {"mcqa": {"benchmarks": {"native": {"source": "native"}}}},
    "mixes": {"NAT": {"shares": {"native": 1}, "size": 10}},
    "backbones": {"b": {"hub": "owner/model"}},
}


@pytest.fixture(name="write")
def study_file(tmp_path):
    """A function that writes a study file, with some sections changed, and returns its path."""

    def write(name="study.yaml", **sections):
        path = tmp_path / name
        path.write_text(yaml.safe_dump({**STUDY, **sections}), encoding="utf-8")
        return path

    return write


def refusal(path, overrides=None):
    with pytest.raises(InputError) as caught:
        load_study(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message
