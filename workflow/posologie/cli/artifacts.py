"""Which artifacts a study has when it is finished, and which of them are there."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from posologie.cli.places import results_of
from posologie.config import merging, plan
from posologie.config.study import Study
from posologie.config.tables import tables
from posologie.records import layout


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


def _files(study: Study) -> Iterator[tuple[str, str, str, str | None]]:
    screened = _screened(study)
    for made in plan.made_artifacts(study):
        kind, _, name = made.partition("/")
        yield kind, name, f"{made}.parquet", None
    for name, split in _shards(study, screened):
        yield "shards", f"{name}/{split}", layout.shard(name, split), None
    if (quality := study.screening.quality) is not None:
        for source in plan.rated_sources(study):
            yield "quality", f"{quality.judge}/{source}", layout.quality(quality.judge, source), None
    for name, split in screened:
        yield "screened", f"{name}/{split}", layout.screened(name, split), None
    for mix in study.mixes:
        for seed in plan.sampling_seeds(study, mix):
            yield "mixes", f"{mix}/seed-{seed}", layout.mix(mix, seed, "train"), None
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
    for name, file in _judged(study, list(models)):
        yield "judgements", name, file, layout.beside(file, ".run.json")
    for table in tables(study):
        yield "tables", table, layout.table(table), None
    yield "report", "index.html", "report/index.html", None


def _judged(study: Study, models: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and file of verdicts: of the suites' judges on every model, of every judge on the human ratings."""
    for judge, model, suite in product(plan.suite_judges(study), models, plan.open_suites(study)):
        yield f"{judge}/{model}/{suite}", layout.judgements(judge, model, suite)
    for judge, ratings in product(study.judges, study.judging.ratings):
        yield f"{judge}/calibration/{ratings}", layout.calibration(judge, ratings)


def _screened(study: Study) -> list[tuple[str, str]]:
    """Return source and split of every screened shard that a mix is drawn from."""
    trained = dict.fromkeys((name, "train") for mix in study.mixes for name in plan.mix_sources(study, mix))
    checked = [(name, "validation") for name in plan.validation_sources(study)] if study.mixes else []
    return [*trained, *checked]


def _shards(study: Study, screened: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return source and split of every shard that is tested on, screened, or screened against."""
    tested: list[tuple[str, str]] = [*plan.suite_shards(study, study.suites)]
    earlier = [
        (name, split)
        for source, split in screened
        for name in plan.earlier_sources(study, source)
        if split in study.sources[name].splits
    ]
    return list(dict.fromkeys([*tested, *screened, *earlier]))
