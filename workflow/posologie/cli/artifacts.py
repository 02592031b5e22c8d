"""Which artifacts a study has when it is finished, and which of them are there."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath

from posologie.cli.places import results_of
from posologie.config import merging, plan
from posologie.config.job_specs import report_spec
from posologie.config.study import Study
from posologie.config.tables import tables
from posologie.records import layout
from posologie.records.artifacts import KINDS, kind_of


@dataclass(frozen=True)
class Artifact:
    """One file that the study makes.

    Attributes:
        record: the run record beside it, where it gets one.
        optional: whether the study is finished without it.
    """

    stage: str
    name: str
    file: Path
    record: Path | None = None
    optional: bool = False

    @property
    def done(self) -> bool:
        """Whether the file is there: files appear when they are whole."""
        return self.file.is_file()


def artifacts(study: Study) -> list[Artifact]:
    """Return every artifact of a study in the order they are made, then the pages that only `snakemake look` makes."""
    root = results_of(study)
    pages = [Artifact("look", name, root / layout.look(name), optional=True) for name in ("index", *study.sources)]
    return [
        *(
            Artifact(stage, name, root / file, root / record if record else None)
            for stage, name, file, record in _files(study)
        ),
        *pages,
    ]


_SETTLED = frozenset(
    ["mix", "leakage", "adapter", "predictions", "scores", "scores_neural", "judgements", "table", "figure"]
)
"""Kinds whose artifacts the study file names completely, whatever the target."""


def leftovers(study: Study, every: Iterable[Artifact]) -> list[str]:
    """Return the files of artifacts that the study no longer makes, such as those of a mix that was removed.

    Args:
        every: every artifact of the study.
    """
    root = results_of(study)
    named = {artifact.file for artifact in every}
    leftovers = []
    for kind in (kind for kind in KINDS if kind.name in _SETTLED):
        first = re.sub(r"\{\w+\}", "*", PurePosixPath(kind.path).name)
        others = (file for file in sorted((root / kind.folder).rglob(first)) if file not in named)
        leftovers += [file.as_posix() for file in others if kind_of(file.relative_to(root).as_posix()) is kind]
    return leftovers


def _files(study: Study) -> Iterator[tuple[str, str, str, str | None]]:
    screened = _screened(study)
    for artifact in plan.generated_artifacts(study):
        kind, _, name = artifact.partition("/")
        yield kind, name, f"{artifact}.parquet", None
    for name, split in _shards(study, screened):
        yield "shards", f"{name}/{split}", layout.shard(name, split), None
    if (quality := study.screening.quality) is not None:
        for source in plan.rated_sources(study):
            yield "quality", f"{quality.judge}/{source}", layout.quality(quality.judge, source), None
    for name, split in screened:
        yield "screened", f"{name}/{split}", layout.screened(name, split), None
    drawn = [(mix, seed) for mix in study.mixes for seed in plan.sampling_seeds(study, mix)]
    for mix, seed in drawn:
        yield "mixes", f"{mix}/seed-{seed}", layout.mix(mix, seed, "train"), None
    for (mix, seed), suite in product(drawn, study.suites):
        yield "leakage", f"{mix}/seed-{seed}/{suite}", layout.leakage(mix, seed, suite), None
    models = plan.models(study)
    for model in models.values():
        if model.trained:
            weights, record = (layout.adapter(model.id, file) for file in ("adapter_model.safetensors", "run.json"))
            yield "adapters", model.id, weights, record
    for kind, path_of in (("predictions", layout.predictions), ("scores", layout.scores)):
        for model_id in models:
            for suite in study.suites:
                run = layout.predictions_run(model_id, suite) if kind == "predictions" else None
                yield kind, f"{model_id}/{suite}", path_of(model_id, suite), run
    merged = [suite for suites in merging.bundles(study).values() for suite in suites]
    for kind, path_of in (("predictions", layout.predictions), ("scores", layout.scores)):
        for proxy, suite in product(merging.merged_models(study), merged):
            run = layout.predictions_run(proxy, suite) if kind == "predictions" else None
            yield kind, f"{proxy}/{suite}", path_of(proxy, suite), run
    if study.scoring.encoder is not None:
        for model_id, suite in product(models, plan.open_suites(study)):
            yield "scores_neural", f"{model_id}/{suite}", layout.scores_neural(model_id, suite), None
    for ratings in study.judging.ratings:
        yield "human", ratings, layout.human(ratings), None
        yield "human_scores", ratings, layout.human_scores(ratings), None
    for name, file in _judged(study, list(models)):
        yield "judgements", name, file, layout.beside(file, ".run.json")
    yield from _of_parallel_text(study)
    listed = tables(study)
    for table in listed:
        yield "tables", table, layout.table(table), None
    for figure in report_spec(study, listed).figures():
        yield "figures", figure, f"figures/{figure}.svg", None
    if study.report.item_browser and study.suites:
        yield "report", "items/index.js", "report/items/index.js", None
    yield "report", "index.html", "report/index.html", None


def _of_parallel_text(study: Study) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield the collections of parallel text, every translator's version of them, and its COMET scores."""
    collections = plan.parallel_collections(study)
    for name in collections:
        yield "documents", name, f"documents/{name}.parquet", None
    for translator in study.translators if collections else ():
        file = f"translation_quality/{translator}.parquet"
        yield "translation_quality", translator, file, layout.beside(file, ".run.json")
        if "comet" in study.translation_quality.metrics:
            yield "translation_quality", f"{translator}.comet", f"translation_quality/{translator}.comet.parquet", None


def _judged(study: Study, models: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and file of verdicts: of the suites' judges on every model, of every judge on the human ratings."""
    for judge, model, suite in product(plan.suite_judges(study), models, plan.open_suites(study)):
        yield f"{judge}/{model}/{suite}", layout.judgements(judge, model, suite)
    for judge, ratings in product(study.judges, study.judging.ratings):
        yield f"{judge}/calibration/{ratings}", layout.calibration(judge, ratings)


def _screened(study: Study) -> list[tuple[str, str]]:
    """Return source and split of every screened shard that a mix is drawn from, or the table of screening counts."""
    trained = dict.fromkeys((name, "train") for mix in study.mixes for name in plan.mix_sources(study, mix))
    checked = [(name, "validation") for name in plan.validation_sources(study)] if study.mixes else []
    counted = plan.screened_splits(study) if "screening" in tables(study) else {}
    others = [(name, split) for name, splits in counted.items() for split in splits]
    return list(dict.fromkeys([*trained, *checked, *others]))


def _shards(study: Study, screened: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return source and split of every shard that is tested on, screened, screened against, or counted in a table."""
    tested: list[tuple[str, str]] = [*plan.suite_shards(study, study.suites)]
    earlier = [
        (name, split)
        for source, split in screened
        for name in plan.earlier_sources(study, source)
        if split in study.sources[name].splits
    ]
    composed = study.sources if "composition" in tables(study) else ()
    counted: list[tuple[str, str]] = [(name, split) for name in composed for split in study.sources[name].splits]
    return list(dict.fromkeys([*tested, *screened, *earlier, *counted]))
