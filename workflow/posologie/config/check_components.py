"""What the section `components` names, and who names components: checked before any job."""

import difflib
from collections.abc import Iterable

from posologie.components import DEFAULT, PALETTE, RESERVED
from posologie.config.study import Study
from posologie.errors import InputError


def check_components(study: Study) -> None:
    """Check the names, titles and colours of components, and that sources and the validation set name them.

    Raises:
        InputError: naming the key, its value and what can stand there.
    """
    declared = study.components or DEFAULT
    for name, source in study.sources.items():
        if source.provenance not in declared:
            raise misspelt(f"sources.{name}.component", source.provenance, "component", declared)
    for name in study.validation.provenances or ():
        if name not in declared:
            raise misspelt("validation.components", name, "component", declared)
    titles: dict[str, str] = {}
    colours: dict[str, str] = {}
    for name, component in study.components.items():
        key = f"components.{name}"
        if name.lower() in RESERVED:
            meaning = "all components together" if name.lower() == "all" else "the model without adapter"
            raise InputError(f"{key}: '{name}' names {meaning} in the tables; choose another name")
        own = [source for source, one in study.sources.items() if one.provenance == name]
        if not own:
            raise InputError(f"{key}: no source has this component; name it in a source, or take it out")
        if name in study.sources and own != [name]:
            raise InputError(
                f"{key}: a source is called '{name}' too, and is not all of the component, so that a share of '{name}' "
                "would mean either; rename one of them"
            )
        title = component.title or name
        if title in titles:
            raise InputError(f"{key}.title = '{title}': components.{titles[title]} has it too; choose another title")
        titles[title] = name
        if component.colour is None:
            continue
        if component.colour in colours:
            free = [colour for colour in PALETTE if colour not in {one.colour for one in study.components.values()}]
            other = colours[component.colour]
            raise InputError(
                f"{key}.colour = '{component.colour}': components.{other} has it too; choose one of {', '.join(free)}"
                if free
                else f"{key}.colour: leave it out, as all colours are taken"
            )
        colours[component.colour] = name


def misspelt(key: str, value: str, what: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not known: the nearest one, or all of them."""
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(value, names, 1)
    hint = f"did you mean '{close[0]}'?" if close else f"choose one of {', '.join(names)}"
    return InputError(f"{key} = '{value}': no such {what}; {hint}")
