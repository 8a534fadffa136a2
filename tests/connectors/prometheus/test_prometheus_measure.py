"""What becomes of Prometheus' answers: a number, an unknown with its reason, or a failure named by its remedy."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.contract import Checked, Discovered, Measurement, Window
from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    ConnectorError,
    QueryError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.http import create_client, parse_policy, toolbox
from connectors.prometheus import PROMETHEUS, PrometheusConfig, PrometheusQuery
from connectors.prometheus.connector import browse, check, discover, measure, open_prometheus
from connectors.secrets import bind

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
QUARTER = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
UNBOUNDED = Window(None, None)
UPTIME = PrometheusQuery(promql='avg_over_time(up{job="erp"}[{window}])')
COUNT = PrometheusQuery(promql="sum(queue_length)")


class Server:
    """A Prometheus that keeps what it was asked and gives one answer."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    async def _session(self, call: Any, config: dict[str, Any] | None = None) -> Any:
        given = PrometheusConfig.model_validate(config or {"url": "http://prometheus:9090"})
        bound = bind(given, lambda reference: {"TOKEN": "prom-token-77"}.get(reference.name))
        async with (
            create_client(parse_policy(""), transport=httpx.MockTransport(self)) as client,
            open_prometheus(bound, toolbox(client, lambda: NOW)) as session,
        ):
            return await call(session)

    async def measure(
        self, query: PrometheusQuery, window: Window, config: dict[str, Any] | None = None
    ) -> Measurement:
        found = await self._session(lambda session: measure(session, query, window), config)
        assert isinstance(found, Measurement)
        return found

    async def run(self, hook: Any) -> Any:
        return await self._session(hook)


def data(kind: str, result: object) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": {"resultType": kind, "result": result}})


def vector(*values: str) -> httpx.Response:
    return data("vector", [{"metric": {"n": str(at)}, "value": [1.5, text]} for at, text in enumerate(values)])


def refused(status: int, kind: str, said: str) -> httpx.Response:
    return httpx.Response(status, json={"status": "error", "errorType": kind, "error": said})


async def test_a_windowed_query_is_asked_over_what_has_passed_of_the_window() -> None:
    server = Server(vector("0.9991"))
    measured = await server.measure(UPTIME, QUARTER)
    span = int((NOW - datetime(2026, 10, 1, tzinfo=UTC)).total_seconds())
    assert measured.value == Decimal("0.9991")
    assert measured.observed_at == NOW
    assert measured.query == f'avg_over_time(up{{job="erp"}}[{span}s])'
    assert measured.link is not None
    assert measured.link.startswith("http://prometheus:9090/graph?g0.expr=avg_over_time%28up%7Bjob")
    [asked] = server.requests
    assert asked.url.path == "/api/v1/query"
    assert asked.url.params["time"] == str(int(NOW.timestamp()))


async def test_a_window_of_the_past_is_asked_at_its_end() -> None:
    server = Server(vector("1"))
    window = Window(datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC))
    measured = await server.measure(UPTIME, window)
    assert measured.observed_at == window.end
    assert measured.query.endswith("[7948800s])")
    assert server.requests[0].url.params["time"] == "1790812800"


async def test_a_window_ahead_is_unknown_and_nothing_is_asked() -> None:
    server = Server(vector("1"))
    window = Window(NOW + timedelta(days=1), NOW + timedelta(days=2))
    measured = await server.measure(UPTIME, window)
    assert (measured.value, measured.reason) == (None, "the window has not begun")
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (vector("0.1"), "0.1"),
        (vector("-3"), "-3"),
        (vector("1.7976931348623157e+308"), "1.7976931348623157e+308"),
        (data("scalar", [1.5, "42"]), "42"),
    ],
)
async def test_numbers(answer: httpx.Response, value: str) -> None:
    assert (await Server(answer).measure(COUNT, UNBOUNDED)).value == Decimal(value)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (vector(), "no series"),
        (vector("NaN"), "NaN"),
        (vector("+Inf"), "infinity"),
        (data("scalar", [1, "-Inf"]), "infin"),
    ],
)
async def test_what_is_no_number_is_unknown_with_the_reason(answer: httpx.Response, reason: str) -> None:
    measured = await Server(answer).measure(COUNT, UNBOUNDED)
    assert measured.value is None
    assert reason in (measured.reason or "")


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (vector("1", "2"), QueryError, r"gives 2 series where one number is asked for: aggregate it, with sum"),
        (data("matrix", []), QueryError, "gives a matrix"),
        (data("string", [1, "x"]), QueryError, "gives a string"),
        (data("vector", [{"metric": {}, "histogram": [1, {}]}]), QueryError, "histogram_quantile"),
        (data("vector", [{"metric": {}, "value": [1, 2]}]), UnexpectedResponseError, "no sample"),
        (data("vector", [{"metric": {}, "value": [1, "five"]}]), UnexpectedResponseError, "no number"),
        (data("other", []), UnexpectedResponseError, "none of an instant query"),
        (httpx.Response(200, json={"status": "success"}), UnexpectedResponseError, "none of its API"),
        (httpx.Response(200, json=[]), UnexpectedResponseError, "none of its API"),
        (httpx.Response(200, text="<html>Sign in</html>"), UnexpectedResponseError, "HTML"),
        (httpx.Response(302, headers={"location": "http://169.254.169.254/"}), UnexpectedResponseError, "redirect"),
        (
            refused(400, "bad_data", 'invalid parameter "query": 1:5: parse error:\n unexpected end of input'),
            QueryError,
            r'\(HTTP 400\): invalid parameter "query": 1:5: parse error: unexpected end of input$',
        ),
        (refused(422, "execution", "query processing would load too many samples"), QueryError, "too many samples"),
        (refused(503, "timeout", "query timed out in expression evaluation"), UnavailableError, "timed out"),
        (refused(422, "canceled", "query was canceled"), UnavailableError, "canceled"),
        (httpx.Response(503, text="Service Unavailable"), UnavailableError, "HTTP 503"),
        (httpx.Response(401, text="no"), AuthenticationError, "HTTP 401"),
        (httpx.Response(403, text="no"), AccessDeniedError, "HTTP 403"),
        (httpx.Response(404, text="404 page not found"), QueryError, "HTTP 404"),
        (httpx.Response(429, headers={"retry-after": "7"}), RateLimitedError, "fewer requests"),
    ],
)
async def test_failures_are_named_by_their_remedy(
    answer: httpx.Response, error: type[ConnectorError], says: str
) -> None:
    with pytest.raises(error, match=says):
        await Server(answer).measure(COUNT, UNBOUNDED)


async def test_a_window_that_the_query_ignores_is_an_error_and_nothing_is_asked() -> None:
    server = Server(vector("1"))
    with pytest.raises(QueryError, match=r"use \[\{window\}\] in it"):
        await server.measure(COUNT, QUARTER)
    with pytest.raises(QueryError, match="no beginning"):
        await server.measure(UPTIME, UNBOUNDED)
    assert server.requests == []


async def test_a_long_query_is_posted() -> None:
    server = Server(vector("1"))
    query = PrometheusQuery(promql="sum(" + " + ".join(["up"] * 2_000) + ")")
    measured = await server.measure(query, UNBOUNDED)
    [asked] = server.requests
    assert (asked.method, asked.url.query) == ("POST", b"")
    assert b"query=sum%28up" in asked.content
    assert measured.query == query.promql
    assert measured.link is None


@pytest.mark.parametrize(
    ("account", "header"),
    [
        ({"token": {"env": "TOKEN"}}, "Bearer prom-token-77"),
        ({"username": "acme", "password": {"env": "TOKEN"}}, "Basic YWNtZTpwcm9tLXRva2VuLTc3"),
    ],
)
async def test_the_account_that_asks(account: dict[str, Any], header: str) -> None:
    server = Server(vector("1"))
    await server.measure(COUNT, UNBOUNDED, {"url": "https://mimir.acme.example/prometheus", **account})
    [asked] = server.requests
    assert asked.headers["authorization"] == header
    assert asked.url.path == "/prometheus/api/v1/query"


async def test_check_tells_the_server_and_its_version() -> None:
    build = httpx.Response(200, json={"status": "success", "data": {"version": "3.5.0"}})
    checked = await Server(vector("1"), build).run(check)
    assert isinstance(checked, Checked)
    assert checked.summary == "Connected to Prometheus 3.5.0 at http://prometheus:9090."


async def test_check_of_a_server_that_tells_no_version() -> None:
    checked = await Server(vector("1"), httpx.Response(404)).run(check)
    assert checked.summary == "Connected to a server of Prometheus' API at http://prometheus:9090."


async def test_discover_names_metrics_and_jobs() -> None:
    def names(*found: str) -> httpx.Response:
        return httpx.Response(200, json={"status": "success", "data": list(found)})

    found = await Server(names("up", "queue_length", "up"), names("erp")).run(discover)
    assert found == [
        Discovered("metric", "queue_length", "queue_length"),
        Discovered("metric", "up", "up"),
        Discovered("job", "erp", "erp"),
    ]


def test_a_query_with_a_window_has_no_address_before_it_is_asked() -> None:
    config = PrometheusConfig(url="http://prometheus:9090")
    assert browse(config, COUNT) == "http://prometheus:9090/graph?g0.expr=sum%28queue_length%29&g0.tab=1"
    assert browse(config, UPTIME) is None


async def test_a_secret_that_is_not_there() -> None:
    config = {"url": "https://p", "token": {"env": "MISSING"}}
    with pytest.raises(AuthenticationError, match="env:MISSING is not available"):
        await Server(vector("1")).measure(COUNT, UNBOUNDED, config)


def test_the_value_names_what_it_can_do() -> None:
    assert PROMETHEUS.capabilities == ("check", "discover", "measure")
