"""The published study that a study names: its file, its names and ours, checked before any job."""

from posologie.config import plan
from posologie.config.study import Study
from posologie.errors import InputError
from posologie.published import check_names, read_published
from posologie.scoring.metrics import metric
from posologie.shipped import shipped


def check_published(study: Study) -> None:
    """Check the file of the published study, and that what is compared is known on both sides.

    Raises:
        InputError: naming the key or the file, what was found and what was expected.
    """
    if study.published is None:
        return
    file = study.published.file
    try:
        published = read_published(shipped(file))
    except InputError as error:
        raise InputError(f"published.file: {error}") from None
    compared = {f"aggregates.{name}.compared_with": one.compared_with for name, one in published.aggregates.items()}
    for key, one in compared.items():
        decodings = _metric(f"{file}: {key}.metric", one.metric)
        if one.decoding not in decodings:
            raise InputError(
                f"published.file: {file}: {key}.decoding = '{one.decoding}': '{one.metric}' scores no such answers; "
                f"choose {' or '.join(decodings)}"
            )
    for ratings, values in published.agreement.items():
        for rater in values:
            _metric(f"{file}: agreement.{ratings}", rater)
    ours = {
        "backbones": (*study.backbones, *study.published_models),
        "mixes": study.mixes,
        "suites": study.suites,
        "judges": study.judges,
        "ratings": study.judging.ratings,
        "components": plan.components(study),
        "translators": study.translators,
        "test_sets": study.collections,
    }
    check_names(file, published, study.published.names(), ours)


def _metric(key: str, name: str) -> tuple[str, ...]:
    """Return the decodings of a metric, or of a judge as a metric."""
    try:
        return metric(name).decodings
    except InputError as error:
        raise InputError(f"published.file: {key}: {error}") from None
