"""One computation for the pages and the terminal: everything that a look says, as JSON values."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from posologie import layout
from posologie.files import read_json, sha256_of_file
from posologie.items import Split, read_item_table, table_to_items
from posologie.look.doses import mix_facts, screening_facts, temporary_folder
from posologie.look.doubts import with_doubts
from posologie.look.prompts import example, token_counts
from posologie.look.shards import example_items, reading_facts, reject_facts, sample, shard_facts
from posologie.look.spec import LookSpec
from posologie.look.texts import all_visible
from posologie.look.twins import Twins
from posologie.mixes.contents import lengths

SHOWN = 5
"""Items of each source that are shown as the model sees them."""
_TOKENISED = 500
FORM = 1
"""Version of the facts' form: others are not read."""


def identity(spec: LookSpec, root: Path, screened: Sequence[Path], backbone: Path | None) -> str:
    """Return a hash over all that the facts depend on: equal hashes mean that the facts need not be computed again."""
    digest = hashlib.sha256(f"{FORM}\0{spec.canonical_json()}".encode())
    shards = [root / layout.shard(name, split) for name, source in spec.sources.items() for split in source.splits]
    made = [*shards, *sorted(screened)]
    for path in [*made, *(path.with_suffix(".json") for path in made), *([backbone] if backbone is not None else [])]:
        digest.update(f"\0{path.name}\0{sha256_of_file(path) if path.is_file() else 'missing'}".encode())
    return digest.hexdigest()


def look(
    spec: LookSpec, root: Path, screened: Sequence[Path] = (), backbone: Path | None = None, processes: int = 1
) -> dict[str, Any]:
    """Return the facts of a study's shards.

    Args:
        root: the study's folder.
        screened: screened shards that exist; of the others, small ones are screened here.
        backbone: manifest of the backbone whose chat template is shown; plain turns if left out.
        processes: changes no result.
    """
    tokenizer = None
    if backbone is not None:
        from posologie.models.load import load_tokenizer

        tokenizer = load_tokenizer(backbone.parent)
    twins = Twins(spec.suites, processes)
    sources = {name: _source(spec, name, root, twins, tokenizer) for name in spec.order}
    made: dict[tuple[str, Split], Path] = {(path.parent.name, path.stem): path for path in screened}  # type: ignore[misc]
    with temporary_folder() as temporary:
        found, kept = screening_facts(spec, root, made, Path(temporary))
        mixes = mix_facts(spec, root, kept)
    for (name, split), facts in found.items():
        sources[name]["screening"][split] = facts
    facts = {
        **{"form": FORM, "identity": identity(spec, root, screened, backbone)},
        **{"study": spec.study, "title": spec.title, "language": spec.language},
        **{"max_length": spec.max_length, "backbone": spec.backbone, "chat_template": tokenizer is not None},
        **{"screening_mode": spec.screening.mode, "against": list(spec.screening.against)},
        "sources": sources,
        "twins": twins.facts(),
        "mixes": mixes,
        "tested": {
            suite: sorted({f"{part.source}/{part.split}" for part in parts}) for suite, parts in spec.suites.items()
        },
    }
    safe: dict[str, Any] = all_visible(facts)
    return with_doubts(safe)


def _source(spec: LookSpec, name: str, root: Path, twins: Twins, tokenizer: Any) -> dict[str, Any]:
    """Return the facts of a source, and hand its texts to the twins."""
    source = spec.sources[name]
    facts: dict[str, Any] = {
        "described": _described(source.model_dump(mode="json", by_alias=True, exclude_none=True)),
        "splits": {},
        "examples": [],
        "tokens": None,
        "screening": {},
    }
    for split in source.splits:
        path = root / layout.shard(name, split)
        if not path.is_file():
            facts["splits"][split] = None
            continue
        table = read_item_table(path)
        report = read_json(path.with_suffix(".json")) if path.with_suffix(".json").is_file() else {}
        facts["splits"][split] = {
            **shard_facts(table),
            "read": report.get("read"),
            "rejected": (report.get("rejected") or {}).get("total"),
            "reading": reading_facts(report),
            "rejects": reject_facts(path.with_suffix(".rejects.parquet")),
        }
        twins.add(name, split, str(path), table)
        if not facts["examples"] and table.num_rows:
            shown = example_items(table, SHOWN)
            facts["examples"] = [example(item, spec.prompting, tokenizer) for item in shown]
            if tokenizer is not None:
                items = list(table_to_items(sample(table, _TOKENISED)))
                facts["tokens"] = _tokens(token_counts(items, spec.prompting, tokenizer), split, spec.max_length)
    return facts


def _described(source: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in source.items() if value not in ({}, [], None)}


def _tokens(counts: Sequence[int], split: str, longest: int) -> dict[str, Any]:
    import numpy as np

    values = np.array(counts, dtype=np.int64)
    return {"split": split, "sampled": len(values), "too_long": int((values > longest).sum()), **lengths(values)}
