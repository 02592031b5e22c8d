"""Write the card of a trained model: its data, recipe, results and limits, from the records and nothing else.

python -m posologie.release.card --spec CardSpec --run run.json --composition composition.json
    [--results CSV…] --card OUT/README.md
"""

import json
from pathlib import Path
from typing import Any

from posologie.records.files import read_json, read_rows, write_text
from posologie.release.spec import CardSpec
from posologie.running import commands
from posologie.running.errors import InputError

LIMITS = (
    "Not validated for use in practice: answers can sound right and be wrong.",
    "One training run is one draw: another seed gives other numbers.",
    "The model was evaluated only on the suites below; how well it does on other tasks was not measured.",
)
_ROWS = 80
_WHERE = {"scope_kind": "all", "aggregate": "item_weighted", "variants": "original"}
_SHOWN = ("suite", "task", "metric", "decoding", "value", "low", "high", "base", "unit", "n")


def main(argv: list[str]) -> None:
    """Write a model card."""
    arguments = commands.parser("posologie.release.card", __doc__ or "")
    arguments.add_argument("--run", required=True, type=Path, help="the adapter's run.json")
    arguments.add_argument("--composition", required=True, type=Path, help="the mix's composition.json")
    arguments.add_argument("--results", nargs="*", default=[], type=Path, help="tables with a column 'model', as CSV")
    arguments.add_argument("--card", required=True, type=Path, help="README.md to write")
    options = arguments.parse_args(argv)
    spec = CardSpec.from_json(options.spec)
    results = {path.stem: results_of(path, spec.model) for path in options.results}
    write_text(options.card, card(spec, read_json(options.run), read_json(options.composition), results))


def results_of(path: Path, model: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table that are about this model, with the value of its base beside.

    Of this project's tables: every item counts once, options in their own order, all benchmarks of a suite together.

    Raises:
        InputError: if the table has no column `model`.
    """
    rows = read_rows(path)
    if not rows:
        return [], []
    if "model" not in rows[0]:
        raise InputError(f"{path}: no column 'model'; expected a table of results by model")
    rows = [row for row in rows if all(row.get(name, value) == value for name, value in _WHERE.items())]
    base = {_key(row): row["value"] for row in rows if "value" in row and row["model"] == f"{model.split('/')[0]}/base"}
    own = [row | {"base": base.get(_key(row), "")} for row in rows if row["model"] == model]
    known = _SHOWN if own and "value" in own[0] else [name for name in (own[0] if own else ()) if name != "model"]
    columns = [name for name in known if any(row.get(name) for row in own)]
    return columns, [[row.get(name, "") for name in columns] for row in own]


def _key(row: dict[str, str]) -> tuple[str | None, ...]:
    return tuple(row.get(name) for name in ("suite", "task", "metric", "decoding"))


def card(
    spec: CardSpec,
    run: dict[str, Any],
    composition: dict[str, Any],
    results: dict[str, tuple[list[str], list[list[str]]]],
) -> str:
    """Return the card as Markdown with the hub's front matter."""
    recipe, items = run["spec"]["recipe"], run["items"]["train"]
    parts = [
        _front_matter(spec),
        f"# {spec.model}\n",
        f"{_kind(spec, recipe, spec.study)}, made with Posologie.\n",
        "## Data\n",
        _table(["component", "training items"], _components(composition)),
        f"Mix `{composition['mix']}`, drawn with seed {composition['seed']}; {items['used']} items used, "
        f"{len(items['context_cut'])} with a shortened context, {len(items['rejected'])} too long and left out.\n",
        "## Recipe\n",
        _table(["setting", "value"], [[name, _shown(value)] for name, value in sorted(recipe.items())]),
        "## Training\n",
        _table(["fact", "value"], _facts(run)),
        "## Results\n",
    ]
    shown = {name: table for name, table in results.items() if table[1]}
    if not shown:
        parts.append("No result of this model is recorded.\n")
    for name, (columns, rows) in sorted(shown.items()):
        parts.append(
            f"Table `{name}`" + (f", its first {_ROWS} of {len(rows)} rows:\n" if len(rows) > _ROWS else ":\n")
        )
        parts.append(_table(columns, rows[:_ROWS]))
    parts += ["## Limits\n", "\n".join(f"- {limit}" for limit in (*spec.limits, *LIMITS)) + "\n"]
    return "\n".join(parts)


def _front_matter(spec: CardSpec) -> str:
    facts: dict[str, Any] = {
        "library_name": "transformers" if spec.merged else "peft",
        "pipeline_tag": "text-generation",
        "tags": sorted({*spec.tags, "posologie"}),
    }
    if spec.languages:
        facts["language"] = spec.languages[0] if len(spec.languages) == 1 else list(spec.languages)
    if spec.base is not None:
        facts |= {"base_model": spec.base, "base_model_relation": "finetune" if spec.merged else "adapter"}
    if spec.license is not None:
        facts["license"] = spec.license
    # Every JSON value is YAML.
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in sorted(facts.items())), "---\n"])


def _kind(spec: CardSpec, recipe: dict[str, Any], study: str) -> str:
    names = {
        "dora": "DoRA adapter",
        "lora": "LoRA adapter",
        "rslora": "rsLoRA adapter",
        "pissa": "LoRA adapter (PiSSA)",
        "full": "Full fine-tuning",
    }
    kind = f"{names[recipe['method']]} of the study *{study}*"
    return f"{kind}, merged into its backbone" if spec.merged and recipe["method"] != "full" else kind


def _components(composition: dict[str, Any]) -> list[list[str]]:
    by_component = composition["train"]["by_provenance"]
    return [[name, str(counts["items"])] for name, counts in sorted(by_component.items())]


def _facts(run: dict[str, Any]) -> list[list[str]]:
    """Return what the run record says, numbers that were not measured left out."""
    unit = "pair" if run["spec"]["recipe"].get("objective") == "dpo" else "token"
    facts = {
        "updates": run["updates"],
        "tokens": run["tokens"],
        f"loss of the last update (nats a {unit})": run["final_loss"],
        f"validation loss (nats a {unit})": run["validation_loss"],
        "validation loss of the answers": run["validation_answer_loss"],
        "epoch kept": run["kept_epoch"],
        "seconds of training": run["training_seconds"],
        "GPU energy (joules)": run["gpu_energy_joules"],
        "GPUs": ", ".join(gpu["name"] for gpu in run["hardware"]["gpus"]) or None,
        "backbone revision": run["backbone_revision"],
        "chat template (sha256)": run["chat_template_sha256"],
        "options of the chat template": json.dumps(run["spec"].get("chat", {}).get("template_options") or {}),
        "text before an answer": json.dumps(run.get("text_before_answers") or "", ensure_ascii=False),
        "code": run["code"],
    }
    facts |= {f"version of {name}": version for name, version in sorted(run["libraries"].items())}
    return [[name, _shown(value)] for name, value in facts.items() if value is not None]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped) + "\n"


if __name__ == "__main__":
    commands.run(main)
