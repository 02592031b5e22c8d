"""The registry of tables: title, module, inputs, spec, and which studies have one. A new table is entered here.

Its rule (`workflow/rules/statistics.smk`), its place in the report (among the further tables, until a section shows it)
and in `posologie status` follow from its entry; `statistics/TABLES.md` documents its columns, which a test checks.
`posologie new table NAME` writes a module to start from and prints the entry.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from posologie.config import merging, plan, table_specs
from posologie.config.study import Study
from posologie.records.specs import Spec


class Table(NamedTuple):
    """One table.

    Attributes:
        title: what it is about, in a few words.
        module: the module that writes it, below the package.
        applies: whether a study with suites has it; a study without suites has no tables but those over ratings.
        inputs: the function of `rules/functions/statistics.smk` that returns what it is made of; empty where the table
            has a rule of its own, `tabulate_{name}`, beside what it is made of.
        spec: returns what it depends on, for a table of `statistics.smk`.
        published: it shows a published study's numbers beside ours.
        of: the items of a study that it is about: scores of suites, human ratings, or the whole study.
    """

    title: str
    module: str
    applies: Callable[[Study], bool]
    inputs: str = "open_scores"
    spec: Callable[[Study], Spec] = table_specs.table_spec
    published: bool = False
    of: Literal["scores", "ratings", "study"] = "scores"


def _always(study: Study) -> bool:
    return True


def _has_ratings(study: Study) -> bool:
    return bool(study.judging.ratings)


def _has_rated_judges(study: Study) -> bool:
    return _has_ratings(study) and bool(study.judges)


def _has_choices(study: Study) -> bool:
    return bool(plan.choice_suites(study))


def _has_open(study: Study) -> bool:
    return bool(plan.open_suites(study))


def _has_mixes(study: Study) -> bool:
    return bool(study.mixes)


def _has_trained_sources(study: Study) -> bool:
    return bool(plan.trained_sources(study))


def _has_judged(study: Study) -> bool:
    return _has_open(study) and bool(plan.suite_judges(study))


def _of_ratings(title: str, name: str, applies: Callable[[Study], bool], *, published: bool = False) -> Table:
    spec = table_specs.agreement_spec
    return Table(
        title,
        f"statistics.{name}",
        applies,
        inputs="ratings_and_verdicts",
        spec=spec,
        published=published,
        of="ratings",
    )


def _own_rule(title: str, module: str, applies: Callable[[Study], bool]) -> Table:
    return Table(title, module, applies, inputs="", of="study")


TABLES: dict[str, Table] = {
    "screening": _own_rule("what screening found", "screening.matrix", _has_trained_sources),
    "topics": _own_rule("how far the sources are from the suites", "screening.topics", _has_trained_sources),
    "composition": _own_rule("what every mix holds", "statistics.composition", _always),
    "mcqa": Table("choice questions", "statistics.mcqa", _has_choices, "all_scores", published=True),
    "position": Table(
        "does the position of an option matter", "statistics.position", _has_choices, inputs="scores_and_answers"
    ),
    "oeq": Table("open questions", "statistics.oeq", _has_open, published=True),
    "length": Table(
        "judges and answer length, over whole suites", "statistics.length", _has_judged, inputs="scores_and_judgements"
    ),
    "contrasts": Table("paired differences between models", "statistics.contrasts", _always, published=True),
    "best": Table(
        "the mixes that cannot be distinguished from the best", "statistics.best", lambda study: len(study.mixes) > 1
    ),
    "published": Table(
        "the aggregates of a published study beside ours", "statistics.published",
        lambda study: study.published is not None, published=True,
    ),
    "transfer": Table(
        "gains on items of one component less gains on items of another", "statistics.transfer",
        plan.tests_several_components,
    ),
    "leakage": Table(
        "how training on tested items affects the scores", "statistics.leakage", _has_mixes,
        inputs="scores_and_leakage", spec=table_specs.leakage_table_spec,
    ),
    "proxies": Table(
        "merged models beside the trained ones", "statistics.proxies",
        lambda study: _has_choices(study) and study.proxies.merged is not None,
        inputs="proxy_scores", spec=merging.table_spec,
    ),
    "attribution": Table("what each component adds", "statistics.attribution", plan.has_attribution),
    "surface": Table(
        "the score as a function of the shares", "surface.table", plan.has_surface, spec=table_specs.surface_spec
    ),
    "dose_response": Table("sweeps", "statistics.dose_response", lambda study: bool(study.statistics.sweeps)),
    "agreement": _of_ratings("judges and metrics beside people", "agreement", _has_ratings, published=True),
    "agreement_contrasts": _of_ratings("differences in agreement", "agreement_contrasts", _has_ratings),
    "raters": _of_ratings("agreement of raters", "raters", _has_ratings),
    "verbosity": _of_ratings("length of answers and their ratings", "verbosity", _has_ratings),
    "judge_choice": _of_ratings("the choice of a judge", "judge_choice", _has_rated_judges),
    "generator": _of_ratings("a judge's error on each model's answers", "generator", _has_rated_judges),
    "corrected": Table(
        "verdicts corrected by ratings", "statistics.corrected",
        lambda study: _has_ratings(study) and _has_judged(study), "ratings_and_judgements",
        table_specs.corrected_spec, of="ratings",
    ),
    "compute": Table(
        "what the study cost", "statistics.compute", _always, "records_of_all_jobs", table_specs.compute_spec,
        of="study",
    ),
    "translation_quality": _own_rule(
        "the quality of translations", "generation.translation_quality_table",
        lambda study: bool(plan.parallel_collections(study)),
    ),
}  # fmt: skip
"""Every table, in the order of the report."""


def tables(study: Study) -> list[str]:
    """Return every table of the study, in the order of the report."""
    return [name for name, table in TABLES.items() if (study.suites or table.of == "ratings") and table.applies(study)]
