"""The Prometheus connector: its hooks, and the value that names them.

HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import quote

import httpx

from connectors.account import authorization
from connectors.answer import decode_json, digest_of, raise_for_status
from connectors.contract import Checked, Connector, Discovered, JsonValue, Measurement, Toolbox, Window
from connectors.errors import ConnectorError, QueryError, UnavailableError
from connectors.prometheus.models import PrometheusConfig, PrometheusQuery
from connectors.prometheus.payloads import answer_of, data_of, is_overload, names_of, version_of, words_of
from connectors.prometheus.promql import has_placeholder, in_window, unix_seconds

_TOOL = "Prometheus"
#: Longer queries are posted: proxies cut long addresses.
_LONGEST_ADDRESS = 4_000
_MOST_NAMES = 1_000
#: What the server may take before it gives up itself, within our own deadline.
_PATIENCE = "25s"


class PrometheusSession:
    """One run's talk with a server."""

    def __init__(self, config: PrometheusConfig, toolbox: Toolbox) -> None:
        self.config = config
        self.toolbox = toolbox
        self._headers = authorization(config)

    async def ask(self, path: str, parameters: Mapping[str, str]) -> JsonValue:
        """`data` of one call of the API; raises what `connectors.errors` says otherwise."""
        response = await self._send(path, parameters)
        if not response.is_success:
            self._fail(response)
        return data_of(decode_json(response, tool=_TOOL))

    async def version(self) -> str | None:
        """The server's version, where it tells one: not everything that answers the API does."""
        response = await self._send("status/buildinfo", {})
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if not response.is_success:
            self._fail(response)
        return version_of(data_of(decode_json(response, tool=_TOOL)))

    async def _send(self, path: str, parameters: Mapping[str, str]) -> httpx.Response:
        url = f"{self.config.url}/api/v1/{path}"
        if sum(map(len, parameters.values())) > _LONGEST_ADDRESS:
            return await self.toolbox.http.post(url, data=dict(parameters), headers=self._headers)
        return await self.toolbox.http.get(url, params=dict(parameters), headers=self._headers)

    def _fail(self, response: httpx.Response) -> None:
        body: JsonValue = None
        with contextlib.suppress(ConnectorError):  # an error page need not be the API's
            body = decode_json(response, tool=_TOOL)
        words = words_of(body)
        if is_overload(body) and response.status_code not in (401, 403, 429):
            raise UnavailableError(f"{_TOOL} could not answer for now: {words or 'it gave no reason'}")
        raise_for_status(response, tool=_TOOL, now=self.toolbox.now(), detail=words)


@asynccontextmanager
async def open_prometheus(config: PrometheusConfig, toolbox: Toolbox) -> AsyncIterator[PrometheusSession]:
    """A session of one run. It asks nothing by itself; AuthenticationError where a secret is not available."""
    yield PrometheusSession(config, toolbox)


async def check(session: PrometheusSession) -> Checked:
    """Which server it reaches, after it has answered a query; raises what `connectors.errors` says otherwise."""
    answer_of(await session.ask("query", {"query": "vector(1)"}))
    version = await session.version()
    details = {"url": session.config.url} | ({"version": version} if version else {})
    named = f"Prometheus {version}" if version else "a server of Prometheus' API"
    return Checked(f"Connected to {named} at {session.config.url}.", details)


async def discover(session: PrometheusSession) -> Sequence[Discovered]:
    """The names of metrics, and the jobs that are scraped, up to a thousand of each."""
    found: list[Discovered] = []
    for kind, label in (("metric", "__name__"), ("job", "job")):
        names = names_of(await session.ask(f"label/{label}/values", {"limit": str(_MOST_NAMES)}))
        found += [Discovered(kind, name, name) for name in sorted(set(names))[:_MOST_NAMES]]
    return found


async def measure(session: PrometheusSession, query: PrometheusQuery, window: Window) -> Measurement:
    """The query's number at the end of the window, or now where that lies ahead. Unknown where no series is found.

    QueryError for a query that gives no single number, or that does not look at the window it is asked for.
    """
    now = session.toolbox.now()
    at = now if window.end is None else min(window.end, now)
    promql = query.promql
    if query.windowed():
        if window.start is None:
            raise QueryError("The query asks for a window and the metric's has no beginning.")
        if window.start >= at:
            return Measurement(None, at, promql, browse(session.config, query), reason="the window has not begun")
        promql = in_window(promql, window.start, at)
    elif window.start is not None:
        raise QueryError("The metric has a window that its query ignores: use [{window}] in it.")
    parameters = {"query": promql, "time": str(unix_seconds(at)), "timeout": _PATIENCE}
    said = await session.ask("query", parameters)
    answer, graph = answer_of(said), _graph(session.config, promql)
    return Measurement(answer.value, at, promql, graph, reason=answer.reason, digest=digest_of(said))


def browse(config: PrometheusConfig, query: PrometheusQuery) -> str | None:
    """Where a person sees the query's graph. None for one with a window, which is no PromQL before it is filled, and
    for one that is longer than addresses may be."""
    return None if has_placeholder(query.promql) else _graph(config, query.promql)


def _graph(config: PrometheusConfig, promql: str) -> str | None:
    expression = quote(promql, safe="")
    return f"{config.url}/graph?g0.expr={expression}&g0.tab=1" if len(expression) <= _LONGEST_ADDRESS else None


PROMETHEUS = Connector(
    key="prometheus",
    title="Prometheus",
    config=PrometheusConfig,
    query=PrometheusQuery,
    min_interval=timedelta(seconds=15),
    open=open_prometheus,
    check=check,
    discover=discover,
    measure=measure,
    browse=browse,
)
