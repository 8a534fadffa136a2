"""What formulas and milestones are made of, as readers see it."""

from datetime import datetime
from decimal import Decimal
from urllib.parse import urlencode

from app.domain.formula import with_numbers
from app.services.computed import Computed
from app.services.definitions import definition_of
from app.services.evaluate import compute
from app.services.input_graph import input_graph
from app.services.milestones import step_states
from app.services.views import ExplainedInput, ExplainedStep, MetricReference
from app.store.database import Session
from app.store.organisation import RevisedMetric


async def explain_inputs(
    session: Session, item: RevisedMetric, *, cycle: str, as_of: datetime, known_at: datetime | None, is_now: bool
) -> list[ExplainedInput]:
    """Each metric that a formula reads, with its own value at that point; none for every other form."""
    formula = definition_of(item.revision).spec.parsed_formula
    if formula is None:
        return []
    graph = await input_graph(session, [item], known_at=known_at)
    known: dict[tuple[int, str], Computed] = {}
    found = []
    for name in formula.references:
        other = graph.inputs.get(item.metric.id, {}).get(name)
        if other is None:
            reason = "it is being built, or no more"
            found.append(
                ExplainedInput(name=name, metric=None, value=None, reason=reason, observed_at=None, explain=None)
            )
            continue
        read = graph.items[other]
        asked = cycle if graph.needs_cycle(other) else ""
        computed = await compute(session, read, cycle=asked, as_of=as_of, known_at=known_at, graph=graph, known=known)
        identity = f"{read.team.name}/{read.metric.name}"
        unit = definition_of(read.revision).spec.unit
        found.append(
            ExplainedInput(
                name=name,
                metric=MetricReference(id=identity, unit=unit, revision=read.revision.number),
                value=computed.value,
                reason=computed.reason,
                observed_at=computed.observed_at,
                explain=f"/v1/metrics/{identity}/explain{point_query(asked, None if is_now else as_of, known_at)}",
            )
        )
    return found


def point_query(cycle: str, as_of: datetime | None, known_at: datetime | None) -> str:
    """The part of an address that asks for a point of both time axes; empty for now."""
    given = {
        "cycle": cycle or None,
        "as_of": None if as_of is None else as_of.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "known_at": None if known_at is None else known_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }
    query = urlencode({name: value for name, value in given.items() if value is not None})
    return f"?{query}" if query else ""


def shown_formula(item: RevisedMetric, inputs: list[ExplainedInput], value: Decimal | None) -> str:
    """The formula as it is written, and with its numbers: `overhead / headcount: 1200 / 8 = 150 EUR/people`."""
    spec = definition_of(item.revision).spec
    formula = spec.parsed_formula
    assert formula is not None
    numbers = {one.name: _number(one) for one in inputs}
    return f"{formula.text}: {with_numbers(formula, numbers)} = {_text(value)} {spec.unit}"


def _number(one: ExplainedInput) -> str:
    if one.value is None:
        return "unknown"
    text = format(one.value, "f") + ("%" if one.metric is not None and one.metric.unit == "percent" else "")
    return f"({text})" if one.value < 0 else text


def _text(value: Decimal | None) -> str:
    return "unknown" if value is None else format(value, "f")


async def explain_steps(
    session: Session, item: RevisedMetric, *, as_of: datetime, known_at: datetime | None
) -> list[ExplainedStep]:
    """Each milestone as it was at that point; none for every other form."""
    if definition_of(item.revision).spec.milestones is None:
        return []
    return [
        ExplainedStep(
            name=state.step.name,
            weight=state.step.weight,
            done=state.is_done,
            source="manual" if state.step.done == "manual" else "query",
            at=state.at,
            reason=state.reason,
            author=state.author,
            note=state.note,
            query=state.query,
            link=state.link,
            digest=state.digest,
        )
        for state in await step_states(session, item, as_of=as_of, known_at=known_at)
    ]
