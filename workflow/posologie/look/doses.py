"""What screening finds and what each mix takes: both by the stages' own code, before any mix is drawn."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from posologie import layout
from posologie.errors import InputError
from posologie.files import read_json
from posologie.items import Split
from posologie.look.spec import LookSpec
from posologie.mixes.planning import parts_of
from posologie.mixes.sampling import read_pool, stratum_quotas
from posologie.mixes.spec import MixSpec
from posologie.screening import __main__ as screening
from posologie.screening.spec import ScreeningSpec

SCREENED_AT_MOST = 20_000
"""Items, those compared with included, up to which a look screens by itself where nothing is screened yet."""

Shard = tuple[str, Split]


def screening_facts(
    spec: LookSpec, root: Path, made: Mapping[Shard, Path], temporary: Path
) -> tuple[dict[Shard, dict[str, Any]], dict[Shard, Path]]:
    """Return what screening says of each shard, and where the items that stay lie.

    What the study has screened is read. The rest is screened here, into a temporary folder, where it is small; a screen
    by a judge is left out, because the ratings may not be there.

    Args:
        made: the screened shards of the study that exist.
    """
    facts: dict[Shard, dict[str, Any]] = {}
    kept: dict[Shard, Path] = {}
    for source, splits in spec.screened.items():
        for split in splits:
            shard = root / layout.shard(source, split)
            if not shard.is_file():
                continue
            file = made.get((source, split))
            if file is not None:
                report = _counts(file.with_suffix(".json"))
                if report["read"] == _rows(shard):
                    facts[source, split] = {**report, "by": "the study"}
                    kept[source, split] = file
                    continue
            inputs = _inputs(spec, root, source, split)
            items = sum(_rows(path) for path in {shard, *(path for paths in inputs.values() for path in paths)})
            lacking = [path for paths in inputs.values() for path in paths if not path.is_file()]
            if lacking or items > SCREENED_AT_MOST:
                reason = f"{lacking[0]} is not read yet" if lacking else f"{items:,} items would have to be compared"
                facts[source, split] = {"by": None, "reason": reason}
                continue
            try:
                kept[source, split], report = _screened(spec, source, split, shard, inputs, temporary)
                facts[source, split] = {**report, "by": "this look"}
            except InputError as error:
                facts[source, split] = {"by": None, "reason": str(error)}
    return facts, kept


def _inputs(spec: LookSpec, root: Path, source: str, split: Split) -> dict[str, list[Path]]:
    earlier = [
        root / layout.shard(name, split) for name in spec.earlier.get(source, ()) if split in spec.sources[name].splits
    ]
    against = {} if spec.screening.mode == "off" else {name: spec.suites[name] for name in spec.screening.against}
    tests = {(part.source, part.split) for parts in against.values() for part in parts}
    return {"earlier": earlier, "tests": [root / layout.shard(*shard) for shard in sorted(tests)]}


def _screened(
    spec: LookSpec, source: str, split: Split, shard: Path, inputs: Mapping[str, list[Path]], temporary: Path
) -> tuple[Path, dict[str, Any]]:
    off = spec.screening.mode == "off"
    wanted = ScreeningSpec(
        source=source,
        split=split,
        screening=spec.screening.model_copy(update={"quality": None}),
        suites={} if off else {name: spec.suites[name] for name in spec.screening.against},
        languages={name: one.language for name, one in spec.sources.items() if one.language is not None and not off},
    )
    target = temporary / source / f"{split}.parquet"
    named = {key: [f"{path.parent.name}={path}" for path in paths] for key, paths in inputs.items()}
    report, matches = target.with_suffix(".json"), target.with_suffix(".matches.parquet")
    screening.main(
        [
            *("--spec", wanted.canonical_json(), "--items", str(shard)),
            *("--earlier", *named["earlier"], "--tests", *named["tests"]),
            *("--screened", str(target), "--report", str(report), "--matches", str(matches)),
        ]
    )
    return target, _counts(report)


def _counts(report: Path) -> dict[str, Any]:
    """Return what a screening counted, without the checksum of its file."""
    return {key: value for key, value in read_json(report).items() if key != "sha256"}


def _rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows) if path.is_file() else 0


def mix_facts(spec: LookSpec, root: Path, kept: Mapping[Shard, Path]) -> dict[str, Any]:
    """Return what each mix takes of each source, and of what; a mix that cannot be met has a `problem`."""
    return {name: _mix(spec, name, root, kept) for name in spec.mix_order}


def _mix(spec: LookSpec, name: str, root: Path, kept: Mapping[Shard, Path]) -> dict[str, Any]:
    mix = spec.mixes[name]
    files = {
        source: kept.get((source, "train"), root / layout.shard(source, "train")) for source in spec.mix_sources[name]
    }
    missing = [source for source, path in files.items() if not path.is_file()]
    facts: dict[str, Any] = {"tasks": list(mix.tasks), "parts": [], "strata": [], "problem": None, "items": None}
    if missing:
        return {**facts, "problem": f"not known yet: no training shard of {', '.join(missing)}"}
    pools = {source: read_pool(source, path, mix.tasks, mix) for source, path in files.items()}
    provenance_of = {source: spec.sources[source].provenance for source in pools}
    whole = MixSpec(name=name, mix=mix, seed=0, provenance_of=provenance_of, validation=spec.validation)
    try:
        parts = parts_of(whole, pools)
        strata = [
            (source, stratum_quotas(pools[source], quota, mix))
            for part in parts
            for source, quota in part.quotas.items()
            if quota
        ]
    except InputError as error:
        return {**facts, "problem": _without_paths(str(error).removeprefix(f"mix {name}: "), files)}
    facts["parts"] = [
        {"part": part.name, "asked": part.asked, "held": part.held, "taken": part.quotas} for part in parts
    ]
    facts["items"] = sum(part.asked for part in parts)
    facts["strata"] = [
        {"source": source, "stratum": stratum, **counts}
        for source, found in strata
        for stratum, counts in found.items()
        if mix.strata
    ]
    return facts


def _without_paths(text: str, files: Mapping[str, Path]) -> str:
    """Say the source instead of its file, which may lie in a folder that is already gone."""
    for source, path in files.items():
        text = text.replace(str(path), f"the training items of {source}")
    return text


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is deleted after the look."""
    return tempfile.TemporaryDirectory(prefix="posologie-look-")
