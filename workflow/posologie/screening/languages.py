"""The language of each item: of a whole source where all its texts are in one, of each text elsewhere."""

from collections import defaultdict

import numpy as np

from posologie.languages import language_of
from posologie.rows import TableRows
from posologie.screening.population import Population

_SAMPLE = 100
"""Items from which the language of a source is told."""
_ONE_LANGUAGE = 0.97
_LETTERS = 20


def languages(whole: Population) -> list[str]:
    """Return the code of each item's language by position; an empty text where its letters are too few to tell.

    A hundred items of each source and split are read. Where nearly all are in one language, so is the source: the
    identifier errs that often.
    """
    rows = TableRows(whole.table.select(["question", "context", "options"]))
    parts: dict[tuple[str, str], list[int]] = defaultdict(list)
    names = zip(*(whole.table[name].to_pylist() for name in ("source", "split")), strict=True)
    for position, name in enumerate(names):
        parts[name].append(position)
    found = [""] * whole.table.num_rows
    for positions in parts.values():
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


def _languages_at(rows: TableRows, positions: list[int]) -> list[str]:
    table = rows.at(np.array(positions, dtype=np.int64))
    columns = (table[name].to_pylist() for name in ("question", "context", "options"))
    return [
        language_of(" \n".join([question, context, *options]), _LETTERS) or ""
        for question, context, options in zip(*columns, strict=True)
    ]
