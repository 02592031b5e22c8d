"""What each mix changes: its paired differences from the base model."""

from dataclasses import dataclass

from posologie.items import PROVENANCES
from posologie.report.inputs import Inputs
from posologie.report.tables import Row
from posologie.statistics.spec import Measured


@dataclass(frozen=True)
class Effect:
    """One arm against base, on one scope.

    Attributes:
        value, low, high: difference in `unit`; the interval is None where there are too few clusters.
        verdict: `higher`, `lower` or `not settled`, after correction for multiple tests.
        note: what weakens the verdict.
    """

    arm: str
    backbone: str
    scope_kind: str
    scope: str
    n: int
    unit: str
    base: float
    value: float
    low: float | None
    high: float | None
    p_holm: float
    detectable: float | None
    verdict: str
    note: str
    family_size: int


@dataclass(frozen=True)
class Comparison:
    """All effects of one suite under its primary measure."""

    suite: str
    measured: Measured
    effects: tuple[Effect, ...]

    def on(self, scope: str) -> list[Effect]:
        """Return the effects on a scope, in the order of the arms."""
        return [effect for effect in self.effects if effect.scope == scope]

    @property
    def scopes(self) -> list[str]:
        """`all`, then the provenances that the suite has items of, when there are several."""
        found = {effect.scope for effect in self.effects}
        provenances = [provenance for provenance in PROVENANCES if provenance in found]
        return ["all", *(provenances if len(provenances) > 1 else [])]


def comparisons(inputs: Inputs) -> list[Comparison]:
    """Return, for each suite that has contrasts, every arm against base under the suite's primary measure."""
    found = []
    for suite in inputs.suites_of("contrasts"):
        for measured in (inputs.spec.statistics.primary_choice, inputs.spec.statistics.primary_text):
            rows = inputs.measured(inputs.rows("contrasts", suite=suite, right="base", task="all"), measured)
            effects = [_effect(row) for row in rows if row["scope_kind"] in ("all", "provenance")]
            if effects:
                found.append(Comparison(suite, measured, tuple(sorted(effects, key=lambda one: _place(inputs, one)))))
    return found


def _place(inputs: Inputs, effect: Effect) -> tuple[int, int, str]:
    backbones = [model.backbone for model in inputs.models]
    mixes = list(inputs.spec.mixes)
    place = mixes.index(effect.arm) if effect.arm in mixes else len(mixes)
    return (backbones.index(effect.backbone) if effect.backbone in backbones else len(backbones), place, effect.arm)


def _effect(row: Row) -> Effect:
    def required(column: str) -> float:
        value = row.number(column)
        return float("nan") if value is None else value

    return Effect(
        arm=row["left"],
        backbone=row["backbone"],
        scope_kind=row["scope_kind"],
        scope=row["scope"],
        n=int(required("n")),
        unit=row["unit"],
        base=required("right_value"),
        value=required("value"),
        low=row.number("low"),
        high=row.number("high"),
        p_holm=required("p_holm"),
        detectable=row.number("detectable"),
        verdict=row["verdict"],
        note=row["note"],
        family_size=int(required("family_size")),
    )
