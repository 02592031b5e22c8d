"""Proposals as mixes to paste into a study file: names that are free, and shares in lowest terms."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import yaml

from posologie.mixes.spec import lowest_terms
from posologie.surface.next_runs import Prescription


def new_names(components: Sequence[str], proposed: Prescription, taken: Collection[str]) -> list[str]:
    """Return a name for each proposal that no mix has: shares in percent behind short names of the components.

    `NAT40-SYN60` where so few components allow it, `next-1` otherwise.
    """
    short = _short_names(components)
    used, found = set(taken), []
    for one in proposed.proposals:
        parts = [f"{name}{100 * share:.0f}" for name, share in zip(short, one.shares, strict=True) if share >= 0.005]
        whole = np.allclose(100 * one.shares, np.rint(100 * one.shares))
        name = "-".join(parts) if len(parts) <= 4 and whole else "next-1"
        number = 1
        while name in used:
            number += 1
            name = f"{'-'.join(parts)}-{number}" if len(parts) <= 4 and whole else f"next-{number}"
        used.add(name)
        found.append(name)
    return found


def _short_names(components: Sequence[str]) -> list[str]:
    """Return the shortest beginnings, of three letters at least, that are all different."""
    plain = ["".join(letter for letter in name.upper() if letter.isalnum()) or "C" for name in components]
    for length in range(3, max(map(len, plain)) + 1):
        short = [name[:length].rstrip("0123456789") or name[:length] for name in plain]
        if len(set(short)) == len(short):
            return short
    return [f"C{place}-" for place in range(1, len(plain) + 1)]


def mixes_yaml(
    components: Sequence[str],
    proposed: Prescription,
    names: Sequence[str],
    size: float | None,
    study_seeds: Sequence[int] = (),
) -> str:
    """Return the proposals as YAML, with shares as whole numbers in lowest terms.

    So a mix is the same however it is written later, and draws the part of each component that larger doses contain.

    Args:
        study_seeds: the seeds that every mix of the study is trained with; more of a mix are further seeds.
    """
    if not proposed.proposals:
        return "mixes: {}\n"
    lines, further = ["mixes:"], {}
    for name, one in zip(names, proposed.proposals, strict=True):
        held = {key: float(share) for key, share in zip(components, one.shares, strict=True) if share > 0}
        shares = {key: int(part) for key, part in lowest_terms({k: round(v, 6) for k, v in held.items()}).items()}
        mix: dict[str, Any] = {"shares": shares, "size": "smallest" if size is None else int(size)}
        gain = (
            "to tell whether the surface fits" if one.reason == "interior" else f"expected gain {one.gain:.2g} points"
        )
        seeds = "one seed" if one.seeds == 1 else f"{one.seeds} seeds"
        lines.append(f"  # {gain}; {seeds}")
        text = yaml.safe_dump({name: mix}, default_flow_style=None, sort_keys=False, width=1000, allow_unicode=True)
        lines += [f"  {line}" for line in text.splitlines()]
        if study_seeds and (more := one.seeds - len(study_seeds)) > 0:
            further[name] = [max(study_seeds) + 1 + number for number in range(more)]
    if further:
        lines += ["training:", "  further_seeds:", *(f"    {name}: {seeds}" for name, seeds in further.items())]
    return "\n".join(lines) + "\n"
