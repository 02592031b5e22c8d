"""What the report, its figures and its item browser depend on."""

import operator

from pydantic import Field

from posologie.records.components import DEFAULT, Shown
from posologie.records.specs import Name, Spec
from posologie.statistics.spec import EvaluatedModel, Statistics


class Report(Spec):
    """How the report is laid out (the section `report` of a study's configuration)."""

    language: str = Field(default="fr", pattern=r"^[a-z]{2,3}$", description="language of the item texts (ISO 639)")
    item_browser: bool = Field(default=True, description="write the browser of single items beside the page")
    items_per_file: int = Field(
        default=200, ge=10, le=5000, description="items in one data file of the browser, which a page loads by need"
    )
    items_in_page: int = Field(
        default=500,
        ge=0,
        le=5000,
        description="up to how many items the browser's data stand in the page itself, which can then be sent alone",
    )


class ReportSpec(Spec):
    """Exactly what the page and the figures depend on, beside the tables and run records below the study's folder."""

    study: Name
    title: str = Field(default="", description="heading of the page; made from the study's name if left out")
    demonstration: bool = Field(
        default=False, description="say above the page and every table of verdicts that it shows the machinery only"
    )
    mixes: tuple[Name, ...] = Field(description="mixes in the order in which tables and figures show them")
    models: tuple[EvaluatedModel, ...] = Field(
        description="base first, then the order of the mixes; none where only judges are calibrated"
    )
    suites: tuple[Name, ...] = Field(description="none where only judges are calibrated")
    tables: tuple[Name, ...] = Field(description="tables to show; one that is named here must exist")
    components: tuple[Shown, ...] = Field(
        default=Shown.of(DEFAULT),
        exclude_if=lambda shown: shown == Shown.of(DEFAULT),
        description="components in the order in which tables and figures show them",
    )
    statistics: Statistics = Field(
        default=Statistics(), description="which numbers are the primary ones, at which level"
    )
    report: Report = Report()

    def figures(self) -> tuple[str, ...]:
        """Return the names of the figures: known before any table is made, so that a rule can declare the files."""
        drawn = {
            "contrasts": ("effects",),
            "mcqa": ("mcqa",),
            "agreement": ("agreement", "calibration"),
            **{
                name: (name,)
                for name in ("attribution", "dose_response", "oeq", "position", "generator", "published", "surface")
            },
            **{name: (name,) for name in ("composition", "compute")},
        }
        found = [name for table, names in drawn.items() if table in self.tables for name in names]
        return (
            *found,
            *(("training",) if any(model.kind == "mix" and not model.published for model in self.models) else ()),
        )


class BrowserSpec(Spec):
    """Exactly what the item browser depends on, beside shards, predictions, scores and judgements."""

    models: tuple[EvaluatedModel, ...] = Field(min_length=1)
    suites: tuple[Name, ...] = Field(min_length=1)
    judges: tuple[Name, ...] = Field(default=(), description="judges that judged every open answer")
    ratings: dict[Name, float] = Field(
        default_factory=dict, description="sets of human ratings, and the mean rating from which an answer is right"
    )
    languages: dict[Name, str] = Field(
        default_factory=dict,
        exclude_if=operator.not_,
        description="languages of the sources whose items are in another than the report's",
    )
    items_per_file: int = Field(default=200, ge=10, le=5000)
