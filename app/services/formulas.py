"""The value of a formula, from the values of the metrics it names."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from app.domain.formula import Quantity, UndefinedError, formula_value
from app.domain.units import UnitError, check_units, parse_unit
from app.domain.window import UNBOUNDED, TimeSpan
from app.services.computed import Computed
from app.services.definitions import cycle_span, definition_of
from app.services.input_graph import InputGraph
from app.store.organisation import RevisedMetric

ComputeInput = Callable[[RevisedMetric, str], Awaitable[Computed]]

CIRCLE = "formulas read each other in a circle"


async def compute_formula(
    graph: InputGraph, item: RevisedMetric, compute: ComputeInput, *, cycle: str, as_of: datetime
) -> Computed:
    """The formula of a metric with what `compute` says of each metric it names. Unknown where one of them is, with its
    name; as old as the oldest of them. Its window is theirs, where they agree."""
    spec = definition_of(item.revision).spec
    formula = spec.parsed_formula
    assert formula is not None
    found: dict[str, tuple[RevisedMetric, Computed]] = {}
    changes: list[datetime] = []
    reason: str | None = None
    for name in formula.references:
        other = graph.inputs.get(item.metric.id, {}).get(name)
        if other is None:
            reason = reason or f"{name} is unknown: it is being built, or no more"
            continue
        read = graph.items[other]
        asked = cycle if graph.needs_cycle(other) else ""
        computed = await compute(read, asked)
        found[name] = (read, computed)
        if computed.value is None:
            reason = reason or f"{name} is unknown: {computed.reason}"
        span = cycle_span(read.team, asked) if asked else None
        edge = None if asked and span is None else definition_of(read.revision).next_edge(as_of, span)
        changes += [moment for moment in (edge, computed.changes_at) if moment is not None]
    values = [computed for _, computed in found.values()]
    value = None
    if reason is None:
        try:
            # Another team may have given its metric another unit since the formula was written.
            check_units(formula, {name: _unit(read) for name, (read, _) in found.items()}, spec.unit)
            value = formula_value(formula, _quantities(found), parse_unit(spec.unit).scale)
        except (UndefinedError, UnitError) as error:
            reason = str(error)
    return Computed(
        value,
        reason,
        _window([computed.window for computed in values]),
        min((computed.observed_at for computed in values), default=as_of),
        quality=_quality({computed.quality for computed in values}),
        changes_at=min(changes, default=None),
    )


def _quantities(found: dict[str, tuple[RevisedMetric, Computed]]) -> dict[str, Quantity]:
    return {
        name: Quantity(computed.value, parse_unit(_unit(read)).scale)
        for name, (read, computed) in found.items()
        if computed.value is not None
    }


def _unit(item: RevisedMetric) -> str:
    return definition_of(item.revision).spec.unit


def _window(windows: list[TimeSpan]) -> TimeSpan:
    """The window that all of them have, those without one aside; none where they differ."""
    bounded = {window for window in windows if window != UNBOUNDED}
    return bounded.pop() if len(bounded) == 1 else UNBOUNDED


def _quality(qualities: set[str]) -> str:
    if "estimated" in qualities:
        return "estimated"
    # A person's word for one input is a person's word for the formula, but the formula itself is not overridden.
    qualities = {"asserted" if quality == "override" else quality for quality in qualities}
    return qualities.pop() if len(qualities) == 1 else "measured"
