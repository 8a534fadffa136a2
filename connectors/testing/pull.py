"""The hooks that ask the tool: what they give on a good day, and what they raise on a bad one."""

import asyncio
import json
from collections.abc import Awaitable
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

import httpx
import pytest

from connectors.boundary import check_cursor, check_measurement, check_page
from connectors.contract import Checked, Cursor, Discovered, Measurement, Page
from connectors.decoding import decode
from connectors.errors import (
    AuthenticationError,
    ConnectorError,
    RateLimitedError,
    TransientError,
)
from connectors.testing.case import (
    ConformanceCase,
    Recorded,
    Site,
    call,
    open_toolbox,
    read_all,
    run,
    run_hook,
    secret_values,
    tells,
)
from connectors.testing.failures import FAILURES, Failure

MAX_FAILING_CALLS = 25


class PullConformance:
    """Checks of `open`, `check`, `discover`, `measure` and `read`."""

    case: ClassVar[ConformanceCase]

    # --- a good day ---

    def test_check_says_a_sentence(self) -> None:
        checked = self._result("check")
        assert isinstance(checked, Checked)
        assert checked.summary.strip()
        assert all(isinstance(text, str) for pair in checked.details.items() for text in pair)
        self._tells_no_secret(repr(checked))

    def test_discover_names_what_could_be_read(self) -> None:
        found = self._result("discover")
        assert found
        assert all(isinstance(one, Discovered) and one.kind and one.id and one.name for one in found)
        assert len({(one.kind, one.id) for one in found}) == len(found)
        self._tells_no_secret(repr(found))

    def test_measure_gives_an_exact_number_with_its_question(self) -> None:
        measurement = self._result("measure")
        assert isinstance(measurement, Measurement)
        check_measurement(measurement)
        assert isinstance(measurement.value, Decimal)
        assert measurement.observed_at <= self.case.now
        self._tells_no_secret(repr(measurement))

    def test_read_gives_records_that_can_be_stored(self) -> None:
        pages: list[Page] = self._result("read")
        for page in pages:
            check_page(page)
        assert any(page.changes for page in pages), "the healthy tool of the case has nothing to read"
        self._tells_no_secret(repr(pages))

    def test_read_ends_with_a_cursor_to_go_on_from(self) -> None:
        pages: list[Page] = self._result("read")
        assert pages[-1].cursor is not None
        check_cursor(pages[-1].cursor)

    def test_two_reads_of_the_same_tool_are_equal(self) -> None:
        def by_entity(pages: list[Page]) -> dict[str, object]:
            return {change.entity: change for page in pages for change in page.changes}

        assert by_entity(self._result("read")) == by_entity(self._result("read"))

    def test_read_goes_on_from_a_cursor_that_was_stored_as_json(self) -> None:
        self._needs("read")

        async def work() -> list[Page]:
            async with open_toolbox(self.case, self.case.healthy()) as tools:
                assert self.case.connector.open is not None
                async with self.case.connector.open(self.case.bound(), tools) as session:
                    first = await read_all(self.case, session, None)
                    stored = decode(json.dumps(first[-1].cursor, default=str).encode())
                    assert isinstance(stored, dict)
                    cursor: Cursor = stored
                    return await read_all(self.case, session, cursor)

        for page in run(work(), self.case.patience):
            check_page(page)

    def test_every_request_is_counted_and_goes_through_the_toolbox(self) -> None:
        """The network is shut in every check; here the tool must also have been asked through the toolbox."""
        for hook in self.case.hooks():
            site = Recorded(self.case.healthy())

            async def work(hook: str = hook, site: Site = site) -> int:
                async with open_toolbox(self.case, site) as tools:
                    await call(self.case, hook, tools)
                    return tools.calls()

            assert run(work(), self.case.patience) == len(site.requests) > 0, hook

    # --- open and close ---

    def test_a_session_closes_and_leaves_no_task_behind(self) -> None:
        self.case.hooks()

        async def work() -> set[asyncio.Task[Any]]:
            before = asyncio.all_tasks()
            async with open_toolbox(self.case, self.case.healthy()) as tools:
                assert self.case.connector.open is not None
                for _ in range(2):
                    async with self.case.connector.open(self.case.bound(), tools):
                        pass
            return asyncio.all_tasks() - before

        assert run(work(), self.case.patience) == set()

    def test_a_session_lets_an_error_out(self) -> None:
        self.case.hooks()

        async def work() -> None:
            async with open_toolbox(self.case, self.case.healthy()) as tools:
                assert self.case.connector.open is not None
                async with self.case.connector.open(self.case.bound(), tools):
                    raise LookupError("an error of the caller")

        with pytest.raises(LookupError, match="an error of the caller"):
            run(work(), self.case.patience)

    def test_a_secret_that_is_not_there_is_an_authentication_error(self) -> None:
        if not secret_values(self.case):
            pytest.skip("the connector has no secret")
        for hook in self.case.hooks():
            with pytest.raises(AuthenticationError):
                run_hook(self.case, hook, self.case.healthy(), config=self.case.unbound())

    # --- a bad day ---

    @pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
    def test_a_failing_tool_is_named_by_what_to_do_next(self, failure: Failure) -> None:
        for hook in self.case.hooks():
            site = Recorded(failure.answer)
            with pytest.raises(failure.expected) as caught:
                run_hook(self.case, hook, site)
            self._tells_no_secret(tells(caught.value), site)
            assert str(caught.value).strip(), hook
            if isinstance(caught.value, TransientError) and caught.value.retry_after is not None:
                assert timedelta(0) <= caught.value.retry_after <= timedelta(days=366)

    def test_the_tools_word_on_when_to_come_back_is_kept(self) -> None:
        for hook in self.case.hooks():
            with pytest.raises(RateLimitedError) as caught:
                run_hook(self.case, hook, lambda request: httpx.Response(429, headers={"retry-after": "7"}))
            assert caught.value.retry_after == timedelta(seconds=7)

    def test_nothing_is_retried_behind_our_back(self) -> None:
        for hook in self.case.hooks():
            site = Recorded(lambda request: httpx.Response(503))
            with pytest.raises(ConnectorError):
                run_hook(self.case, hook, site)
            assert len({(request.method, str(request.url), request.content) for request in site.requests}) == len(
                site.requests
            )

    def test_a_hook_that_fails_at_any_request_raises(self) -> None:
        """A partial answer never becomes a value: page 3 of 5 fails, and so does the read."""
        for hook in self.case.hooks():
            healthy = Recorded(self.case.healthy())
            run_hook(self.case, hook, healthy)
            for position in range(min(len(healthy.requests), MAX_FAILING_CALLS)):
                for broken in (httpx.Response(500), httpx.Response(200, content=b"<html>"), httpx.Response(401)):
                    with pytest.raises(ConnectorError):
                        run_hook(self.case, hook, _failing_at(position, self.case.healthy(), broken))

    def test_an_error_of_the_tool_that_repeats_our_credential_does_not_show_it(self) -> None:
        def echo(request: httpx.Request) -> httpx.Response:
            said = f"bad request: {dict(request.headers)!r} {request.url}"
            return httpx.Response(
                400, json={"message": said, "error": said, "errorMessages": [said], "errors": {"a": said}}
            )

        for hook in self.case.hooks():
            site = Recorded(echo)
            with pytest.raises(ConnectorError) as caught:
                run_hook(self.case, hook, site)
            self._tells_no_secret(str(caught.value), site)

    # --- the suite's own ---

    def _needs(self, hook: str) -> None:
        if hook not in self.case.hooks():
            pytest.skip(f"the connector has no {hook}")

    def _result(self, hook: str) -> Any:
        self._needs(hook)
        return run_hook(self.case, hook, self.case.healthy())

    def _tells_no_secret(self, text: str, site: Recorded | None = None) -> None:
        for value in secret_values(self.case, site.requests if site else ()):
            assert value not in text, "a secret is shown"


def _failing_at(position: int, healthy: Site, broken: httpx.Response) -> Site:
    answered = 0

    def answer(request: httpx.Request) -> httpx.Response | Awaitable[httpx.Response]:
        nonlocal answered
        answered += 1
        return broken if answered == position + 1 else healthy(request)

    return answer
