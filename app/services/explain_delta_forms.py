"""The causes of a change where a number is not made of records: inputs of formulas, milestones, asserted values."""

from decimal import Decimal
from fractions import Fraction

from app.domain.aggregate import rounded
from app.domain.formula import Quantity, UndefinedError, formula_value
from app.domain.units import parse_unit
from app.services.computed import Computed
from app.services.definitions import definition_of
from app.services.evaluate import compute
from app.services.explain_chain import Chain, plain
from app.services.input_graph import InputGraph, input_graph
from app.services.milestones import StepState, step_states
from app.store import samples
from app.store.database import Session
from app.store.facts import Window
from app.store.organisation import RevisedMetric
from app.store.tables import AssertedValue


async def formula_causes(
    session: Session, chain: Chain, item: RevisedMetric, cycle: str, then: Window, now: Window
) -> None:
    """Each input goes from what it was to what it is, one after the other in the order of the formula."""
    spec = definition_of(item.revision).spec
    formula = spec.parsed_formula
    assert formula is not None
    earlier = await _inputs(session, item, cycle, then)
    later = await _inputs(session, item, cycle, now)
    values = {name: earlier[name][0] for name in formula.references}
    scales = {name: earlier[name][1] or later[name][1] for name in formula.references}
    for name in formula.references:
        before, after = earlier[name][0], later[name][0]
        if before == after:
            continue
        values[name] = after
        known = {one: Quantity(value, scales[one] or Fraction(1)) for one, value in values.items() if value is not None}
        value = None
        if len(known) == len(values):
            try:
                value = formula_value(formula, known, parse_unit(spec.unit).scale)
            except UndefinedError:
                value = None
        chain.add("input", value, count=1, name=name, before=plain(before), now=plain(after))


async def _inputs(
    session: Session, item: RevisedMetric, cycle: str, point: Window
) -> dict[str, tuple[Decimal | None, Fraction | None]]:
    """By name: what each input of a formula was at a point, and how its unit scales."""
    graph: InputGraph = await input_graph(session, [item], known_at=point.known_at)
    known: dict[tuple[int, str], Computed] = {}
    found: dict[str, tuple[Decimal | None, Fraction | None]] = {}
    formula = definition_of(item.revision).spec.parsed_formula
    for name in formula.references if formula is not None else ():
        other = graph.inputs.get(item.metric.id, {}).get(name)
        if other is None:
            found[name] = (None, None)
            continue
        read = graph.items[other]
        asked = cycle if graph.needs_cycle(other) else ""
        computed = await compute(
            session, read, cycle=asked, as_of=point.as_of, known_at=point.known_at, graph=graph, known=known
        )
        found[name] = (computed.value, parse_unit(definition_of(read.revision).spec.unit).scale)
    return found


async def milestone_causes(session: Session, chain: Chain, item: RevisedMetric, then: Window, now: Window) -> None:
    """Each step goes from what it was to what it is, in the order of the plan; a word about a day before the sample
    that was given after it is late."""
    earlier = await step_states(session, item, as_of=then.as_of, known_at=then.known_at)
    later = await step_states(session, item, as_of=now.as_of, known_at=now.known_at)
    states = list(earlier)
    for place, (before, after) in enumerate(zip(earlier, later, strict=True)):
        if before.is_done == after.is_done:
            continue
        states[place] = after
        is_late = after.at is not None and after.at <= then.as_of
        chain.add(
            "late_data" if is_late else "milestone",
            _done_weight(states),
            count=1,
            name=after.step.name,
            before=_said(before),
            now=_said(after),
            detail=None if after.author is None else f"by {after.author}",
        )


def _done_weight(states: list[StepState]) -> Decimal | None:
    known = [state for state in states if state.is_done is not None]
    weight = sum((Fraction(state.step.weight) for state in known), Fraction(0))
    done = sum((Fraction(state.step.weight) for state in known if state.is_done), Fraction(0))
    return rounded(100 * done / weight) if weight else None


def _said(state: StepState) -> str:
    return {None: "unknown", True: "done", False: "not done"}[state.is_done]


async def asserted_causes(session: Session, chain: Chain, item: RevisedMetric, then: Window, now: Window) -> None:
    """The word that held then, and the one that holds now; about a day before the sample it is late."""
    before = await samples.latest_asserted(session, item.metric.id, as_of=then.as_of, known_at=then.known_at)
    after = await samples.latest_asserted(session, item.metric.id, as_of=now.as_of, known_at=now.known_at)
    if after is None or (before is not None and before.id == after.id):
        return
    is_late = after.effective_at <= then.as_of
    chain.add(
        "late_data" if is_late else "asserted",
        after.value,
        count=1,
        before="unknown" if before is None else _word(before),
        now=_word(after),
        detail=after.note,
    )


def _word(asserted: AssertedValue) -> str:
    return f"{plain(asserted.value)} for {asserted.day} by {asserted.author}"
