"""How the sources behind formulas are doing: those of all the metrics that they read."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.services.input_graph import InputGraph, input_graph
from app.services.sources import SourceState, SourcesThen, source_state, worst_state
from app.store import organisation, samples
from app.store.database import Session
from app.store.organisation import RevisedMetric, SourceRow


@dataclass(frozen=True, slots=True)
class FormulaSources:
    """Formulas with what they read, and what feeds that."""

    graph: InputGraph
    sources: dict[int, list[SourceRow]]
    asserted: dict[int, datetime]
    then: SourcesThen | None = None

    def rows(self) -> list[SourceRow]:
        """What feeds any of them."""
        return [row for found in self.sources.values() for row in found]

    def state(self, metric_id: int, fresh_within: timedelta | None) -> SourceState:
        """The worst of what feeds a formula."""
        found = []
        for leaf in self.graph.leaves(metric_id):
            item = self.graph.items[leaf]
            found.append(
                source_state(
                    item.team.name,
                    self.sources.get(item.revision.id, []),
                    self.graph.definition(leaf),
                    fresh_within,
                    asserted_at=self._asserted_at(leaf),
                    then=self.then,
                )
            )
        return worst_state(found, fresh_within)

    def _asserted_at(self, metric_id: int) -> datetime | None:
        at = self.asserted.get(metric_id)
        # Of what was asserted later the moment before is not looked up: it counts as said just then.
        return at if at is None or self.then is None else min(at, self.then.as_of)


async def formula_sources(session: Session, formulas: Iterable[RevisedMetric]) -> FormulaSources | None:
    """What feeds some formulas; None, and nothing asked, where there are none."""
    items = list(formulas)
    if not items:
        return None
    graph = await input_graph(session, items)
    leaves = {leaf for item in items for leaf in graph.leaves(item.metric.id)}
    sources = await organisation.metric_sources(session, [graph.items[leaf].revision.id for leaf in leaves])
    current = await samples.current_samples(session, leaves)
    asserted = {metric_id: sample.observed_at for (metric_id, _), sample in current.items() if sample.value is not None}
    return FormulaSources(graph, sources, asserted)
