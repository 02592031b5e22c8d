"""The recipe of an invented world, and the options of its reader.

A world has facts (an invented name, and which of a few options goes with it) and parts: sources that teach some of the
facts, in wordings of their own, with a rate of wrong keys. All questions have the same options in the same order, so a
small model that is trained from scratch learns a fact from few items. Which mix of the parts teaches most is then a
question with an answer: train all mixes (`tests/benchmarks/world_grid.py`).
"""

from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from posologie.records.files import read_text
from posologie.records.items import stable_id
from posologie.records.specs import Name, Spec, first_problem
from posologie.running.errors import InputError

Share = Annotated[float, Field(ge=0, le=1)]
Texts = Annotated[tuple[str, ...], Field(min_length=1)]


class Part(Spec):
    """What one source of the world teaches."""

    facts: tuple[tuple[int, int], ...] = Field(min_length=1, description="ranges of facts, the last left out")
    wrong: Share = Field(description="probability that the part has a wrong key for a fact, the same in every item")
    wordings: Texts = Field(
        description="questions, with `{name}` for the fact's name; one item for each fact and wording"
    )

    @model_validator(mode="after")
    def _names_in_wordings(self) -> Self:
        for wording in self.wordings:
            if wording.count("{name}") != 1:
                raise ValueError(f"{{name}} once in each wording, not '{wording}'")
        if len(set(self.wordings)) < len(self.wordings):
            raise ValueError("each wording once")
        return self

    def numbers(self) -> list[int]:
        """Return the numbers of its facts, ascending, each once."""
        return sorted({number for first, last in self.facts for number in range(first, last)})


class Recipe(Spec):
    """A world: facts, their names and options, and the parts that teach them."""

    seed: int = Field(description="seed of names, keys and faults")
    facts: int = Field(ge=1, description="number of facts")
    names: Annotated[tuple[Texts, ...], Field(min_length=1)] = Field(
        description="lists of syllables; a name joins one of each"
    )
    options: Annotated[tuple[str, ...], Field(min_length=2, max_length=26)]
    prompt_words: tuple[str, ...] = Field(
        default=(), description="further words that the tokenizer of the world's backbone should know whole"
    )
    parts: dict[Name, Part] = Field(min_length=1)

    @model_validator(mode="after")
    def _facts_that_exist(self) -> Self:
        for name, part in self.parts.items():
            for first, last in part.facts:
                if not 0 <= first < last <= self.facts:
                    raise ValueError(f"ranges of facts within 0 to {self.facts} in parts.{name}, not [{first}, {last}]")
        combinations = 1
        for syllables in self.names:
            combinations *= len(set(syllables))
        if combinations < 2 * self.facts:
            raise ValueError(f"syllables for twice as many names as facts, not {combinations} for {self.facts}")
        return self

    def draw(self, *what: object) -> int:
        """Return 80 bits that depend on the seed and on what is drawn alone."""
        return int(stable_id("world", str(self.seed), *map(str, what)), 16)

    def fact_names(self) -> list[str]:
        """Return the name of each fact; no two are equal."""
        names: dict[str, None] = {}
        attempt = 0
        while len(names) < self.facts:
            drawn = (
                syllables[self.draw("name", attempt, place) % len(syllables)]
                for place, syllables in enumerate(self.names)
            )
            names["".join(drawn)] = None
            attempt += 1
        return list(names)

    def key(self, fact: int) -> int:
        """Return the index of the option that is right for a fact."""
        return self.draw("key", fact) % len(self.options)

    def taught_key(self, part: str, fact: int) -> int:
        """Return the index of the option that a part teaches for a fact."""
        right, others = self.key(fact), len(self.options) - 1
        if self.draw("fault", part, fact) >= self.parts[part].wrong * 2**80:
            return right
        return (right + 1 + self.draw("shift", part, fact) % others) % len(self.options)

    def records(self, part: str) -> list[dict[str, Any]]:
        """Return the items of a part: fact by fact, one for each wording.

        Raises:
            InputError: if the recipe has no such part.
        """
        if part not in self.parts:
            raise InputError(f"part = '{part}': unknown; choose one of {', '.join(self.parts)}")
        names = self.fact_names()
        return [
            {
                "fact": names[fact],
                "wording": number,
                "question": wording.replace("{name}", names[fact]),
                "taught": self.options[self.taught_key(part, fact)],
                "wrong": self.taught_key(part, fact) != self.key(fact),
            }
            for fact in self.parts[part].numbers()
            for number, wording in enumerate(self.parts[part].wordings, start=1)
        ]

    def texts(self) -> list[str]:
        """Return every question with the options and the words of the prompt: what a tokenizer is trained on."""
        behind = "\n".join((*self.options, *self.prompt_words))
        return [f"{record['question']}\n{behind}" for part in self.parts for record in self.records(part)]


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: if the file is no recipe of a world, with the first key that does not fit.
    """
    try:
        return Recipe.model_validate(yaml.safe_load(read_text(path)))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}") from error


class Options(Spec):
    """Options of the reader."""

    part: Name = Field(description="the part of the recipe whose items are made")
