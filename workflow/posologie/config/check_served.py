"""What a study says of models behind servers, checked before any job."""

from collections.abc import Iterable

from posologie.config import plan
from posologie.config.study import Study
from posologie.errors import InputError
from posologie.generation.backends.spec import Engine
from posologie.prediction.endpoint_spec import Served


def check_served(study: Study, key: str, served: Served) -> None:
    """Check that a served model can answer what every table counts: constrained answers, by the automaton's rules."""
    if isinstance(served.backend, Engine):
        check_local_model(study, f"{key}.backend.model", served.backend.model)
        check_engine(study, f"{key}.backend", served.backend)
    elif served.backend.structured in ("json_object", "none"):
        found = served.backend.structured
        raise InputError(
            f"{key}.backend.structured = '{found}': expected json_schema or a grammar, for constrained answers"
        )
    for name, suite in study.suites.items():
        if suite.protocol == "published":
            raise InputError(f"suites.{name}.protocol = 'published': its masks need a local model, and {key} is none")


def check_local_model(study: Study, key: str, name: str) -> None:
    """Check that a model that runs here is one of the study's."""
    if name not in study.local_models and name not in study.backbones:
        raise unknown(key, name, [*study.local_models, *study.backbones])


def check_engine(study: Study, key: str, engine: Engine) -> None:
    """Check that a job of an engine is given the GPUs that its model is spread over, and can ask it."""
    if plan.local_model(study, engine.model).chat.answer_prefix is not None:
        raise InputError(
            f"{key}.model = '{engine.model}': its chat has an answer_prefix, which no engine can put there"
        )
    given = study.devices.gpus_per_prediction_job
    if engine.tensor_parallel > 1 and not given:
        raise InputError(
            f"{key}.tensor_parallel = {engine.tensor_parallel}: its jobs get no GPU, because"
            " devices.gpus_per_prediction_job is 0; expected at least 1 there, or tensor_parallel: 1"
        )


def unknown(key: str, value: str, expected: Iterable[str]) -> InputError:
    """Return the error for a name that is none of those that could stand there."""
    return InputError(f"{key} = '{value}': expected one of {', '.join(expected)}")
