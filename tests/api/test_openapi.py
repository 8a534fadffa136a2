"""The OpenAPI document exercised: good and bad requests made from it, and every answer keeps to it.

That bad input is refused is shown in `test_doors.py`: here a "bad" request may be one without a token, which it gets.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.api.application import Api
from tests.api.conftest import World, open_world
from tests.conftest import FakeClock

T = TypeVar("T")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def _never_opened() -> Any:
    raise AssertionError("the document needs no context")


SCHEMA = schemathesis.openapi.from_dict(Api(_never_opened).routes.openapi())
# An event stream has no end to wait for: `test_live` reads it.
OPERATIONS = [found for result in SCHEMA.get_all_operations() if (found := result.ok()).path != "/v1/live"]


class Caller:
    """Calls the application from a synchronous test, on an event loop of its own."""

    def __init__(self, database_url: str, clock: FakeClock) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        self._opened = open_world(database_url, clock)
        self.world: World = self.run(self._opened.__aenter__())
        self.run(self.world.apply())
        self.headers = self.run(self.world.as_("admin"))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def call(self, case: Case) -> httpx.Response:
        given = case.as_transport_kwargs(base_url="http://krsync.test", headers=self.headers)
        prepared = requests.Request(
            **{key: value for key, value in given.items() if key in REQUEST_ARGUMENTS}
        ).prepare()
        body = prepared.body if isinstance(prepared.body, (bytes, str)) else b""
        request = httpx.Request(
            prepared.method or "GET",
            prepared.url or "",
            headers=[(_raw(name), _raw(value)) for name, value in prepared.headers.items()],
            content=body,
        )
        return self.run(self.world.http.send(request))

    def close(self) -> None:
        self.run(self._opened.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


REQUEST_ARGUMENTS = ("method", "url", "headers", "params", "data", "json", "cookies")


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")


@pytest.fixture(scope="module")
def caller(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, _clock: FakeClock) -> Iterator[Caller]:
    path = tmp_path_factory.mktemp("openapi") / "krsync.db"
    path.write_bytes(_sqlite_template.read_bytes())
    caller = Caller(f"sqlite+aiosqlite:///{path}", _clock)
    yield caller
    caller.close()


@pytest.fixture(scope="module")
def _clock() -> FakeClock:
    from datetime import UTC, datetime

    return FakeClock(datetime(2026, 11, 22, 9, 30, tzinfo=UTC))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method.upper()} {operation.path}")
def test_every_answer_keeps_to_the_document(caller: Caller, operation: Any, mode: GenerationMode) -> None:
    if mode is GenerationMode.NEGATIVE and operation.path in ("/healthz", "/readyz"):
        return  # they take nothing that could be wrong

    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def generated(case: Case) -> None:
        case.validate_response(caller.call(case), checks=CHECKS)

    generated()
