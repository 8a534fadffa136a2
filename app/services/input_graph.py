"""What formulas read: metrics of this team and others, which may be formulas themselves."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from app.domain.formula import accumulation
from app.services.definitions import Definition, definition_of
from app.store import inputs, organisation
from app.store.database import Session
from app.store.inputs import Asking
from app.store.organisation import RevisedMetric


@dataclass(slots=True)
class InputGraph:
    """Metrics with all that their formulas read, directly or through others, each under the revision that counts.

    `inputs` has what each formula reads by name; None is a metric that has no revision to serve yet, or is no more.
    """

    items: dict[int, RevisedMetric] = field(default_factory=dict)
    inputs: dict[int, dict[str, int | None]] = field(default_factory=dict)

    def definition(self, metric_id: int) -> Definition:
        return definition_of(self.items[metric_id].revision)

    def leaves(self, metric_id: int) -> list[int]:
        """The metrics that are no formulas behind one, itself where it is none; each once, in order."""
        found: dict[int, None] = {}
        seen: set[int] = set()
        waiting = [metric_id]
        while waiting:
            here = waiting.pop()
            if here in seen or here not in self.items:
                continue
            seen.add(here)
            if here in self.inputs:
                waiting += [read for read in reversed(self.inputs[here].values()) if read is not None]
            else:
                found[here] = None
        return list(found)

    def needs_cycle(self, metric_id: int) -> bool:
        """Whether its value depends on the cycle of the key result that asks; a formula's does where an input's
        does."""
        return any(self.definition(leaf).spec.needs_cycle for leaf in self.leaves(metric_id))

    def is_cumulative(self, metric_id: int) -> bool:
        """Whether its value grows as a window passes: a count or sum, or a formula that is proportional to one."""
        return self._is_cumulative(metric_id, frozenset())

    def _is_cumulative(self, metric_id: int, above: frozenset[int]) -> bool:
        definition = self.definition(metric_id)
        formula = definition.spec.parsed_formula
        if formula is None:
            return definition.is_cumulative
        if metric_id in above:
            return False
        read = self.inputs.get(metric_id, {})
        totals = frozenset(
            name
            for name, other in read.items()
            if other in self.items and self._is_cumulative(other, above | {metric_id})
        )
        return accumulation(formula, totals) == 1


async def input_graph(
    session: Session, items: Iterable[RevisedMetric], *, known_at: datetime | None = None
) -> InputGraph:
    """The graph behind some metrics. With `known_at`, other metrics are under the revision that was served then. Asks
    the database nothing where none of them is a formula."""
    graph = InputGraph({item.metric.id: item for item in items})
    waiting = list(graph.items.values())
    while formulas := {item.revision.id: item for item in waiting if definition_of(item.revision).spec.formula}:
        read = await inputs.inputs_of(session, list(formulas))
        wanted = {other for names in read.values() for other in names.values() if other is not None}
        waiting = await _items(session, wanted - graph.items.keys(), known_at)
        graph.items |= {item.metric.id: item for item in waiting}
        for revision_id, item in formulas.items():
            graph.inputs[item.metric.id] = {
                name: other if other in graph.items else None for name, other in read.get(revision_id, {}).items()
            }
    return graph


async def _items(session: Session, metric_ids: Collection[int], known_at: datetime | None) -> list[RevisedMetric]:
    found = list((await organisation.revised_metrics(session, metric_ids)).values()) if metric_ids else []
    if known_at is None:
        return found
    then = []
    for item in found:
        revision = await organisation.revision_at(session, item.metric.id, known_at)
        is_other = revision is not None and revision.id != item.revision.id
        then.append(await organisation.with_revision(session, item, revision) if is_other and revision else item)
    return then


async def needs_cycle(session: Session, item: RevisedMetric) -> bool:
    """Whether a metric's value depends on the cycle of the key result that asks."""
    return (await input_graph(session, [item])).needs_cycle(item.metric.id)


async def asked_by(session: Session, metric_ids: Collection[int]) -> dict[int, list[Asking]]:
    """By metric: the current key results of any team that want it, for themselves, through formulas or as a
    guardrail."""
    if not metric_ids:
        return {}
    readers = await inputs.readers_of(session, metric_ids)
    direct: dict[int, list[Asking]] = {}
    for asking in await inputs.askers_of(session, {*metric_ids, *readers}):
        direct.setdefault(asking.metric_id, []).append(asking)
    read_by: dict[int, set[int]] = {}
    for reader, read in readers.items():
        for metric_id in read:
            read_by.setdefault(metric_id, set()).add(reader)
    found: dict[int, list[Asking]] = {}
    for metric_id in metric_ids:
        seen, waiting = {metric_id}, [metric_id]
        while waiting:
            here = waiting.pop()
            found.setdefault(metric_id, []).extend(direct.get(here, ()))
            further = read_by.get(here, set()) - seen
            seen |= further
            waiting += further
    return found


async def cycles_asked(session: Session, metric_ids: Collection[int]) -> dict[int, set[str]]:
    """By metric: the cycles of the key results that want it."""
    return {
        metric_id: {asking.key_result.cycle for asking in found}
        for metric_id, found in (await asked_by(session, metric_ids)).items()
    }


def in_order(metric_ids: Collection[int], readers: dict[int, set[int]]) -> list[int]:
    """The metrics and their readers, each after what it reads; a circle is cut somewhere."""
    order: dict[int, None] = {}
    entered: set[int] = set()
    stack = [(metric_id, False) for metric_id in sorted({*metric_ids, *readers}, reverse=True)]
    while stack:
        metric_id, is_left = stack.pop()
        if is_left:
            order[metric_id] = None
        elif metric_id not in entered:
            entered.add(metric_id)
            stack.append((metric_id, True))
            stack += [(read, False) for read in sorted(readers.get(metric_id, ()), reverse=True)]
    return list(order)
