"""PromQL as text: the window's span and edges in a team's query. Pure.

PromQL: https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

import re
from datetime import UTC, datetime, timedelta

# Braces elsewhere are PromQL's own: selectors such as {job="erp"}.
_PLACEHOLDER = re.compile(r"\{(window|from|to)\}")
_SECOND = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def has_placeholder(promql: str) -> bool:
    """Whether the query asks for a window: `{window}`, `{from}` or `{to}` is in it."""
    return _PLACEHOLDER.search(promql) is not None


def in_window(promql: str, start: datetime, end: datetime) -> str:
    """The query with `{window}` as a range (`7862400s`, at least a second) and the edges as Unix seconds."""
    parts = {
        "window": f"{max((end - start) // _SECOND, 1)}s",
        "from": str(unix_seconds(start)),
        "to": str(unix_seconds(end)),
    }
    return _PLACEHOLDER.sub(lambda found: parts[found[1]], promql)


def unix_seconds(moment: datetime) -> int:
    """Whole seconds since 1970, rounded down."""
    return (moment - _EPOCH) // _SECOND
