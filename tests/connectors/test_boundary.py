"""What the hostile connectors hand over is refused with a reason; what honest ones do is passed on unchanged."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.boundary import check_measurement, check_page, check_parsed
from connectors.contract import (
    Changed,
    Connector,
    Event,
    Ignored,
    InboundDelivery,
    JsonValue,
    Measurement,
    Page,
    Pushed,
    RecordChange,
    Transition,
    Window,
)
from connectors.errors import UnexpectedResponseError
from tests.fakes.hostile import HARMLESS, HOSTILE, HOSTILE_CONDUCT, HOSTILE_MEASURES, HOSTILE_PARSES, HOSTILE_READS

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def each(connectors: Mapping[str, Connector]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("connector", connectors.values(), ids=connectors.keys())


async def measured(connector: Connector) -> Measurement:
    assert connector.measure is not None
    return await connector.measure(None, None, Window(None, None))


async def read(connector: Connector) -> list[Page]:
    assert connector.read is not None
    return [page async for page in connector.read(None, None, None)]


@each(HOSTILE_MEASURES)
async def test_a_hostile_measurement_is_refused(connector: Connector) -> None:
    with pytest.raises(UnexpectedResponseError) as caught:
        check_measurement(await measured(connector))

    assert len(str(caught.value)) < 200


@each(HOSTILE_READS)
async def test_a_hostile_page_is_refused(connector: Connector) -> None:
    pages = await read(connector)
    with pytest.raises(UnexpectedResponseError) as caught:
        list(map(check_page, pages))

    assert len(str(caught.value)) < 200


@each(HOSTILE_PARSES)
def test_a_hostile_reading_of_a_delivery_is_refused(connector: Connector) -> None:
    assert connector.parse is not None
    parsed = connector.parse(None, InboundDelivery([], b"", NOW))
    with pytest.raises(UnexpectedResponseError):
        check_parsed(parsed)


async def test_the_harmless_connector_passes() -> None:
    """So that the hostile ones are refused for what they do and not for what they share."""
    measurement = await measured(HARMLESS)
    assert check_measurement(measurement) is measurement
    for page in await read(HARMLESS):
        assert check_page(page) is page


def test_every_hostile_connector_has_a_name_of_its_own() -> None:
    parts = (HOSTILE_MEASURES, HOSTILE_READS, HOSTILE_PARSES, HOSTILE_CONDUCT)
    assert len(HOSTILE) == sum(len(part) for part in parts)


@pytest.mark.parametrize(
    "measurement",
    [
        Measurement(Decimal("0"), NOW, "q"),
        Measurement(Decimal("-0.10"), NOW, "q", link="https://a.example", is_exact=False, digest="sha256:00"),
        Measurement(Decimal("1.7976931348623157e308"), NOW, "q"),
        Measurement(None, NOW, "q", reason="the tool has no data for the window"),
    ],
)
def test_an_honest_measurement_is_passed_on(measurement: Measurement) -> None:
    assert check_measurement(measurement) is measurement


def test_an_honest_page_is_passed_on() -> None:
    move = Transition("status", NOW, 0, None, "Done", None, "done")
    fields: dict[str, JsonValue] = {
        "a": None,
        "b": True,
        "c": 7,
        "d": Decimal("1.50"),
        "e": "é",
        "f": [{"": []}],
    }
    change = RecordChange("1", "A-1", 0, None, fields, [move], "https://a.example", True)
    page = Page(
        [change, replace(change, entity="2")], {"after": {"at": 1, "ids": ["1"]}}, ["one was left out"], deleted=["3"]
    )

    assert check_page(page) is page
    assert check_page(Page([])) == Page([])


@pytest.mark.parametrize(
    "parsed",
    [
        Event({"a": [Decimal("1.5"), None]}, {"x-event": ""}),
        Changed(["1", "2"]),
        Changed([]),
        Pushed([RecordChange("1", "A-1", 1, NOW, {})]),
        Ignored("a ping"),
    ],
)
def test_an_honest_reading_is_passed_on(parsed: Any) -> None:
    assert check_parsed(parsed) is parsed
