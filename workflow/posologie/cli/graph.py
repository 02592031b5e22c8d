"""Draw a study by stage and family: what is done, stale, missing and running, and what will be rebuilt and why.

  posologie graph --svg study.svg

A family is all artifacts of a stage that differ only in mix, seed, source or table: the adapters of one backbone, its
answers to one suite. The seals decide what is stale, as for `posologie status`; the reason shown is that of the
family's first one. `snakemake -n` reads every file and lists every job with its own reason.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from rich.table import Table
from rich.text import Text

from posologie.cli.artifacts import Artifact, artifacts
from posologie.cli.places import add_study, console, print_json, study_of
from posologie.cli.running import unfinished
from posologie.cli.stale import stale
from posologie.config.study import Study
from posologie.records.artifacts import KINDS
from posologie.records.files import write_text
from posologie.report.names import COLOURS, INK, MUTED, PAPER

BY_MODEL = frozenset(["adapters", "predictions", "scores", "scores_neural", "judgements"])
"""Stages with a family for each backbone, and for each suite where names end in one."""


def _feeds() -> dict[str, tuple[str, ...]]:
    """Return the stages that each stage is made of: the folders of the kinds of artifacts in `records/artifacts.py`."""
    folders = {kind.name: kind.folder for kind in KINDS}
    feeds: dict[str, dict[str, None]] = {}
    for kind in KINDS:
        fed = feeds.setdefault(folders[kind.name], {})
        fed.update(dict.fromkeys(folders[name] for name in kind.made_of if folders[name] != folders[kind.name]))
    return {stage: tuple(fed) for stage, fed in feeds.items()}


FEEDS = _feeds()
"""What each stage is made of."""

STATES = {"done": "green", "running": "blue", "stale": "orange", "missing": "sand"}
"""States and their colours; every state is also written."""

_COUNTED = {
    "shards": "sources",
    "screened": "sources",
    "leakage": "audits",
    "predictions": "models",
    "scores": "models",
    "scores_neural": "models",
    "human": "sets of ratings",
    "human_scores": "sets of ratings",
    "report": "parts",
}
"""What the artifacts of a stage are counted as, where that is not its name."""

_RUNNING = {"training": "adapters", "prediction": "predictions"}
_WIDTH, _HEIGHT, _GAP, _EDGE = 184, 92, 40, 20
_LETTERS = 26  # that fit into a box, at 12 pixels
_BAR = 8


@dataclass
class Family:
    """The artifacts of one stage that differ in mix, seed, source or table alone.

    Attributes:
        family: what they share: backbone, and suite; empty where the stage has one family.
        members: how many of what, such as `10 mixes × 2 seeds`.
        counts: state → number of artifacts.
        why: why the first stale one is stale; empty where none is.
        follows: all is done, but something that it is made from will be rebuilt.
        parents: keys of the families that it is made of.
    """

    stage: str
    family: str
    members: str
    counts: dict[str, int]
    why: str = ""
    follows: bool = False
    parents: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Stage and family in one word."""
        return f"{self.stage}/{self.family}".rstrip("/")

    @property
    def state(self) -> str:
        """The state that matters most: what runs, what is stale, what is missing, or else that all is done."""
        return next((state for state in ("running", "stale", "missing") if self.counts.get(state)), "done")

    def counted(self) -> str:
        """Return the states in words: `12 done, 3 stale`."""
        texts = [f"{count} {state}" for state in STATES if (count := self.counts.get(state))]
        return ", ".join(texts)


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `graph`."""
    add_study(arguments)
    arguments.add_argument("--svg", type=Path, metavar="FILE", help="also write the picture")


def answer(options: argparse.Namespace) -> int:
    """Print the graph, and write it to the file of --svg."""
    study = study_of(options)
    families = families_of(study)
    if options.svg is not None:
        write_text(options.svg, drawn(study.title or study.study, families))
    if options.json:
        print_json([{**asdict(family), "state": family.state} for family in families])
    else:
        _print(study, families)
    return 0


def families_of(study: Study) -> list[Family]:
    """Return the families of a study in the order of the data flow."""
    every = [artifact for artifact in artifacts(study) if not artifact.optional]
    old = stale(study, every)
    running = {
        (_RUNNING.get(kind, kind), name)
        for job in unfinished(Path(study.roots.work) / study.study)
        if job.state == "running"
        for kind, _, name in [job.name.partition("/")]
    }
    groups: dict[tuple[str, str], list[Artifact]] = {}
    for artifact in every:
        groups.setdefault((artifact.stage, _family(artifact)), []).append(artifact)
    families = []
    for (stage, family), members in groups.items():
        names = [f"{artifact.stage}/{artifact.name}" for artifact in members]
        reasons = {name: old.get(name) for name in names}
        counts: dict[str, int] = {}
        for artifact in members:
            state = _state(artifact, reasons[f"{artifact.stage}/{artifact.name}"], running)
            counts[state] = counts.get(state, 0) + 1
        own = [reason for reason in reasons.values() if reason]
        first = next((reason for reason in own if not reason.startswith("made of ")), own[0] if own else "")
        families.append(Family(stage, family, _members(stage, members), counts, first))
    for node in families:
        node.parents = [parent.key for parent in _parents(node, families)]
    for node in families:  # in the order of the data flow, so that what follows reaches the report
        behind = [parent for parent in families if parent.key in node.parents]
        node.follows = node.state == "done" and any(parent.state != "done" or parent.follows for parent in behind)
    return families


def _family(artifact: Artifact) -> str:
    parts = artifact.name.split("/")
    if artifact.stage not in BY_MODEL or len(parts) < 2:
        return ""
    return parts[0] if artifact.stage == "adapters" else f"{parts[0]}/{parts[-1]}"


def _state(artifact: Artifact, reason: str | None, running: Iterable[tuple[str, str]]) -> str:
    if any(artifact.stage == stage and f"{artifact.name}/".startswith(f"{name}/") for stage, name in running):
        return "running" if reason is not None or not artifact.done else "done"
    if not artifact.done:
        return "missing"
    return "done" if reason is None else "stale"


def _members(stage: str, members: Sequence[Artifact]) -> str:
    """Return how many artifacts of what a family has."""
    names = [member.name.split("/") for member in members]
    if stage in ("mixes", "adapters"):
        mixes = {parts[-2] for parts in names if len(parts) > 1}
        seeds = {parts[-1] for parts in names}
        full = len(mixes) * len(seeds) == len(names)
        count = f"{len(mixes)} mixes × {len(seeds)} seeds" if full else f"{len(names)} of {len(mixes)} mixes"
        return count.replace("1 mixes", "1 mix").replace("× 1 seeds", "× 1 seed")
    what = _COUNTED.get(stage, stage)
    distinct = {parts[0] for parts in names} if what == "sources" else names
    return f"{len(distinct)} {what if len(distinct) != 1 else what.removesuffix('s')}"


def _parents(child: Family, families: Sequence[Family]) -> list[Family]:
    """Return the families that one is made of: of those with a backbone, those of its own."""
    parents = []
    for stage in FEEDS[child.stage]:
        others = [other for other in families if other.stage == stage]
        own = [other for other in others if other.family and _related(other, child)]
        parents += own or ([] if child.family and any(other.family for other in others) else others)
    return parents


def _related(parent: Family, child: Family) -> bool:
    """Return whether two families share backbone and suite, as far as both have them; judges answer for all models."""
    mine, theirs = parent.family.split("/"), child.family.split("/")
    if not child.family or len(mine) == 1:
        return not child.family or mine[0] == theirs[0]
    return mine[-1] == theirs[-1] and (child.stage == "judgements" or mine[0] == theirs[0])


def _print(study: Study, families: Sequence[Family]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("stage", "family", "what", "state", "why it is rebuilt"):
        table.add_column(title, overflow="fold")
    marks = {"done": "●", "running": "▶", "stale": "◐", "missing": "○"}
    styles = {"done": "green", "running": "blue", "stale": "yellow", "missing": "dim"}
    shown = ""
    for family in families:
        stage = family.stage if family.stage != shown else ""
        shown = family.stage
        state = Text(f"{marks[family.state]} {family.counted()}", style=styles[family.state])
        table.add_row(stage, family.family, family.members, state, _why(family))
    console().print(Text(f"Study {study.study}", style="bold"))
    console().print(table)
    console().print(Text(_summary(families)))


def _why(family: Family) -> str:
    if family.why:
        return family.why
    if family.counts.get("missing") or family.counts.get("running"):
        return "not made yet" if not family.counts.get("done") else "some are not made yet"
    return "after what it is made of, if that changes" if family.follows else ""


def _summary(families: Sequence[Family]) -> str:
    todo = {state: sum(family.counts.get(state, 0) for family in families) for state in ("missing", "stale", "running")}
    texts = [f"{count} {'is' if count == 1 else 'are'} {state}" for state, count in todo.items() if count]
    if not texts:
        return "All is done, and nothing is stale."
    follow = ", ".join(family.key for family in families if family.follows)
    then = f" The next run makes them, and, if these change, {follow}." if follow else ""
    return f"Of {sum(sum(family.counts.values()) for family in families)} artifacts {', '.join(texts)}.{then}"


def drawn(title: str, families: Sequence[Family]) -> str:
    """Return the graph as SVG: a column for each stage, a box for each family, a bar for its states."""
    stages = list(dict.fromkeys(family.stage for family in families))
    columns = {stage: [family for family in families if family.stage == stage] for stage in stages}
    rows = max(map(len, columns.values()), default=0)
    width = 2 * _EDGE + len(stages) * _WIDTH + max(0, len(stages) - 1) * _GAP
    height = 2 * _EDGE + 58 + rows * (_HEIGHT + 18) + 24
    places: dict[str, tuple[float, float]] = {}
    for column, stage in enumerate(stages):
        top = _EDGE + 58 + (rows - len(columns[stage])) * (_HEIGHT + 18) / 2
        for row, family in enumerate(columns[stage]):
            places[family.key] = (_EDGE + column * (_WIDTH + _GAP), top + row * (_HEIGHT + 18))
    arrows = [_arrow(places[parent], places[family.key]) for family in families for parent in family.parents]
    described = "; ".join(f"{family.key}: {family.counted()}" for family in families)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(described)}</desc>",
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        f'<text x="{_EDGE}" y="{_EDGE + 14}" font-size="16" font-weight="600" fill="{INK}">{escape(title)}</text>',
        *arrows,
        *(_box(family, *places[family.key]) for family in families),
        *(_stage(stage, _EDGE + column * (_WIDTH + _GAP)) for column, stage in enumerate(stages)),
        _legend(height - _EDGE),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _stage(stage: str, x: float) -> str:
    return f'<text x="{x}" y="{_EDGE + 42}" font-weight="600" fill="{MUTED}">{escape(stage)}</text>'


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + _WIDTH, start[1] + _HEIGHT / 2, end[0], end[1] + _HEIGHT / 2
    bend = _GAP / 2
    curve = f"M{x1:.0f},{y1:.0f} C{x1 + bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    return f'<path d="{curve}" fill="none" stroke="{MUTED}" stroke-opacity="0.55"/>'


def _box(family: Family, x: float, y: float) -> str:
    colour = COLOURS[STATES[family.state]]  # type: ignore[index]
    dashed = ' stroke-dasharray="4 3"' if family.state == "missing" else ""
    bold = ' font-weight="600"'
    lines = (
        (family.family or family.stage, INK, bold),
        (family.members, INK, ""),
        (family.counted(), INK, ""),
        (_why(family), MUTED, ""),
    )
    total, before, bars = sum(family.counts.values()) or 1, 0.0, []
    for state, name in STATES.items():
        length = (_WIDTH - 2) * family.counts.get(state, 0) / total
        if length:
            fill = COLOURS[name]  # type: ignore[index]
            bars.append(f'<rect x="{x + 1 + before:.1f}" y="{y + _HEIGHT - _BAR - 1}" width="{length:.1f}" '
                        f'height="{_BAR}" fill="{fill}"/>')  # fmt: skip
        before += length
    texts = [
        f'<text x="{x + 8}" y="{y + 17 + 16 * place:.0f}" fill="{ink}"{weight}>{escape(_cut(text))}</text>'
        for place, (text, ink, weight) in enumerate(lines)
    ]
    return "".join([
        f"<g><title>{escape(f'{family.key}: {family.members}; {family.counted()}. {_why(family)}')}</title>",
        f'<rect x="{x}" y="{y:.0f}" width="{_WIDTH}" height="{_HEIGHT}" fill="{PAPER}" stroke="{colour}" '
        f'stroke-width="2"{dashed}/>',
        *texts, *bars, "</g>",
    ])  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"


def _legend(y: float) -> str:
    parts = []
    for place, (state, name) in enumerate(STATES.items()):
        x = _EDGE + place * 90
        fill = COLOURS[name]  # type: ignore[index]
        parts.append(f'<rect x="{x}" y="{y - 10:.0f}" width="10" height="10" fill="{fill}"/>')
        parts.append(f'<text x="{x + 16}" y="{y:.0f}" fill="{MUTED}">{state}</text>')
    return "".join(parts)
