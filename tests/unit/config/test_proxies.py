"""Which models are merged: of trained mixes, of a lattice and by name, once for each mix."""

from pathlib import Path

import pytest
import yaml

from posologie.config import merging, plan, table_specs
from posologie.config.load import load_study
from posologie.config.tables import tables
from posologie.running.errors import InputError

TEST = Path(__file__).resolve().parents[3] / "config/test.yaml"


def study(tmp_path, monkeypatch, **changes):
    """Return the tiny study with a single-component mix of each component, two seeds, and the changes."""
    monkeypatch.chdir(TEST.parents[1])
    content = yaml.safe_load(TEST.read_text(encoding="utf-8"))
    content["mixes"] = {
        "NAT": {"shares": {"native": 1}, "size": 24},
        "SYN": {"shares": {"synthetic": 1}, "size": 24},
        "TRAD": {"shares": {"translated": 1}, "size": 24},
        "NAT-SYN": {"shares": {"native": 1, "synthetic": 3}, "size": 24},
    }
    content["training"]["seeds"] = [1, 2]
    content["proxies"] = {"merged": {}}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({**content, **changes}), encoding="utf-8")
    return load_study(file)


def test_each_trained_mix_of_several_components_has_a_merged_model_for_each_seed(tmp_path, monkeypatch):
    merged = merging.merged_models(study(tmp_path, monkeypatch))
    assert list(merged) == ["tiny/merged-NAT-SYN/seed-1", "tiny/merged-NAT-SYN/seed-2"]
    model = merged["tiny/merged-NAT-SYN/seed-2"]
    assert model.shares == {"native": 0.25, "synthetic": 0.75}
    assert model.of == {"NAT": 0.25, "SYN": 0.75}
    assert (model.seed, model.stands_for) == (2, "NAT-SYN")


def test_a_lattice_and_named_mixes_are_merged_once_where_their_shares_are_the_same(tmp_path, monkeypatch):
    merged = {
        "lattice": 4,
        "mixes": {"half": {"native": 2, "translated": 2}, "also": {"synthetic": 0.6, "native": 0.2}},
    }
    models = merging.merged_models(study(tmp_path, monkeypatch, proxies={"merged": merged}))
    first = [model for model in models.values() if model.seed == 1]
    assert len(first) == 15 - 3, "the lattice of 1/4 has 15 mixes, three of which are single components"
    names = [model.name for model in first]
    assert names[:2] == ["merged-NAT-SYN", "merged-half"]
    assert "merged-also" not in names
    assert all(abs(sum(model.shares.values()) - 1) < 1e-12 for model in first)
    assert len({tuple(sorted(model.shares.items())) for model in first}) == 12


def test_merged_models_stay_out_of_the_models_that_are_judged(tmp_path, monkeypatch):
    own = study(tmp_path, monkeypatch)
    assert not set(merging.merged_models(own)) & set(plan.models(own))
    assert {model.kind for model in table_specs.table_spec(own).models} == {"base", "mix"}
    spec = merging.table_spec(own)
    assert set(spec.proxies) == set(merging.merged_models(own))
    assert {model.name for model in spec.models} == {"tiny/NAT-SYN/seed-1", "tiny/NAT-SYN/seed-2"}
    assert "proxies" in tables(own)


def test_they_answer_the_suites_with_choice_questions(tmp_path, monkeypatch):
    own = study(tmp_path, monkeypatch)
    assert merging.bundles(own) == {"mcqa": ("mcqa",)}
    spec = merging.prediction_spec(own, "tiny/merged-NAT-SYN/seed-1", "mcqa")
    assert set(spec.suites) == {"mcqa"}
    assert spec.shares == {"NAT": 0.25, "SYN": 0.75}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"proxies": {"merged": {"mixes": {"x": {"french": 1}}}}}, "x needs models of french alone; add a mix of it"),
        ({"proxies": {"merged": {"of_mixes": False}}}, "of_mixes, lattice or mixes"),
        ({"proxies": {"merged": {"models": {"native": "SYN"}}}}, r"models.native = 'SYN': expected .*\(NAT\)"),
        (
            {
                "mixes": {
                    "NAT": {"shares": {"native": 1}, "size": 24},
                    "NAT2": {"shares": {"native": 1}, "size": 12},
                    "B": {"shares": {"native": 1, "synthetic": 1}, "size": 12},
                }
            },
            "NAT, NAT2 all hold native alone; name one in proxies.merged.models",
        ),
        (
            {
                "mixes": {
                    "NAT": {"shares": {"native": 1}, "size": 24},
                    "SYN": {"shares": {"synthetic": 1}, "size": 24},
                    "merged-B": {"shares": {"native": 1, "synthetic": 2}, "size": 24},
                    "B": {"shares": {"native": 1, "synthetic": 1}, "size": 24},
                }
            },
            r"mixes\.merged-B: the name is taken by a merged model",
        ),
        (
            {"mixes": {"NAT": {"shares": {"native": 1}, "size": 24}}},
            "no mix of two or more components to merge for",
        ),
    ],
)
def test_what_cannot_be_merged_is_one_line(tmp_path, monkeypatch, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        study(tmp_path, monkeypatch, **changes)
    assert "\n" not in str(caught.value)
