"""A finished study whose models' answers are simulated: quick to make at any size, with true scores and tables."""

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import pyarrow as pa

from posologie.mixes.contents import contents
from posologie.prediction.spec import Benchmark, Suite, prediction_schema
from posologie.records import layout
from posologie.records.components import Component, Shown
from posologie.records.files import sha256_of_file, write_json, write_parquet, write_text
from posologie.records.items import LABELS, Item, items_to_table, read_items, stable_id
from posologie.records.prompting import Prompting, option_order, variants
from posologie.records.published import PublishedNames
from posologie.report.browser import write_browser
from posologie.report.spec import BrowserSpec, PromptForm, Report, ReportSpec
from posologie.running.seals import Identity, write_seal
from posologie.scoring.spec import ScoringSpec
from posologie.screening.matches import match_schema
from posologie.statistics.spec import CompositionSpec, ComputeSpec, EvaluatedModel, Statistics, TableSpec
from posologie.training.checkpoints import SCHEMA as HISTORY

MIXES = {
    "NAT": {"native": 1.0},
    "TRAD": {"translated": 1.0},
    "SYN": {"synthetic": 1.0},
    "NAT-TRAD": {"native": 0.5, "translated": 0.5},
    "NAT-SYN": {"native": 0.5, "synthetic": 0.5},
    "TRAD-SYN": {"translated": 0.5, "synthetic": 0.5},
    "ALL": {"native": 1 / 3, "translated": 1 / 3, "synthetic": 1 / 3},
}
SKILL = {"NAT": 0.6, "TRAD": 0.1, "SYN": -1.2, "NAT-TRAD": 1.0, "NAT-SYN": 0.3, "TRAD-SYN": -0.3, "ALL": 0.7}
WORDS = [
    "le",
    "patient",
    "présente",
    "une",
    "infection",
    "traitée",
    "par",
    "antibiotique",
    "avec",
    "surveillance",
    "clinique",
    "et",
    "biologique",
]
TABLES = ("composition", "mcqa", "oeq", "contrasts", "best", "published", "compute", "position", "attribution")
BESIDE_PUBLISHED = ("mcqa", "oeq", "contrasts", "published")


@dataclass(frozen=True)
class SimulatedStudy:
    """Where a simulated study lies, and the specs of what is made of it."""

    root: Path
    tables: TableSpec
    report: ReportSpec
    browser: BrowserSpec
    shards: tuple[str, ...]


def make_study(
    root: Path,
    *,
    choices: int = 40,
    open_questions: int = 8,
    permutations: int = 1,
    seeds: tuple[int, ...] = (42,),
    demonstration: bool = False,
    tables: tuple[str, ...] = TABLES,
    mixes: Mapping[str, Mapping[str, float]] = MIXES,
    tested: Mapping[str, str] = {"translated": "translated", "native": "native"},
    components: Mapping[str, Component] = {},
    questions: Sequence[Item] = (),
    language: str = "fr",
) -> SimulatedStudy:
    """Make items, predictions, run records, scores and tables below `root`.

    Args:
        choices: number of choice questions, as many of each tested source.
        tables: those to make; none leaves the scores of choice questions out too.
        mixes: share of each component in each mix.
        tested: component of each tested source.
        components: those that the study declares.
        questions: choice questions that are asked, and stand for the mixes too, in place of made ones.
        language: of the items.
    """
    sources = list(tested)
    items = list(questions) or [
        _item(number, source, "mcqu" if number % 3 else "mcq", tested[source])
        for number in range(choices)
        for source in [sources[number % len(sources)]]
    ]
    items += [_item(number, "native", "oeq") for number in range(open_questions)]
    shards = []
    for source in sorted(tested):
        shard = root / layout.shard(source, "test")
        write_parquet(
            shard, items_to_table(sorted((item for item in items if item.source == source), key=lambda item: item.id))
        )
        _seal("sources.columns", [], [shard])
        shards.append(f"{source}={shard}")
    suites = {
        "mcqa": Suite(
            benchmarks={source: Benchmark(source=source, tasks=("mcqu", "mcq")) for source in sorted(tested)},
            permutations=permutations,
        )
    }
    if open_questions:
        suites["oeq"] = Suite(benchmarks={"open": Benchmark(source="native", tasks=("oeq",))}, max_new_tokens=32)
    models = [EvaluatedModel(name="tiny/base", kind="base", backbone="tiny")]
    models += [
        EvaluatedModel(name=f"tiny/{mix}/seed-{seed}", kind="mix", backbone="tiny", mix=mix, seed=seed)
        for mix in mixes
        for seed in seeds
    ]
    stock = list(questions) or [_item(number, "native", "mcqu") for number in range(24)]
    for path in (layout.shard("native", "train"), layout.screened("native", "train")):
        write_parquet(root / path, items_to_table(stock))
    _seal("sources.columns", [], [root / layout.shard("native", "train")])
    _seal("screening", [root / layout.shard("native", "train")], [root / layout.screened("native", "train")])
    for mix, shares in mixes.items():
        for seed in seeds:
            _compose(root, mix, seed, shares, stock)
    for model in models:
        if model.mix:
            _train(root, model)
        for name, suite in suites.items():
            unread = "Je ne sais pas." if language == "fr" else "…"
            rows = [row for item in items for row in _answers(model, item, name, suite, unread)]
            rows.sort(key=lambda row: (row["benchmark"], row["item"], row["variant"]))
            write_parquet(root / layout.predictions(model.name, name), pa.Table.from_pylist(rows, prediction_schema()))
            inputs = [path.split("=")[1] for path in shards]
            if model.mix:
                inputs.append(root / layout.adapter(model.name, "adapter_model.safetensors"))
            run = root / layout.predictions_run(model.name, name)
            write_json(run, _record("prediction", model, len(rows), inputs))
            _seal("prediction", inputs, [root / layout.predictions(model.name, name), run])
    statistics = Statistics(replicates=200)
    spec = TableSpec(
        models=tuple(models),
        suites=suites,
        statistics=statistics,
        demonstration=demonstration,
        blends=mixes,
        components=tuple(components),
        published=PublishedNames(backbones={"tiny": "qwen3-4b"}) if "published" in tables else None,
    )
    if tables:
        _score_and_tabulate(root, spec, shards, tables)
    names = {"mixes": tuple(mixes), "models": tuple(models), "suites": tuple(suites), "tables": tables}
    shown = {"components": Shown.of(components)} if components else {}
    shown["report"] = Report(language=language)
    report = ReportSpec(study="simulated", demonstration=demonstration, statistics=statistics, **names, **shown)
    browser = BrowserSpec(models=tuple(models), suites=tuple(suites), items_per_file=Report().items_per_file)
    return SimulatedStudy(root, spec, report, browser, tuple(shards))


def with_evidence(study: SimulatedStudy) -> SimulatedStudy:
    """Return the study with what stands beside its items: prompts, audits, a judge's verdicts and people's ratings.

    The first tested choice question has a twin that NAT and ALL train on and one that was left out; a judge and people
    judge the first answer of the base model differently.
    """
    root, spec = study.root, study.browser
    questions = read_items(study.shards[0].split("=")[1])
    choice = min((item for item in questions if item.options), key=lambda item: item.id)
    trained = read_items(root / layout.shard("native", "train"))[:2]
    match = {"source": "native", "split": "train", "place": "test", "suite": "mcqa", "matched": choice.id}
    match |= {"matched_source": choice.source, "matched_split": "test", "similarity": 0.91, "same_answer": True}
    held = {**match, "item": trained[0].id, "kind": "near", "same_facts": True, "removed": False}
    left_out = {**held, "item": trained[1].id, "kind": "exact", "similarity": 1.0, "removed": True}
    for mix in MIXES:
        for suite in spec.suites:
            rows = [held] if mix in ("NAT", "ALL") and suite == "mcqa" else []
            write_parquet(root / layout.leakage(mix, 42, suite), pa.Table.from_pylist(rows, match_schema()))
    matches = root / "screened" / "native" / "train.matches.parquet"
    write_parquet(matches, pa.Table.from_pylist([left_out], match_schema()))
    asked = [item for item in read_items(root / layout.shard("native", "test")) if item.task == "oeq"]
    for model in spec.models:
        verdicts = [{"item": item.id, "benchmark": "open", "label": 1} for item in asked]
        write_parquet(root / layout.judgements("strict", model.name, "oeq"), pa.Table.from_pylist(verdicts))
    ratings = [
        {"item": item.id, "generator": "tiny/base", "rating": rating} for item in asked[:2] for rating in (0.0, 0.5)
    ]
    ratings[2]["rating"] = ratings[3]["rating"] = 1.0
    write_parquet(root / layout.human("physicians"), pa.Table.from_pylist(ratings))
    names = tuple(model.name for model in spec.models)
    beside = {
        "study": "simulated",
        "mixes": dict.fromkeys(MIXES, (42,)),
        "judges": ("strict",),
        "ratings": {"physicians": 0.6},
        "prompting": Prompting(system="Réponds par la lettre."),
        "forms": (PromptForm(models=names),),
    }
    return replace(study, browser=spec.model_copy(update=beside))


def write_browsed(study: SimulatedStudy, index: Path) -> None:
    """Write the item browser of a simulated study."""
    shards = [path.split("=")[1] for path in study.shards]
    matches = [path for path in [study.root / "screened" / "native" / "train.matches.parquet"] if path.exists()]
    write_browser(
        study.browser,
        study.root,
        shards,
        index,
        trained=[study.root / layout.shard("native", "train")],
        matches=matches,
    )


def _item(number: int, source: str, task: str, component: str = "") -> Item:
    words = random.Random(f"{task}-{number}")
    options = () if task == "oeq" else tuple(f"Réponse {number}-{letter}" for letter in LABELS[:5])
    gold = () if task == "oeq" else tuple(sorted(words.sample(range(5), 1 if task == "mcqu" else 2)))
    return Item(
        id=stable_id(source, task, str(number)),
        source=source,
        provenance=component or source,
        split="test",
        task=task,
        question=f"Question {number} <b>sur</b> {' '.join(words.choices(WORDS, k=8))} ?",
        context="",
        options=options,
        gold=gold,
        answer=" ".join(words.choices(WORDS, k=12)) if task == "oeq" else "",
        group=stable_id("case", str(number // 2)) if number < 6 else stable_id(source, task, str(number)),
    )


def _answers(model: EvaluatedModel, item: Item, suite_name: str, suite: Suite, unread: str):
    if (item.task == "oeq") != (suite_name == "oeq"):
        return
    for variant in variants(suite.permutations if item.options else 0):
        chance = random.Random(f"{model.name}/{item.id}/{variant}")
        row = {
            "item": item.id,
            "benchmark": "open" if item.task == "oeq" else item.source,
            "variant": variant,
            "source": item.source,
            "provenance": item.provenance,
            "task": item.task,
            "group": item.group,
            "prompt_tokens": 40,
            "generated_tokens": 3,
            "finish": "stop",
        }
        yield row | (
            _open_answer(item, chance) if item.task == "oeq" else _choice(model, item, variant, chance, unread)
        )


def _open_answer(item: Item, chance: random.Random) -> dict:
    kept = [word for word in item.answer.split() if chance.random() < 0.6]
    return {"option_order": [], "gold": [], "greedy_text": " ".join([*kept, "<script>alert(1)</script>"])}


def _choice(model: EvaluatedModel, item: Item, variant: str, chance: random.Random, unread: str) -> dict:
    order = option_order(item.id, len(item.options), variant, 42)
    easy = int(hashlib.sha256(item.id.encode()).hexdigest()[:4], 16) / 0xFFFF
    right = chance.random() < 1 / (1 + math.exp(2 * (easy - 0.6) - SKILL.get(model.mix or "", 0)))
    gold = [place for place, option in enumerate(order) if option in item.gold]
    wrong = chance.sample(range(len(order)), len(gold))
    labels = sorted(gold if right else wrong)
    share = [0.5 / (len(order) - 1)] * len(order)
    share[labels[0]] = 0.5
    readable = chance.random() > 0.05
    return {
        "option_order": list(order),
        "gold": gold,
        "greedy_text": ",".join(LABELS[label] for label in labels) if readable else unread,
        "greedy_outcome": "labels" if readable else "none",
        "greedy_labels": labels if readable else None,
        "constrained_labels": labels,
        "label_probabilities": share,
        "label_mass": 0.9,
    }


def _hashed(files: list) -> dict:
    return {str(number): {"file": str(path), "sha256": sha256_of_file(path)} for number, path in enumerate(files)}


def _seal(module: str, inputs: list, outputs: list) -> None:
    """Seal an artifact as the job of a rule does."""
    made = {"run": "simulated", "started": "2026-01-01T00:00:00+00:00", "seconds": 60.0}
    identity = Identity(f"posologie.{module}", "0123456789abcdef", {"simulated": True})
    write_seal(outputs, identity, {str(path): sha256_of_file(path) for path in inputs}, made)


def _record(stage: str, model: EvaluatedModel, rows: int, inputs: list) -> dict:
    return {
        "stage": stage,
        "spec": {"model": model.name, "stage": stage, "recipe": {"learning_rate": 1e-4}},
        "inputs": _hashed(inputs),
        "code": "0123456789abcdef",
        "libraries": {"python": "3.11.7", "torch": "2.13.0"},
        "hardware": {"machine": "x86_64", "cpus": 2, "gpus": []},
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 60.0 + len(model.name),
        "peak_memory_bytes": {"process": 10**9, "gpu": None},
        "gpu_energy_joules": None,
        "prompt_tokens": 40 * rows,
        "generated_tokens": 3 * rows,
        "tokens": 1000,
        "chat_template_sha256": "3" * 64,
    }


def _train(root: Path, model: EvaluatedModel) -> None:
    updates = [
        {
            "step": step, "epoch": (step + 4) // 5, "loss": 1 + math.exp(-step / 5), "learning_rate": 1e-4,
            "gradient_norm": 1.0, "examples": 4, "tokens": 400, "targets": 400, "seconds": 1.0,
            "validation_loss": 1.2 + math.exp(-step / 5) if step % 5 == 0 else None,
            "validation_answer_loss": 0.9 if step % 5 == 0 else None,
        }
        for step in range(1, 21)
    ]  # fmt: skip
    folder = root / layout.adapter(model.name, "")
    write_parquet(folder / "history.parquet", pa.Table.from_pylist(updates, HISTORY))
    write_text(folder / "adapter_model.safetensors", f"stands for the weights of {model.name}")
    inputs = [root / layout.mix(model.mix, model.seed, part) for part in ("train", "validation")]
    outputs = [folder / "adapter_model.safetensors", folder / "history.parquet"]
    write_json(folder / "run.json", _record("training", model, 0, inputs))
    _seal("training", inputs, [*outputs, folder / "run.json"])


def _compose(root: Path, mix: str, seed: int, shares: Mapping[str, float], stock: Sequence[Item]) -> None:
    trained = []
    for provenance, share in shares.items():
        for number in range(round(24 * share)):
            item = stock[number % len(stock)]
            trained.append(Item(**{name: getattr(item, name) for name in Item.__slots__} | {"provenance": provenance}))
    held = items_to_table(trained)
    for part in ("train", "validation"):
        write_parquet(root / layout.mix(mix, seed, part), held)
    facts = contents(held)
    write_json(
        root / layout.mix(mix, seed, "composition"),
        {"mix": mix, "seed": seed, "train": facts, "validation": facts, "redistributed": []},
    )
    made = [root / layout.mix(mix, seed, part) for part in ("train", "validation", "composition")]
    _seal("mixes", [root / layout.screened("native", "train")], made)


def _score_and_tabulate(root: Path, spec: TableSpec, shards: list[str], tables: tuple[str, ...]) -> None:
    scoring = import_module("posologie.scoring.__main__")
    for model in spec.models:
        for name, suite in spec.suites.items():
            arguments = ["--spec", ScoringSpec(suite=suite).canonical_json(), "--items", *shards]
            arguments += ["--predictions", str(root / layout.predictions(model.name, name))]
            scores = root / layout.scores(model.name, name)
            scoring.main([*arguments, "--scores", str(scores)])
            read = [root / layout.predictions(model.name, name), *(shard.split("=")[1] for shard in shards)]
            _seal("scoring", read, [scores])
    file = Path(__file__).resolve().parents[1] / "resources" / "published" / "medinjection-fr.yaml"
    published = [] if spec.published is None else ["--published", str(file)]
    seeds = {mix: tuple(model.seed for model in spec.models if model.mix == mix) for mix in spec.blends}
    own = {
        "composition": CompositionSpec(mixes=seeds, components=spec.components),
        "compute": ComputeSpec(models=spec.models, suites=tuple(spec.suites)),
    }
    for table in tables:
        arguments = ["--spec", own.get(table, spec).canonical_json(), "--results", str(root)]
        arguments += ["--table", str(root / layout.table(table))]
        arguments += published if table in BESIDE_PUBLISHED else []
        import_module(f"posologie.statistics.{table}").main(arguments)
        read = [root / layout.scores(model.name, name) for model in spec.models for name in spec.suites]
        _seal(f"statistics.{table}", read, [root / layout.table(table)])
