"""The table of artifacts: what a study makes below `results/{study}/`, by which rules, of what.

Tests hold it against the rules, the specification (results/README.md) and `posologie.records.layout`. No job imports
it, so a new kind of artifact re-makes nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Kind:
    """One kind of artifact.

    Attributes:
        name: what one is called.
        path: its first file, beside which its seal lies, below the study's folder; names in braces are wildcards.
        rules: the rules that make it, with `*` for what they are called after (readers, backends, bundles, tables).
        beside: its other files, by what stands in place of the first one's suffix, or by their names.
        made_of: the kinds that it is made of, beside what the configuration names.
    """

    name: str
    path: str
    rules: tuple[str, ...]
    beside: tuple[str, ...] = ()
    made_of: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The folder below the study's that holds it: its stage."""
        return self.path.partition("/")[0]

    @property
    def recorded(self) -> bool:
        """Whether a run record lies beside it."""
        return any(name.endswith("run.json") for name in self.beside)

    def paths(self) -> Iterator[str]:
        """Yield the paths of its files, the first one first."""
        yield self.path
        for name in self.beside:
            path = PurePosixPath(self.path)
            yield str(path.with_suffix("")) + name if name.startswith(".") else str(path.with_name(name))


_COUNTED = (".rejects.parquet", ".json")
_ANSWERS = ("predict_*", "ask_*", "import_answers_*", "predict_merged_*")
_ADAPTER = ("adapter_config.json", "history.parquet", "run.json")

KINDS = (
    Kind("documents", "documents/{collection}.parquet", ("collect_*",), _COUNTED),
    Kind("generated", "generated/{generator}/{collection}.parquet", ("gather_parts",), _COUNTED, ("documents",)),
    Kind("translated", "translated/{translator}/{source}/{split}.parquet", ("gather_parts",), _COUNTED, ("shard",)),
    Kind(
        "translation_quality",
        "translation_quality/{translator}.parquet",
        ("translate_parallel_text_with_*",),
        (".run.json",),
        ("documents",),
    ),
    Kind(
        "comet",
        "translation_quality/{translator}.comet.parquet",
        ("score_translations_with_comet",),
        (".json",),
        ("translation_quality",),
    ),
    Kind("shard", "shards/{source}/{split}.parquet", ("read_*",), _COUNTED, ("generated", "translated")),
    Kind("quality", "quality/{judge}/{source}.parquet", ("rate_items_with_*",), (".run.json",), ("shard",)),
    Kind(
        "screened",
        "screened/{source}/{split}.parquet",
        ("screen_shard",),
        (".json", ".matches.parquet"),
        ("shard", "quality"),
    ),
    Kind(
        "screened_documents",
        "screened_documents/{collection}.parquet",
        ("screen_documents",),
        (".json", ".matches.parquet"),
        ("documents", "shard"),
    ),
    Kind(
        "mix",
        "mixes/{mix}/seed-{seed}/train.parquet",
        ("draw_mix",),
        ("validation.parquet", "composition.json"),
        ("screened",),
    ),
    Kind("leakage", "leakage/{mix}/seed-{seed}/{suite}.parquet", ("audit_leakage",), (), ("mix", "shard")),
    Kind("look", "look/facts.json", ("look_at_shards",), ("{page}.html",), ("shard", "screened")),
    Kind("adapter", "adapters/{model}/adapter_model.safetensors", ("train_adapter",), _ADAPTER, ("mix",)),
    Kind("merged", "merged/{model}/manifest.json", ("merge_adapter",), (), ("adapter",)),
    Kind("cards", "cards/{model}/{form}/README.md", ("write_card",), (), ("adapter", "table")),
    Kind("pushed", "pushed/{model}/{form}.json", ("push_model",), (), ("cards", "adapter", "merged")),
    Kind("predictions", "predictions/{model}/{suite}.parquet", _ANSWERS, (".run.json",), ("adapter", "shard")),
    Kind("scores", "scores/{model}/{suite}.parquet", ("score_predictions",), (), ("predictions", "shard")),
    Kind(
        "scores_neural", "scores_neural/{model}/{suite}.parquet", ("score_predictions_neurally",), (), ("predictions",)
    ),
    Kind("kit", "human/kits/{kit}/key.parquet", ("make_kit_*",), ("{rater}.xlsx",), ("predictions", "judgements")),
    Kind("human", "human/{ratings}.parquet", ("import_ratings",), (".json",), ("kit",)),
    Kind("human_scores", "human_scores/{ratings}.parquet", ("score_ratings",), (), ("human",)),
    Kind(
        "calibration", "judgements/{judge}/calibration/{ratings}.parquet", ("calibrate_*",), (".run.json",), ("human",)
    ),
    Kind(
        "judgements",
        "judgements/{judge}/{model}/{suite}.parquet",
        ("judge_with_*",),
        (".run.json",),
        ("predictions", "shard"),
    ),
    Kind("table", "tables/{table}.csv", ("tabulate_*",), (".tex",), ("scores", "scores_neural", "judgements")),
    Kind("figure", "figures/{figure}.svg", ("draw_figures",), (".pdf",), ("table",)),
    Kind("report", "report/index.html", ("write_report",), (), ("table", "figure", "items")),
    Kind("items", "report/items/index.js", ("browse_items",), (), ("predictions", "scores")),
)
"""Every kind of artifact, in the order in which they are made.

Not among them: `registration.json` and `accepted.json`, which commands write, and the parts of generated and translated
items, which are gathered and deleted.
"""


def kind_of(path: str) -> Kind | None:
    """Return the kind of the artifact that a file belongs to; None for any other file.

    Args:
        path: below the study's folder.
    """
    return next((kind for kind, pattern in _patterns() if pattern.fullmatch(path)), None)


def run_records(root: Path) -> list[Path]:
    """Return the run records of all artifacts below a study's folder, sorted."""
    folders = dict.fromkeys(kind.folder for kind in KINDS if kind.recorded)
    return sorted({path for folder in folders for path in (root / folder).rglob("*run.json") if _is_record(path, root)})


def _is_record(path: Path, root: Path) -> bool:
    kind = kind_of(path.relative_to(root).as_posix())
    return kind is not None and kind.recorded


@cache
def _patterns() -> tuple[tuple[Kind, re.Pattern[str]], ...]:
    """Return a pattern for each file of each kind, those with the fewest wildcards first.

    The name of a model holds slashes, no other name does.
    """
    files = [(kind, path) for kind in KINDS for path in kind.paths()]
    files.sort(key=lambda file: (file[1].count("{"), -len(file[1])))
    return tuple((kind, re.compile(_WILDCARD.sub(_any_name, re.escape(path)))) for kind, path in files)


_WILDCARD = re.compile(r"\\{(\w+)\\}")


def _any_name(wildcard: re.Match[str]) -> str:
    return "(.+)" if wildcard[1] == "model" else "([^/]+)"
