"""A dataset's rules decide which deliveries count, for whom and when."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.events import Rejected, compile_dataset
from app.domain.expression import RuleError
from app.domain.language import DatasetSpec
from app.domain.records import Event

RECEIVED = datetime(2026, 5, 4, 12, tzinfo=UTC)
ORDERS: dict[str, Any] = {
    "connection": "erp",
    "entity": "body.po.id",
    "at": "body.occurred_at",
    "event": "body.event",
    "where": "body.po.total > 0",
    "link": "body.url",
}
BODY: dict[str, Any] = {
    "event": "po.approved",
    "occurred_at": "2026-05-01T10:00:00+02:00",
    "po": {"id": "PO-7", "total": Decimal("12.50")},
    "url": "https://erp.example/po/7",
}


def accept(body: Any, headers: dict[str, str] | None = None, **rules: Any) -> Event | Rejected:
    spec = DatasetSpec.model_validate({**ORDERS, **rules})
    return compile_dataset(spec).accept(key="k", body=body, headers=headers or {}, received_at=RECEIVED, order=3)


def accepted(body: Any, headers: dict[str, str] | None = None, **rules: Any) -> Event:
    found = accept(body, headers, **rules)
    assert isinstance(found, Event)
    return found


def test_an_accepted_delivery_is_an_event() -> None:
    assert accepted(BODY, {"X-Source": "erp"}) == Event(
        key="k",
        entity="PO-7",
        at=datetime(2026, 5, 1, 8, tzinfo=UTC),
        event="po.approved",
        body=BODY,
        headers={"x-source": "erp"},
        order=3,
        link="https://erp.example/po/7",
    )


@pytest.mark.parametrize(
    ("change", "rules", "reason"),
    [
        ({"po": {"id": "PO-7", "total": 0}}, {}, "where is false"),
        ({"po": {"id": "PO-7"}}, {}, "where is false"),
        ({"po": {"total": 1}}, {}, "no entity"),
        ({"po": {"id": None, "total": 1}}, {}, "no entity"),
        ({"po": {"id": " ", "total": 1}}, {}, "no entity"),
        ({"po": {"id": ["PO-7"], "total": 1}}, {}, "no entity"),
        ({"po": {"id": True, "total": 1}}, {}, "no entity"),
        ({"po": {"id": Decimal("7.5"), "total": 1}}, {}, "no entity"),
        ({"po": {"id": "x" * 501, "total": 1}}, {}, "the entity's name is too long"),
        ({"event": 17}, {}, "the event's name is not text"),
        ({}, {"where": "headers['x-env'] == 'live'"}, "where is false"),
    ],
)
def test_why_a_delivery_does_not_count(change: Any, rules: Any, reason: str) -> None:
    assert accept({**BODY, **change}, **rules) == Rejected(reason)


@pytest.mark.parametrize(("number", "entity"), [(17, "17"), (Decimal("17.0"), "17"), (2**80, str(2**80))])
def test_whole_numbers_name_an_entity(number: Any, entity: str) -> None:
    assert accepted({**BODY, "po": {"id": number, "total": 1}}).entity == entity


def test_headers_are_found_by_their_lower_case_names() -> None:
    assert accepted(BODY, {"X-Env": "live"}, where="headers['x-env'] == 'live'").entity == "PO-7"


@pytest.mark.parametrize("occurred_at", [None, "soon", "2026-02-30T00:00:00Z", True, []])
@pytest.mark.parametrize("rule", ["body.occurred_at", "timestamp(body.occurred_at)"])
def test_a_moment_that_can_not_be_read_is_the_receipt_and_says_so(occurred_at: Any, rule: str) -> None:
    event = accepted({**BODY, "occurred_at": occurred_at}, at=rule)
    assert (event.at, event.at_is_receipt) == (RECEIVED, True)


def test_without_a_rule_the_moment_is_the_receipt() -> None:
    event = accepted(BODY, at=None, event=None, link=None)
    assert (event.at, event.at_is_receipt, event.event, event.link) == (RECEIVED, True, None, None)


@pytest.mark.parametrize("at", [1777622400, 1777622400000, "2026-05-01T04:00:00.000-0400", "2026-05-01 08:00:00"])
def test_moments_in_their_common_spellings(at: Any) -> None:
    event = accepted({**BODY, "occurred_at": at})
    assert (event.at, event.at_is_receipt) == (datetime(2026, 5, 1, 8, tzinfo=UTC), False)


def test_only_web_addresses_are_links() -> None:
    assert accepted({**BODY, "url": "javascript:alert(1)"}).link is None


def test_a_delivery_without_an_event_name_is_kept() -> None:
    assert accepted({**BODY, "event": None}).event is None


def test_a_rule_that_fails_is_an_error_for_the_caller() -> None:
    with pytest.raises(RuleError):
        accept({**BODY, "po": {"id": "PO-7", "total": "12"}})


def test_a_dataset_of_entities_has_no_such_rules() -> None:
    with pytest.raises(RuleError, match="entity"):
        compile_dataset(DatasetSpec.model_validate({"connection": "jira", "jql": "project = A"}))
    with pytest.raises(RuleError, match="undeclared"):
        compile_dataset(DatasetSpec.model_validate({**ORDERS, "where": "record.x == 1"}))


@pytest.mark.parametrize("body", [None, 3, "text", [1, 2], {}])
def test_a_body_of_any_shape_is_judged(body: Any) -> None:
    assert accept(body) == Rejected("where is false")
