"""The connector for any HTTP address that answers JSON: its hooks, and the value that names them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from connectors.answer import digest_of
from connectors.contract import Checked, Connector, Measurement, Toolbox, Window
from connectors.errors import QueryError, UnexpectedResponseError
from connectors.http_json.models import HttpJsonConfig, HttpJsonDataset, HttpJsonQuery, value_path
from connectors.http_json.payloads import answer_of
from connectors.http_json.placeholders import PageAsked, filled, filled_json
from connectors.http_json.reading import fetch, read, sweep
from connectors.http_json.session import HttpJsonSession
from connectors.windows import is_past

_encoder = msgspec.json.Encoder(decimal_format="number")


@asynccontextmanager
async def open_http_json(config: HttpJsonConfig, toolbox: Toolbox) -> AsyncIterator[HttpJsonSession]:
    """A session of one run. It asks nothing by itself; AuthenticationError where a secret is not available."""
    yield HttpJsonSession(config, toolbox)


async def check(session: HttpJsonSession) -> Checked:
    """Whether the API's `check` path answers JSON; raises what `connectors.errors` says otherwise."""
    url = f"{session.config.url}{session.config.check}"
    try:
        body, _ = await session.ask(url)
    except QueryError as error:
        if session.config.check:
            raise
        raise QueryError(f"{error} Name a path that answers beside the url: check: /me") from error
    if not isinstance(body, dict | list):
        raise UnexpectedResponseError(f"The answer of {session.tool} is neither an object nor a list.")
    return Checked(f"{url} answers JSON.", {"url": url})


async def measure(session: HttpJsonSession, query: HttpJsonQuery, window: Window) -> Measurement:
    """The number at the query's path in the answer. Unknown where nothing is there.

    QueryError for an answer with something else there, and for a query that does not look at its window.
    """
    now = session.toolbox.now()
    if window.start is not None and not query.windowed():
        raise QueryError("The metric has a window that its query ignores: use {from} and {to} in it.")
    if is_past(window, now) and "to" not in query.edges:
        raise QueryError("The window ended in the past and the query tells of now: use {to} or {last} in it.")
    path = filled(query.path, window)
    post = None if query.post is None else _encoder.encode(filled_json(query.post, window))
    url = f"{session.config.url}{path}"
    body, headers = await session.ask(url, post)
    if query.aggregate is not None:
        session.require_whole(headers)
    root, steps = value_path(query.value)
    answer = answer_of(body if root == "body" else dict(headers), steps, query.aggregate, query.value)
    told = body if root == "body" else [body, answer.value]
    return Measurement(
        value=answer.value,
        observed_at=now,
        query=_said(url, post, query),
        link=url if post is None else None,
        reason=answer.reason,
        digest=digest_of(told),
    )


def _said(url: str, post: bytes | None, query: HttpJsonQuery) -> str:
    """The query as it was sent: the request, and what is taken of the answer."""
    request = f"GET {url}" if post is None else f"POST {url} {post.decode()}"
    return f"{request} → {f'{query.aggregate} of ' if query.aggregate else ''}{query.value}"


def browse(config: HttpJsonConfig, scope: HttpJsonQuery | HttpJsonDataset) -> str | None:
    """The address that answers. None for one over a window, whose measurement says what was asked, and for a post."""
    if scope.post is not None or (isinstance(scope, HttpJsonQuery) and scope.windowed()):
        return None
    first = PageAsked().in_address(scope.path) if isinstance(scope, HttpJsonDataset) else scope.path
    return f"{config.url}{first}"


HTTP_JSON = Connector(
    key="http_json",
    title="HTTP with JSON",
    config=HttpJsonConfig,
    query=HttpJsonQuery,
    dataset=HttpJsonDataset,
    min_interval=timedelta(minutes=1),
    open=open_http_json,
    check=check,
    measure=measure,
    read=read,
    fetch=fetch,
    sweep=sweep,
    browse=browse,
)
