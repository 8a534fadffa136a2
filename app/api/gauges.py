"""Key results as gauges, read when Prometheus asks. Floats: a gauge is for drawing, nothing is decided from it."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from app.api.context import ApiContext
from app.services.read import KeyResultQuery, list_key_results
from app.services.views import KeyResultView

_LABELS = ("team", "name", "cycle")
_PAGE = 1000
_END = b"# EOF\n"


class _KeyResults(Collector):
    def __init__(self, views: list[KeyResultView]) -> None:
        self._views = views

    def collect(self) -> Iterator[Metric]:
        value = GaugeMetricFamily("krsync_key_result_value", "The key result's value, in its unit.", labels=_LABELS)
        progress = GaugeMetricFamily("krsync_key_result_progress", "Progress: 0 baseline, 1 target.", labels=_LABELS)
        fresh = GaugeMetricFamily(
            "krsync_key_result_fresh", "1 where the value is as young as promised.", labels=_LABELS
        )
        for view in self._views:
            team, _, name = view.id.partition("/")
            labels = (team, name, view.cycle.name)
            if view.value is not None:
                value.add_metric(labels, float(view.value))
            if view.progress is not None:
                progress.add_metric(labels, view.progress)
            fresh.add_metric(labels, 1.0 if view.freshness.level == "fresh" else 0.0)
        yield from (value, progress, fresh)


async def key_result_gauges(context: ApiContext, hidden: frozenset[str] = frozenset()) -> bytes:
    """The current key results as OpenMetrics text, without its end mark: more follows. Nothing of `hidden` teams."""
    views: list[KeyResultView] = []
    place: tuple[str, str, str] | None = None
    async with context.services.database.reading() as session:
        while True:
            query = KeyResultQuery(after=place, limit=_PAGE, hidden=hidden)
            page, place = await list_key_results(session, query, now=context.clock())
            views += page
            if place is None:
                break
    registry = CollectorRegistry()
    registry.register(_KeyResults(views))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text.removesuffix(_END)
