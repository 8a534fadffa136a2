"""What we tell about ourselves: structured logs, and counters for `GET /metrics`. ("Metric" is always the user's.)"""

import logging
import sys
from typing import Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

OPENMETRICS = CONTENT_TYPE_LATEST

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Telemetry:
    """The counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "krsync_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "krsync_http_request_duration_seconds",
            "Time from a request to the end of its answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.deliveries = Counter(
            "krsync_deliveries",
            "Webhook deliveries by what the door made of them.",
            ("outcome",),
            registry=self.registry,
        )

        self.streams = Gauge("krsync_live_streams", "Event streams that are open.", registry=self.registry)

    def exposition(self) -> bytes:
        """Everything counted, as OpenMetrics text with its `# EOF`."""
        text: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return text


def configure_logs(style: Literal["json", "console"]) -> None:
    """Log to stderr, one JSON object or one line each, moments in UTC; the standard library's loggers too."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor
    if style == "console":
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer()
    # Locals are left out of tracebacks: they hold secrets and callers' input.
    errors: list[structlog.typing.Processor] = [] if style == "console" else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *errors, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole URLs
    # arq logs the arguments and results of jobs.
    logging.getLogger("arq").setLevel(logging.WARNING)
