"""A suite as a study file writes it: its benchmarks, or a task of lm-evaluation-harness that they are made from."""

from typing import Self

from pydantic import Field, model_validator

from posologie.prediction.spec import Benchmark, Suite
from posologie.specs import Name, PathText


class StudySuite(Suite):
    """A named group of benchmarks, with all variants of their items; or tasks of lm-evaluation-harness."""

    benchmarks: dict[Name, Benchmark] = Field(
        default_factory=dict, description="parts that are also reported by themselves; none beside `lm_eval`"
    )
    lm_eval: PathText | None = Field(
        default=None,
        description="task or group of lm-evaluation-harness: a YAML file, a folder of them, or a name where the "
        "package lm-eval is installed; each task becomes a source and a benchmark",
    )
    component: Name | None = Field(
        default=None, description="component of the tasks' items, beside `lm_eval`; the first if left out"
    )
    path: PathText | None = Field(
        default=None, description="local folder of the tasks' data, beside `lm_eval`; the hub if left out"
    )
    files: tuple[str, ...] | None = Field(
        default=None,
        description="patterns of the data files below the folder or repository, with `{name}` for the task's "
        "`dataset_name` and `{split}` for its split",
    )
    reject_limit: float = Field(
        default=0.2, ge=0, le=1, description="share of a task's records above which rejects stop it, beside `lm_eval`"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.benchmarks) == (self.lm_eval is not None):
            raise ValueError("exactly one of benchmarks and lm_eval")
        if self.lm_eval is None and (self.component or self.path or self.files):
            raise ValueError("component, path and files only beside lm_eval")
        return self
