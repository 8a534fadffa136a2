"""Connectors that attack their host, by name: what a careless or malicious author could hand over, raise or do.

None needs a network. `HOSTILE_READS` and `HOSTILE_MEASURES` give what `connectors.boundary` has to refuse,
`HOSTILE_PARSES` what it has to refuse of a delivery, and `HOSTILE_CONDUCT` raise, hang, run on or meddle.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NoReturn, cast

from pydantic import BaseModel, ConfigDict

from connectors.contract import (
    Changed,
    Checked,
    Connector,
    Cursor,
    Event,
    Ignored,
    InboundDelivery,
    Measurement,
    Page,
    Parsed,
    Pushed,
    RecordChange,
    Toolbox,
    Transition,
    Window,
)
from connectors.secrets import Secret

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)
ELSEWHERE = NOON.astimezone(timezone(timedelta(hours=2)))
HUGE = "x" * 5_000_000

CHANGE = RecordChange(entity="1", name="A-1", version=1, created=NOON, fields={"n": Decimal("1.5")})
MOVE = Transition(field="status", at=NOON, order=0, before="Open", after="Done")
MEASUREMENT = Measurement(value=Decimal(7), observed_at=NOON, query="q")


class HostileConfig(BaseModel):
    """A proper config: only the hooks are hostile."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: Secret


class HostileQuery(BaseModel):
    """A query or dataset without an option."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    q: str = "all"


@asynccontextmanager
async def _open(config: HostileConfig, toolbox: Toolbox) -> AsyncIterator[HostileConfig]:
    yield config


async def _check(session: HostileConfig) -> Checked:
    return Checked("Connected.")


async def _measure(session: HostileConfig, query: HostileQuery, window: Window) -> Measurement:
    return MEASUREMENT


async def _read(session: HostileConfig, dataset: HostileQuery, cursor: Cursor | None) -> AsyncIterator[Page]:
    yield Page([CHANGE], cursor={"at": 1})


def _verify(config: HostileConfig, delivery: InboundDelivery) -> None:
    return None


def _parse(config: HostileConfig, delivery: InboundDelivery) -> Parsed:
    return Event(body={}, headers={})


#: A connector that does no harm, and what the others are made of.
HARMLESS = Connector(
    key="harmless",
    title="Harmless",
    config=HostileConfig,
    query=HostileQuery,
    dataset=HostileQuery,
    open=_open,
    check=_check,
    measure=_measure,
    read=_read,
)


def _made(name: str, **hooks: Any) -> Connector:
    return replace(HARMLESS, key=f"hostile_{name}", title=f"Hostile: {name}"[:60], **hooks)


# --- what is handed over ---------------------------------------------------------------------------------------------


def _measuring(name: str, measurement: object) -> Connector:
    async def measure(session: HostileConfig, query: HostileQuery, window: Window) -> Measurement:
        return cast(Measurement, measurement)

    return _made(name, measure=measure)


def _reading(name: str, *pages: object) -> Connector:
    async def read(session: HostileConfig, dataset: HostileQuery, cursor: Cursor | None) -> AsyncIterator[Page]:
        for page in pages:
            yield cast(Page, page)

    return _made(name, read=read)


def _changing(label: str, /, **changes: Any) -> Connector:
    return _reading(label, Page([replace(CHANGE, **changes)], cursor={}))


def _moving(label: str, /, **changes: Any) -> Connector:
    return _changing(label, transitions=[replace(MOVE, **changes)])


def _parsing(name: str, parsed: object) -> Connector:
    def parse(config: HostileConfig, delivery: InboundDelivery) -> Parsed:
        return cast(Parsed, parsed)

    return _made(name, verify=_verify, parse=parse)


def _cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


def _doubling(levels: int) -> list[Any]:
    """Small in memory, and 2^levels values to who walks it.

    Levels stay few enough that a repr (asyncio and pytest make one of what fails) takes megabytes and not all memory.
    """
    value: list[Any] = []
    for _ in range(levels):
        value = [value, value]
    return value


def _named(*connectors: Connector) -> Mapping[str, Connector]:
    return {connector.key.removeprefix("hostile_"): connector for connector in connectors}


HOSTILE_MEASURES = _named(
    _measuring("nan", replace(MEASUREMENT, value=Decimal("NaN"))),
    _measuring("signalling_nan", replace(MEASUREMENT, value=Decimal("sNaN"))),
    _measuring("infinity", replace(MEASUREMENT, value=Decimal("-Infinity"))),
    _measuring("float", replace(MEASUREMENT, value=cast(Any, 1.5))),
    _measuring("text_value", replace(MEASUREMENT, value=cast(Any, "7"))),
    _measuring("true", replace(MEASUREMENT, value=cast(Any, True))),
    _measuring("huge_exponent", replace(MEASUREMENT, value=Decimal("1e300000"))),
    _measuring("huge_zero", replace(MEASUREMENT, value=Decimal("0e300000"))),
    _measuring("endless_digits", replace(MEASUREMENT, value=Decimal("9" * 5_000))),
    _measuring("unknown_without_reason", replace(MEASUREMENT, value=None)),
    _measuring("naive_moment", replace(MEASUREMENT, observed_at=NAIVE)),
    _measuring("moment_of_another_zone", replace(MEASUREMENT, observed_at=ELSEWHERE)),
    _measuring("far_future", replace(MEASUREMENT, observed_at=datetime.max.replace(tzinfo=UTC))),
    _measuring("huge_query", replace(MEASUREMENT, query=HUGE)),
    _measuring("nul_query", replace(MEASUREMENT, query="a\0b")),
    _measuring("maybe_exact", replace(MEASUREMENT, is_exact=cast(Any, "no"))),
    _measuring("nothing", None),
    _measuring("number", Decimal(7)),
)

HOSTILE_READS = _named(
    _changing("float_field", fields={"n": 1.5}),
    _changing("nan_field", fields={"n": Decimal("NaN")}),
    _changing("nested_float", fields={"a": [{"b": [0.1]}]}),
    _changing("object_field", fields={"n": object()}),
    _changing("moment_field", fields={"n": NOON}),
    _changing("tuple_field", fields={"n": (1, 2)}),
    _changing("number_for_a_name", fields={1: "n"}),
    _changing("nul_field", fields={"n": "a\0b"}),
    _changing("surrogate_field", fields={"n": "\ud800"}),
    _changing("huge_field", fields={"n": HUGE}),
    _changing("huge_number", fields={"n": 10**5_000}),
    _changing("cyclic_field", fields={"n": _cycle()}),
    _changing("doubling_field", fields={"n": _doubling(21)}),
    _changing("no_fields", fields=None),
    _changing("nul_entity", entity="a\0"),
    _changing("empty_entity", entity=""),
    _changing("number_entity", entity=1),
    _changing("huge_name", name=HUGE),
    _changing("naive_creation", created=NAIVE),
    _changing("float_version", version=1.0),
    _changing("negative_version", version=-1),
    _changing("huge_version", version=2**63),
    _changing("true_version", version=True),
    _changing("maybe_deleted", is_deleted=1),
    _moving("naive_transition", at=NAIVE),
    _moving("backward_order", order=-1),
    _moving("unknown_category", after_category="finished"),
    _moving("number_state", after=3),
    _changing("text_for_transitions", transitions="none"),
    _reading("same_entity_twice", Page([CHANGE, replace(CHANGE, version=2)], cursor={})),
    _reading("float_cursor", Page([CHANGE], cursor=cast(Any, {"at": 1.5}))),
    _reading("huge_cursor", Page([CHANGE], cursor={"at": HUGE})),
    _reading("list_cursor", Page([CHANGE], cursor=cast(Any, [1]))),
    _reading("number_warning", Page([CHANGE], cursor={}, warnings=cast(Any, [1]))),
    _reading("number_for_a_deleted", Page([CHANGE], cursor={}, deleted=cast(Any, [1]))),
    _reading("text_for_the_deleted", Page([CHANGE], cursor={}, deleted="1")),
    _reading("dict_for_a_change", Page(cast(Any, [{"entity": "1"}]), cursor={})),
    _reading("dict_for_a_page", {"changes": []}),
    _reading("good_page_then_bad", Page([CHANGE], cursor={}), Page([replace(CHANGE, version=-1)], cursor={})),
)

HOSTILE_PARSES = _named(
    _parsing("float_event", Event(body=cast(Any, {"n": 1.5}), headers={})),
    _parsing("nul_event", Event(body={"n": "\0"}, headers={})),
    _parsing("number_header", Event(body={}, headers=cast(Any, {"a": 1}))),
    _parsing("no_headers", Event(body={}, headers=cast(Any, None))),
    _parsing("empty_hint", Changed([""])),
    _parsing("text_for_a_list", Changed("ERP-1")),
    _parsing("bad_push", Pushed([replace(CHANGE, version=-1)])),
    _parsing("ignored_for_nothing", Ignored("")),
    _parsing("parsed_to_nothing", None),
)


# --- what is done ----------------------------------------------------------------------------------------------------


class HostileExit(BaseException):
    """An exception that `except Exception` lets through."""


def _raising(name: str, error: Callable[[], BaseException]) -> Connector:
    async def measure(session: HostileConfig, query: HostileQuery, window: Window) -> Measurement:
        raise error()

    async def read(session: HostileConfig, dataset: HostileQuery, cursor: Cursor | None) -> AsyncIterator[Page]:
        yield Page([CHANGE], cursor={"at": 1})
        raise error()

    return _made(name, measure=measure, read=read)


async def _measure_forever(session: HostileConfig, query: HostileQuery, window: Window) -> Measurement:
    await asyncio.Event().wait()
    return MEASUREMENT


async def _read_forever(session: HostileConfig, dataset: HostileQuery, cursor: Cursor | None) -> AsyncIterator[Page]:
    yield Page([CHANGE], cursor={"at": 1})
    await asyncio.Event().wait()


async def _same_page(session: HostileConfig, dataset: HostileQuery, cursor: Cursor | None) -> AsyncIterator[Page]:
    while True:
        await asyncio.sleep(0)
        yield Page([CHANGE], cursor={"token": "again"})


async def _new_pages(session: HostileConfig, dataset: HostileQuery, cursor: Cursor | None) -> AsyncIterator[Page]:
    number = 0
    while True:
        number += 1
        await asyncio.sleep(0)
        yield Page([replace(CHANGE, entity=str(number))], cursor={"at": number})


async def _empty_read(session: HostileConfig, dataset: HostileQuery, cursor: Cursor | None) -> AsyncIterator[Page]:
    return
    yield


async def _measure_meddling(session: HostileConfig, query: HostileQuery, window: Window) -> Measurement:
    object.__setattr__(query, "q", "something else")
    session.__dict__["token"] = None
    return MEASUREMENT


async def _read_meddling(session: HostileConfig, dataset: HostileQuery, cursor: Cursor | None) -> AsyncIterator[Page]:
    if cursor is not None:
        cursor.clear()
    object.__setattr__(dataset, "q", "something else")
    yield Page([CHANGE], cursor={"at": 1})


@asynccontextmanager
async def _open_swallowing(config: HostileConfig, toolbox: Toolbox) -> AsyncIterator[HostileConfig]:
    try:
        yield config
    except Exception:
        return


@asynccontextmanager
async def _open_failing_to_close(config: HostileConfig, toolbox: Toolbox) -> AsyncIterator[HostileConfig]:
    yield config
    raise RuntimeError("it would not close")


async def _measure_closing_the_client(session: Toolbox, query: HostileQuery, window: Window) -> Measurement:
    await session.http.aclose()
    return MEASUREMENT


@asynccontextmanager
async def _open_toolbox(config: HostileConfig, toolbox: Toolbox) -> AsyncIterator[Toolbox]:
    yield toolbox


def _exit() -> NoReturn:
    sys.exit(1)


async def _measure_exiting(session: HostileConfig, query: HostileQuery, window: Window) -> Measurement:
    _exit()


def _token_in_error(config: HostileConfig, delivery: InboundDelivery) -> None:
    raise ValueError(f"bad token {config.token.reveal()}")


async def _measure_telling(session: HostileConfig, query: HostileQuery, window: Window) -> Measurement:
    raise RuntimeError(f"the token is {session.token.reveal()}")


HOSTILE_CONDUCT = _named(
    _raising("raises_a_bug", lambda: ZeroDivisionError("division by zero")),
    _raising("raises_a_base_exception", lambda: HostileExit("let me out")),
    _raising("raises_cancelled", asyncio.CancelledError),
    _raising("raises_keyboard_interrupt", KeyboardInterrupt),
    _raising("raises_stop_iteration", StopIteration),
    _raising("raises_recursion", RecursionError),
    _raising("raises_memory", MemoryError),
    _made("exits", measure=_measure_exiting),
    _made("tells_its_token", measure=_measure_telling),
    _made("tells_its_token_at_the_door", verify=_token_in_error, parse=_parse),
    _made("measures_forever", measure=_measure_forever),
    _made("reads_forever", read=_read_forever),
    _made("same_page_forever", read=_same_page),
    _made("new_pages_forever", read=_new_pages),
    _made("reads_nothing", read=_empty_read),
    _made("meddles_with_a_query", measure=_measure_meddling),
    _made("meddles_with_a_cursor", read=_read_meddling),
    _made("swallows_errors", open=_open_swallowing),
    _made("fails_to_close", open=_open_failing_to_close),
    _made("closes_the_client", open=_open_toolbox, measure=_measure_closing_the_client),
)

HOSTILE: Mapping[str, Connector] = {**HOSTILE_MEASURES, **HOSTILE_READS, **HOSTILE_PARSES, **HOSTILE_CONDUCT}
