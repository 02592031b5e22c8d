import pytest
from pydantic import ValidationError

from posologie.mixes.spec import Mix
from posologie.records.specs import Name, Spec
from posologie.running.errors import InputError
from posologie.training.spec import Recipe


class Named(Spec):
    name: Name


@pytest.mark.parametrize("name", ["NAT", "NAT-TRAD", "qwen3-4b", "seed_1", "v1.2"])
def test_a_plain_name_is_accepted(name):
    assert Named(name=name).name == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a..b", "../x", "a/b", "/etc", "-x", ".hidden", "a b", "é", "a\n", "a\x00"]
)
def test_a_name_that_could_leave_its_folder_is_refused(name):
    with pytest.raises(ValidationError, match=r"without '\.\.'"):
        Named(name=name)


def test_equal_specs_have_equal_json_whatever_the_order_of_their_keys():
    mix = Mix(shares={"native": 1, "synthetic": 2}, size=10)
    two = Mix(size=10, shares={"synthetic": 2, "native": 1})
    assert mix.canonical_json() == two.canonical_json()


def test_a_spec_survives_its_json():
    recipe = Recipe(learning_rate=3e-5, target_modules=("q_proj",))
    assert Recipe.from_json(recipe.canonical_json()) == recipe


def test_a_long_spec_may_come_from_a_file(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(Recipe(rank=4).canonical_json())
    assert Recipe.from_json(f"@{path}").rank == 4


def test_a_wrong_value_is_named_with_its_key_and_what_was_expected():
    with pytest.raises(InputError, match=r"rank = 0: expected a number of at least 1"):
        Recipe.from_json('{"rank": 0}')


def test_a_spec_cannot_be_changed():
    with pytest.raises(ValidationError):
        Recipe().rank = 3
