"""Key results as gauges, read when Prometheus asks. Floats: a gauge is for drawing, nothing is decided from it."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from app.api.context import ApiContext
from app.services.read import KeyResultQuery, list_key_results
from app.services.views import KeyResultView
from app.store.run_counts import runs_since

_LABELS = ("team", "name", "cycle")
_RUN_LABELS = ("team", "connection", "outcome")
_PAGE = 1000
_DAY = timedelta(days=1)
_END = b"# EOF\n"

_NUMBERS = {
    "krsync_key_result_value": "The key result's value, in its unit.",
    "krsync_key_result_progress": "Progress: 0 baseline, 1 target.",
    "krsync_key_result_expected": "The progress that is expected by now.",
    "krsync_key_result_fresh": "1 where the value is as young as promised.",
    "krsync_key_result_age_seconds": "How long ago its source last told of it.",
}


class _KeyResults(Collector):
    def __init__(self, views: list[KeyResultView], runs: Sequence[tuple[str, str, str, int]]) -> None:
        self._views, self._runs = views, runs

    def collect(self) -> Iterator[Metric]:
        numbers = {name: GaugeMetricFamily(name, said, labels=_LABELS) for name, said in _NUMBERS.items()}
        status = GaugeMetricFamily(
            "krsync_key_result_status",
            "1 for the status that it has; freshness and lifecycle stand beside it.",
            labels=(*_LABELS, "status", "freshness", "lifecycle"),
        )
        for view in self._views:
            team, _, name = view.id.partition("/")
            labels = (team, name, view.cycle.name)
            for family, value in zip(numbers.values(), _values(view), strict=True):
                if value is not None:
                    family.add_metric(labels, value)
            status.add_metric((*labels, view.status, view.freshness.level, view.lifecycle), 1.0)
        runs = GaugeMetricFamily(
            "krsync_runs_last_day", "Pulls that started in the last 24 hours, by how they ended.", labels=_RUN_LABELS
        )
        for *run_labels, count in self._runs:
            runs.add_metric(run_labels, float(count))
        yield from (*numbers.values(), status, runs)


def _values(view: KeyResultView) -> tuple[float | None, ...]:
    """In the order of `_NUMBERS`; what is unknown has no sample, and is not 0."""
    age = view.freshness.age_seconds
    return (
        None if view.value is None else float(view.value),
        view.progress,
        view.expected_progress,
        1.0 if view.freshness.level == "fresh" else 0.0,
        None if age is None else float(age),
    )


async def key_result_gauges(context: ApiContext, hidden: frozenset[str] = frozenset()) -> bytes:
    """The current key results as OpenMetrics text, without its end mark: more follows. Nothing of `hidden` teams."""
    views: list[KeyResultView] = []
    place: tuple[str, str, str] | None = None
    now = context.clock()
    async with context.services.database.reading() as session:
        while True:
            query = KeyResultQuery(after=place, limit=_PAGE, hidden=hidden)
            page, place = await list_key_results(session, query, now=now)
            views += page
            if place is None:
                break
        runs = [row for row in await runs_since(session, now - _DAY) if row[0] not in hidden]
    registry = CollectorRegistry()
    registry.register(_KeyResults(views, runs))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text.removesuffix(_END)
