"""What the report, its figures and its item browser depend on."""

import operator

from pydantic import Field

from posologie.models.spec import ChatForm
from posologie.records.components import DEFAULT, Shown
from posologie.records.prompting import Prompting
from posologie.records.specs import Name, Spec
from posologie.statistics.spec import EvaluatedModel, Statistics


class Report(Spec):
    """How the report is laid out (section `report`)."""

    language: str = Field(default="fr", pattern=r"^[a-z]{2,3}$", description="language of the item texts (ISO 639)")
    item_browser: bool = Field(default=True, description="write the browser of single items beside the page")
    items_per_file: int = Field(
        default=200, ge=10, le=5000, description="items in one data file of the browser, which the page loads on demand"
    )
    items_in_page: int = Field(
        default=500,
        ge=0,
        le=5000,
        description="largest number of items whose browser data are in the page itself, which can then be sent alone",
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
    licenses: dict[Name, str] = Field(
        default_factory=dict,
        exclude_if=operator.not_,
        description="licence of each source, collection and backbone, for the checklist of the section for a paper",
    )

    def figures(self) -> tuple[str, ...]:
        """Return the names of the figures: known before any table is made, so that a rule can declare the files."""
        alone = ("transfer", "attribution", "dose_response", "oeq", "position", "generator", "published", "surface")
        drawn = {
            "contrasts": ("answer", "effects"),
            "mcqa": ("mcqa",),
            "agreement": ("agreement", "calibration"),
            **{name: (name,) for name in (*alone, "composition", "screening", "leakage", "compute")},
        }
        names_drawn = [name for table, names in drawn.items() if table in self.tables for name in names]
        return (
            *names_drawn,
            *(("training",) if any(model.kind == "mix" and not model.published for model in self.models) else ()),
        )


class PromptForm(Spec):
    """How prompts were put to some of the models."""

    models: tuple[str, ...] = Field(min_length=1, description="models that were sent the same prompts")
    backbone: str = Field(
        default="", description="folder of the model whose chat template was used; empty: a server got the turns"
    )
    chat: ChatForm = ChatForm()


class BrowserSpec(Spec):
    """Exactly what the item browser depends on, beside shards, predictions, audits, scores and judgements."""

    study: str = Field(default="", description="name of the study, by which items are cited")
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
    mixes: dict[Name, tuple[int, ...]] = Field(
        default_factory=dict, description="mixes and the seeds of their draws, which were audited against every suite"
    )
    prompting: Prompting | None = Field(default=None, description="how items were put to the models")
    forms: tuple[PromptForm, ...] = Field(default=(), description="models whose prompts are shown; not those of files")
    text_metric: str = Field(default="rouge2", description="score of open answers without a verdict")
    items_per_file: int = Field(default=200, ge=10, le=5000)
