"""The chain behind an artifact, read from the files themselves: scores, predictions, adapter, mix, shards, data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posologie import layout
from posologie.errors import InputError
from posologie.files import read_json, sha256_of_file


@dataclass
class Link:
    """One artifact of a chain.

    Attributes:
        kind: what it is: table, scores, predictions, adapter, mix, screened, shard, model, file.
        file: its path, as seen from the working directory.
        facts: what is worth knowing of it, as JSON values.
        record: the run record that made it, where it has one.
        state: `as recorded`, `altered`, `missing`, or empty where nothing was recorded.
        parents: what it was made from.
    """

    kind: str
    file: str
    facts: dict[str, Any] = field(default_factory=dict)
    record: str | None = None
    state: str = ""
    parents: list["Link"] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the chain as JSON values."""
        shown = {"kind": self.kind, "file": self.file, **({"state": self.state} if self.state else {})}
        if self.record:
            shown["record"] = self.record
        return {**shown, "facts": self.facts, "parents": [parent.as_json() for parent in self.parents]}

    def walk(self) -> Iterator["Link"]:
        """Yield this link and all behind it, each file once."""
        seen: set[tuple[str, str]] = set()
        waiting = [self]
        while waiting:
            link = waiting.pop(0)
            if (link.kind, link.file) not in seen:
                seen.add((link.kind, link.file))
                yield link
                waiting += link.parents


class Chains:
    """The chains of one study; each artifact is read and hashed once."""

    def __init__(self, root: Path) -> None:
        """Begin with nothing read of the study in `root`."""
        self.root = root
        self._made: dict[tuple[str, str], Link] = {}

    def scores(self, model: str, suite: str) -> Link:
        """Return the chain behind a model's scores on a suite."""
        return self._once("scores", layout.scores(model, suite), lambda link: self._of_scores(link, model, suite))

    def predictions(self, model: str, suite: str) -> Link:
        """Return the chain behind a model's predictions on a suite."""
        record = layout.predictions_run(model, suite)
        return self._once("predictions", layout.predictions(model, suite), lambda link: self._of_run(link, record))

    def judgements(self, judge: str, model: str, suite: str) -> Link:
        """Return the chain behind a judge's verdicts on a model's answers to a suite."""
        file = layout.judgements(judge, model, suite)
        return self._once("judgements", file, lambda link: self._of_run(link, layout.beside(file, ".run.json")))

    def adapter(self, model: str) -> Link:
        """Return the chain behind an adapter."""
        record = layout.adapter(model, "run.json")
        return self._once(
            "adapter", layout.adapter(model, "adapter_model.safetensors"), lambda link: self._of_run(link, record)
        )

    def mix(self, name: str, seed: str) -> Link:
        """Return the chain behind a mix."""
        return self._once("mix", layout.mix(name, int(seed), "train"), lambda link: self._of_mix(link, name, seed))

    def rated(self, ratings: str, judges: Sequence[str]) -> list[Link]:
        """Return a set of human ratings and the chains behind these judges' verdicts on it."""
        verdicts = [self.judgements(judge, "calibration", ratings) for judge in judges]
        return [self._once("human", layout.human(ratings), lambda link: None), *verdicts]

    def any_of(self, path: Path) -> Link:
        """Return the chain behind whatever artifact lies at a path."""
        below = _below(path, self.root)
        folder, *parts = below.parts
        stem = Path(parts[-1]).name.removesuffix(".run.json").removesuffix(".parquet") if parts else ""
        if folder == "scores" and len(parts) > 1:
            return self.scores("/".join(parts[:-1]), stem)
        if folder == "predictions" and len(parts) > 1:
            return self.predictions("/".join(parts[:-1]), stem)
        if folder == "adapters" and len(parts) > 1:
            return self.adapter("/".join(parts[:-1]))
        if folder == "judgements" and len(parts) > 2:
            return self.judgements(parts[0], "/".join(parts[1:-1]), stem)
        if folder == "mixes" and len(parts) == 3:
            return self.mix(parts[0], parts[1].removeprefix("seed-"))
        if folder in ("screened", "shards") and len(parts) == 2:
            split = parts[1].partition(".")[0]
            return self.screened(parts[0], split) if folder == "screened" else self.shard(parts[0], split)
        return Link(folder.rstrip("s"), path.as_posix())

    def _once(self, kind: str, below: str, fill: Any) -> Link:
        file = (self.root / below).as_posix()
        if (kind, file) not in self._made:
            link = self._made[kind, file] = Link(kind, file)
            if not Path(file).is_file():
                link.state = "missing"
            fill(link)
        return self._made[kind, file]

    def _of_scores(self, link: Link, model: str, suite: str) -> None:
        link.parents = [self.predictions(model, suite)]
        judges = self.root / "judgements"
        for judge in sorted(path.name for path in judges.glob("*") if path.is_dir()):
            if (self.root / layout.judgements(judge, model, suite)).is_file():
                link.parents.append(self.judgements(judge, model, suite))

    def _of_run(self, link: Link, below: str) -> None:
        """Fill a link from its run record: when, how long, on what, from what, and whether it is as it was made."""
        path = self.root / below
        if not path.is_file():
            return
        record = read_json(path)
        link.record = path.as_posix()
        for name in ("started", "seconds", "code", "backbone_revision", "tokens", "updates", "items", "prompt_tokens"):
            if record.get(name) is not None and not isinstance(record[name], dict):
                link.facts[name] = record[name]
        hardware = record.get("hardware", {})
        gpus = [gpu["name"] for gpu in hardware.get("gpus", [])]
        link.facts["on"] = ", ".join(gpus) or f"{hardware.get('cpus', '?')} {hardware.get('machine', '')} CPUs"
        link.facts["libraries"] = record.get("libraries", {})
        if record.get("gpu_energy_joules") is not None:
            link.facts["gpu_energy_joules"] = record["gpu_energy_joules"]
        link.state = link.state or self._state_of(link.file, record.get("outputs", {}))
        link.parents = [parent for given in record.get("inputs", {}).values() if (parent := self._given(given))]

    def _state_of(self, file: str, outputs: dict[str, Any]) -> str:
        """Say whether a file still has the hash that its record states."""
        for made in outputs.values():
            if Path(made["file"]).name == Path(file).name:
                return "as recorded" if sha256_of_file(file) == made["sha256"] else "altered"
        return ""

    def _given(self, given: dict[str, str]) -> Link | None:
        """Return the chain behind an input that a run record names; validation sets come with their mix."""
        parts = Path(given["file"]).parts
        for place, part in enumerate(parts):
            rest = parts[place + 1 :]
            if part == "mixes" and len(rest) == 3:
                return self.mix(rest[0], rest[1].removeprefix("seed-")) if rest[2] == "train.parquet" else None
            if part == "adapters" and rest[-1:] == ("adapter_model.safetensors",):
                return self.adapter("/".join(rest[:-1]))
            if part == "adapters":
                return None
            if part == "shards" and len(rest) == 2:
                return self.shard(rest[0], rest[1].partition(".")[0])
            if part == "predictions" and len(rest) > 1:
                return self.predictions("/".join(rest[:-1]), rest[-1].removesuffix(".parquet"))
        kind = "model" if parts[-1] == "manifest.json" else "file"
        link = Link(kind, given["file"], {"sha256": given["sha256"]})
        if not Path(given["file"]).is_file():
            link.state = "missing"
        elif sha256_of_file(given["file"]) != given["sha256"]:
            link.state = "altered"
        else:
            link.state = "as recorded"
        if kind == "model" and link.state != "missing":
            manifest = read_json(given["file"])
            link.facts |= {name: manifest[name] for name in ("name", "revision") if manifest.get(name)}
        return link

    def _of_mix(self, link: Link, name: str, seed: str) -> None:
        composition = self.root / layout.mix(name, int(seed), "composition")
        if not composition.is_file():
            link.state = "missing"
            return
        train = read_json(composition)["train"]
        link.facts = {name: train[name] for name in ("items", "provenance", "source", "task") if name in train}
        link.parents = [self.screened(source, "train") for source in sorted(train.get("source", {}))]

    def screened(self, source: str, split: str) -> Link:
        """Return the chain behind a screened shard."""

        def fill(link: Link) -> None:
            report = Path(layout.beside(link.file, ".json"))
            if report.is_file():
                facts = read_json(report)
                link.facts = {name: facts[name] for name in ("mode", "read", "kept", "removed") if name in facts}
            link.parents = [self.shard(source, split)]

        return self._once("screened", layout.screened(source, split), fill)

    def shard(self, source: str, split: str) -> Link:
        """Return the chain behind a shard."""

        def fill(link: Link) -> None:
            report = Path(layout.beside(link.file, ".json"))
            if report.is_file():
                facts = read_json(report)
                link.facts = {name: facts[name] for name in ("read", "kept", "provenance") if name in facts}
                link.parents = [self._read(file, counts) for file, counts in facts.get("files", {}).items()]

        return self._once("shard", layout.shard(source, split), fill)

    def _read(self, file: str, counts: dict[str, Any]) -> Link:
        """Return a file that a shard was read from; of what the study made itself, also its counts."""
        makers = ("generated", "translated")
        kind = next((name for name in makers if Path(file).is_relative_to(self.root / name)), "file")
        report = Path(layout.beside(file, ".json"))
        made = read_json(report) if kind != "file" and report.is_file() else {}
        return Link(kind, file, {**counts, **{name: value for name, value in made.items() if isinstance(value, int)}})


def _below(path: Path, root: Path) -> Path:
    try:
        return path.absolute().relative_to(root.absolute())
    except ValueError:
        raise InputError(f"{path}: not below {root}") from None
