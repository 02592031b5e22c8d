"""The language of each item: the one that its source declares, else the one that its text looks like."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from posologie.languages import language_of, macrolanguage
from posologie.rows import TableRows
from posologie.screening.population import Population

_SAMPLE = 100
"""Items from which the language of a source is told."""
_ONE_LANGUAGE = 0.97
_LETTERS = 20


def languages(whole: Population, declared: Mapping[str, str]) -> list[str]:
    """Return the code of each item's language by position, without a region; an empty text where it is unknown.

    The items of a source that declares a language are in it. Of the others, a hundred items of each source and split
    are read. Where nearly all look like one language, all items count as being in it: the identifier errs that often.
    Elsewhere, each item is read, and one with too few letters is unknown.

    Args:
        whole: the population.
        declared: language of each source that declares one, by its name.
    """
    rows = TableRows(whole.table.select(["question", "context", "options"]))
    parts: dict[tuple[str, str], list[int]] = defaultdict(list)
    names = zip(*(whole.table[name].to_pylist() for name in ("source", "split")), strict=True)
    for position, name in enumerate(names):
        parts[name].append(position)
    found = [""] * whole.table.num_rows
    for (source, _), positions in parts.items():
        told: dict[int, str] = {}
        common = base_code(declared.get(source, ""))
        if not common:
            chosen = sorted(positions, key=lambda position: int(whole.rank[position]))[:_SAMPLE]  # ids are hashes
            told = dict(zip(chosen, _languages_at(rows, chosen), strict=True))
            known = [language for language in told.values() if language]
            common = max(sorted(set(known)), key=known.count, default="")
            if known.count(common) < _ONE_LANGUAGE * len(known):
                told |= dict(zip(positions, _languages_at(rows, positions), strict=True))
                common = ""
        for position in positions:
            found[position] = common or told[position]
    return found


def base_code(code: str) -> str:
    """Return a language's code without its region or script (`pt` of `pt-BR`), or that of its macrolanguage."""
    return macrolanguage(code.lower().replace("_", "-").partition("-")[0])


def _languages_at(rows: TableRows, positions: list[int]) -> list[str]:
    table = rows.at(np.array(positions, dtype=np.int64))
    columns = (table[name].to_pylist() for name in ("question", "context", "options"))
    return [
        language_of(" \n".join([question, context, *options]), _LETTERS) or ""
        for question, context, options in zip(*columns, strict=True)
    ]
