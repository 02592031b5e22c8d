"""Facts of a study's data before anything is trained: its shards, the doses of its mixes, and example prompts."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from posologie.look.doubts import with_doubts
from posologie.look.shards import all_visible, example_items, reading_facts, reject_facts, sample, shard_facts
from posologie.look.spec import LookSpec
from posologie.look.twins import Twins
from posologie.mixes.contents import ingredients_of, lengths
from posologie.mixes.sampling import read_pool, stratum_quotas
from posologie.mixes.spec import MixSpec
from posologie.records import layout
from posologie.records.files import read_json, sha256_of_file
from posologie.records.items import Item, Split, read_item_table, table_to_items
from posologie.records.prompting import Prompting, assistant_turn, chat, option_order
from posologie.running.errors import InputError
from posologie.screening.__main__ import main as screen
from posologie.screening.spec import ScreeningSpec

SCREENED_AT_MOST = 20_000
"""Items, those compared with included, up to which a look screens by itself where nothing is screened yet."""

Shard = tuple[str, Split]


def screening_facts(
    spec: LookSpec, root: Path, screened: Mapping[Shard, Path], temporary: Path
) -> tuple[dict[Shard, dict[str, Any]], dict[Shard, Path]]:
    """Return what screening says of each shard, and the files of the items that remain.

    What the study has screened is read. The rest is screened here, into a temporary folder, where it is small; a screen
    by a judge is left out, because the ratings may not be there.

    Args:
        screened: the screened shards of the study that exist.
    """
    facts: dict[Shard, dict[str, Any]] = {}
    remaining: dict[Shard, Path] = {}
    for source, splits in spec.screened.items():
        for split in splits:
            shard = root / layout.shard(source, split)
            if not shard.is_file():
                continue
            file = screened.get((source, split))
            if file is not None:
                report = _counts(file.with_suffix(".json"))
                if report["read"] == _rows(shard):
                    facts[source, split] = {**report, "by": "the study"}
                    remaining[source, split] = file
                    continue
            inputs = _inputs(spec, root, source, split)
            items = sum(_rows(path) for path in {shard, *(path for paths in inputs.values() for path in paths)})
            lacking = [path for paths in inputs.values() for path in paths if not path.is_file()]
            if lacking or items > SCREENED_AT_MOST:
                reason = f"{lacking[0]} is not read yet" if lacking else f"{items:,} items would have to be compared"
                facts[source, split] = {"by": None, "reason": reason}
                continue
            try:
                remaining[source, split], report = _screened(spec, source, split, shard, inputs, temporary)
                facts[source, split] = {**report, "by": "this look"}
            except InputError as error:
                facts[source, split] = {"by": None, "reason": str(error)}
    return facts, remaining


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
    screening = ScreeningSpec(
        source=source,
        split=split,
        screening=spec.screening.model_copy(update={"quality": None}),
        suites={} if off else {name: spec.suites[name] for name in spec.screening.against},
        languages={
            name: other.language for name, other in spec.sources.items() if other.language is not None and not off
        },
    )
    target = temporary / source / f"{split}.parquet"
    named = {key: [f"{path.parent.name}={path}" for path in paths] for key, paths in inputs.items()}
    report, matches = target.with_suffix(".json"), target.with_suffix(".matches.parquet")
    screen(
        [
            *("--spec", screening.canonical_json(), "--items", str(shard)),
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


def mix_facts(spec: LookSpec, root: Path, remaining: Mapping[Shard, Path]) -> dict[str, Any]:
    """Return how many items each mix takes from what each source holds; a mix that cannot be met has a `problem`."""
    return {name: _mix(spec, name, root, remaining) for name in spec.mix_order}


def _mix(spec: LookSpec, name: str, root: Path, remaining: Mapping[Shard, Path]) -> dict[str, Any]:
    mix = spec.mixes[name]
    files = {
        source: remaining.get((source, "train"), root / layout.shard(source, "train"))
        for source in spec.mix_sources[name]
    }
    missing = [source for source, path in files.items() if not path.is_file()]
    facts: dict[str, Any] = {"tasks": list(mix.tasks), "parts": [], "strata": [], "problem": None, "items": None}
    if missing:
        return {**facts, "problem": f"not known yet: no training shard of {', '.join(missing)}"}
    pools = {source: read_pool(source, path, mix.tasks, mix) for source, path in files.items()}
    provenance_of = {source: spec.sources[source].provenance for source in pools}
    whole = MixSpec(name=name, mix=mix, seed=0, provenance_of=provenance_of, validation=spec.validation)
    try:
        ingredients = ingredients_of(whole, pools)
        strata = [
            (source, stratum_quotas(pools[source], quota, mix))
            for ingredient in ingredients
            for source, quota in ingredient.quotas.items()
            if quota
        ]
    except InputError as error:
        return {**facts, "problem": _without_paths(str(error).removeprefix(f"mix {name}: "), files)}
    facts["parts"] = [
        {"part": ingredient.name, "asked": ingredient.requested, "held": ingredient.held, "taken": ingredient.quotas}
        for ingredient in ingredients
    ]
    facts["items"] = sum(ingredient.requested for ingredient in ingredients)
    facts["strata"] = [
        {"source": source, "stratum": stratum, **counts}
        for source, quotas in strata
        for stratum, counts in quotas.items()
        if mix.strata
    ]
    return facts


def _without_paths(text: str, files: Mapping[str, Path]) -> str:
    """Return a text that names sources instead of their files, which may lie in a folder that is already gone."""
    for source, path in files.items():
        text = text.replace(str(path), f"the training items of {source}")
    return text


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is deleted after the look."""
    return tempfile.TemporaryDirectory(prefix="posologie-look-")


_OPENS, _CLOSES = "\ue0fe", "\ue0ff"
"""Signs of private use, which stand around the right options while a prompt is rendered."""


def example(item: Item, prompting: Prompting, tokenizer: Any) -> dict[str, Any]:
    """Return an item as it is put to a model in training: pieces of text, each `prompt`, `gold` or `answer`.

    Without a tokenizer, the turns stand for themselves. The right options of the prompt are `gold`, and so is the whole
    of the text that is learned, `answer`.
    """
    prompt, answer = _rendered(item, prompting, tokenizer)
    marked = tuple(
        f"{_OPENS}{text}{_CLOSES}" if index in item.gold else text for index, text in enumerate(item.options)
    )
    pieces = _pieces(_rendered(replace(item, options=marked), prompting, tokenizer)[0])
    if "".join(piece["text"] for piece in pieces) != prompt:
        pieces = [{"kind": "prompt", "text": prompt}]
    tokens = None
    if tokenizer is not None:
        tokens = len(tokenizer(prompt + answer, add_special_tokens=False)["input_ids"])
    return {
        **{"id": item.id, "task": item.task, "split": item.split, "tokens": tokens},
        "pieces": [*pieces, {"kind": "answer", "text": answer}],
    }


def token_counts(items: Sequence[Item], prompting: Prompting, tokenizer: Any) -> list[int]:
    """Return the tokens of each item as an example of training."""
    texts = ["".join(_rendered(item, prompting, tokenizer)) for item in items]
    return [len(tokens) for tokens in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []


def _rendered(item: Item, prompting: Prompting, tokenizer: Any) -> tuple[str, str]:
    """Return the prompt, and what the model is to write after it."""
    order = option_order(item.id, len(item.options), "original", 0)
    turns, reply = chat(item, order, prompting), assistant_turn(item, order, prompting)
    if tokenizer is None:
        return "\n\n".join(turn["content"] for turn in turns) + "\n\n", reply
    prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": reply}], tokenize=False)
    if not whole.startswith(prompt):
        raise InputError(f"item '{item.id}': the chat template does not put the answer after the prompt")
    return prompt, whole[len(prompt) :]


def _pieces(text: str) -> list[dict[str, str]]:
    pieces = []
    for number, part in enumerate(text.split(_OPENS)):
        gold, _, rest = part.partition(_CLOSES) if number else ("", "", part)
        pieces += [{"kind": "gold", "text": gold}, {"kind": "prompt", "text": rest}]
    return [piece for piece in pieces if piece["text"]]


SHOWN = 5
"""Items of each source that are shown as the model sees them."""
_TOKENISED = 500
FORM = 1
"""Version of the facts' form: others are not read."""


def identity(spec: LookSpec, root: Path, screened: Sequence[Path], backbone: Path | None) -> str:
    """Return a hash over all that the facts depend on: equal hashes mean that the facts need not be computed again."""
    digest = hashlib.sha256(f"{FORM}\0{spec.canonical_json()}".encode())
    shards = [root / layout.shard(name, split) for name, source in spec.sources.items() for split in source.splits]
    tables = [*shards, *sorted(screened)]
    for path in [
        *tables,
        *(path.with_suffix(".json") for path in tables),
        *([backbone] if backbone is not None else []),
    ]:
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
    screened_shards: dict[Shard, Path] = {(path.parent.name, path.stem): path for path in screened}  # type: ignore[misc]
    with temporary_folder() as temporary:
        screening, remaining = screening_facts(spec, root, screened_shards, Path(temporary))
        mixes = mix_facts(spec, root, remaining)
    for (name, split), facts in screening.items():
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
