"""Jira's payloads as records: moments, names, categories, histories, and what is refused."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import Transition
from connectors.errors import QueryError, UnexpectedResponseError
from connectors.jira.fields import moment_of, plan_fields
from connectors.jira.histories import History, StatusCategories, status_transitions
from connectors.jira.payloads import (
    BulkHistory,
    ChangeHistory,
    ChangeItem,
    FieldDetails,
    FieldSchema,
    Issue,
    IssuePage,
    StatusCategory,
    StatusDetails,
    decode,
    microseconds,
    moment,
    moments,
    readable,
)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2007-06-26T10:32:10.000-0400", datetime(2007, 6, 26, 14, 32, 10, tzinfo=UTC)),
        ("2020-06-12T08:13:13.360+0800", datetime(2020, 6, 12, 0, 13, 13, 360_000, tzinfo=UTC)),
        ("2020-06-12T08:13:13.360Z", datetime(2020, 6, 12, 8, 13, 13, 360_000, tzinfo=UTC)),
        (1_492_070_429_123, datetime(2017, 4, 13, 8, 0, 29, 123_000, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_exactly(text: str | int, at: datetime) -> None:
    assert moment(text) == at
    assert moment(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["2007-06-26T10:32:10.000", "yesterday", "", "2007-02-30T00:00:00Z", 10**30])
def test_a_moment_that_is_none_is_never_guessed(text: str | int) -> None:
    with pytest.raises(UnexpectedResponseError, match="moment"):
        moment(text)


def test_a_version_is_the_microsecond() -> None:
    assert microseconds(datetime(2020, 6, 12, 0, 13, 13, 360_001, tzinfo=UTC)) == 1_591_920_793_360_001


@pytest.mark.parametrize(
    ("value", "schema", "seen"),
    [
        (None, None, None),
        ("", None, ""),
        (Decimal("3.50"), FieldSchema("number"), Decimal("3.50")),
        (5, FieldSchema("number"), Decimal(5)),
        ("5 pts", FieldSchema("number"), "5 pts"),
        (True, None, True),
        ({"self": "…", "value": "Red", "id": "1"}, FieldSchema("option"), "Red"),
        ({"value": "Europe", "child": {"value": "Berlin"}}, FieldSchema("option-with-child"), "Europe - Berlin"),
        ({"accountId": "5b", "displayName": "Mia", "active": True}, FieldSchema("user"), "Mia"),
        ({"name": "Major", "id": "3"}, FieldSchema("priority"), "Major"),
        ([{"name": "API"}, {"name": "Web"}], FieldSchema("array", "component"), ["API", "Web"]),
        ([{"id": 7, "name": "Sprint 7", "state": "closed"}], FieldSchema("array", "json"), ["Sprint 7"]),
        (["a", "b"], FieldSchema("array", "string"), ["a", "b"]),
        ("2020-07-22T15:25:29.121+0800", FieldSchema("datetime"), "2020-07-22T07:25:29.121000Z"),
        ("soon", FieldSchema("datetime"), "soon"),
        ("2020-06-12", FieldSchema("date"), "2020-06-12"),
        ({"progress": 0, "total": 3}, FieldSchema("progress"), {"progress": 0, "total": 3}),
    ],
)
def test_a_value_is_what_people_see(value: Any, schema: FieldSchema | None, seen: object) -> None:
    assert readable(value, schema) == seen


def test_numbers_keep_every_digit() -> None:
    page = decode(
        b'{"issues":[{"id":"1","key":"A-1","fields":{"x":0.1000000000000000055511151231257}}]}', IssuePage, "p"
    )
    assert page.issues[0].fields["x"] == Decimal("0.1000000000000000055511151231257")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"  <html>", "web page"),
        (b'{"issues":[{"id":"1"', "not whole JSON"),
        (b"", "not whole JSON"),
        (b'{"issues":[{"id":"1","key":"A","fields":{"x":' + b"[" * 100_000, "not whole JSON"),
        (b'{"issues":[{"key":"A-1","fields":{}}]}', "id"),
        (b'{"issues":[{"id":"1","key":"A-1"}]}', "fields"),
        (b'{"isLast":true}', "issues"),
        (b'{"issues":null}', "issues"),
        (b"[]", "shape"),
        (b'{"issues":[],"x":NaN}', "not whole JSON"),
        (b'{"issues":[{"id":"1","key":"A","fields":{"x":1e999999999999999999}}]}', "out of range"),
        (b'{"issues":[{"id":"\xff","key":"A","fields":{}}]}', "not whole JSON"),
        (b'{"issues":[{"id":"1","key":"A","fields":{"x":' + b"9" * 5_000 + b"}}]}", "Jira"),
    ],
)
def test_an_answer_of_another_shape_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(UnexpectedResponseError, match=words):
        decode(body, IssuePage, "search results")


def _status(id: str, name: str, key: str) -> tuple[str, str, str | None]:
    return id, name, StatusDetails(id, name, StatusCategory(key)).category


CATEGORIES = StatusCategories(
    [
        _status("1", "Open", "new"),
        _status("3", "In Arbeit", "indeterminate"),
        _status("5", "已完成", "done"),
        _status("7", "Review", "indeterminate"),
        _status("8", "Review", "done"),
        _status("9", "No category", "undefined"),
    ]
)


@pytest.mark.parametrize(
    ("id", "name", "category"),
    [
        ("1", "Open", "to_do"),
        ("3", "In Progress", "in_progress"),  # renamed since: the id tells
        ("99", "已完成", "done"),  # deleted and made again: the name tells
        (None, "Open", "to_do"),
        ("99", "Review", None),  # two statuses of this name in different categories
        ("9", "No category", None),
        ("99", "Gone", None),
        (None, None, None),
    ],
)
def test_a_category_is_found_by_id_then_by_name(id: str | None, name: str | None, category: str | None) -> None:
    assert CATEGORIES.category(id, name) == category


def _change(id: str, created: str, before: str, after: str, field: str = "status") -> ChangeHistory:
    return ChangeHistory(id, created, [ChangeItem(field, field, before, before, after, after)])


def _changes_of(histories: Sequence[History]) -> tuple[Transition, ...]:
    (found,) = status_transitions([histories], CATEGORIES)
    return found


def test_transitions_come_in_the_order_of_their_moments_and_then_of_their_ids() -> None:
    same = "2026-01-02T00:00:00.000+0000"
    histories = [
        _change("30", "2026-01-03T00:00:00.000+0000", "c", "d"),
        _change("100", same, "b", "c"),
        _change("9", same, "a", "b"),
        _change("9", same, "a", "b"),  # the same page fetched twice
        _change("5", same, "x", "y", field="priority"),
        _change("1", "2026-01-01T23:59:59.999-0100", "d", "e"),
    ]
    found = _changes_of(histories)
    assert [(one.order, one.before, one.after) for one in found] == [
        (0, "a", "b"),
        (1, "b", "c"),
        (2, "d", "e"),
        (3, "c", "d"),
    ]
    assert found == _changes_of(histories[::-1])


def test_each_issue_has_the_changes_of_its_own_histories() -> None:
    def log(*steps: tuple[int, int]) -> list[BulkHistory]:
        text = '[{"field":"status","toString":"%d"}]'
        return [BulkHistory(str(id), at, msgspec.Raw((text % id).encode())) for id, at in steps]

    logs = [log((1, 1_700_000_000_001), (2, 1_700_000_000_002)), [], log((4, 3), (3, 3), (5, 2)), log((6, -1))]
    found = list(status_transitions(logs, CATEGORIES))
    assert [[one.after for one in changes] for changes in found] == [["1", "2"], [], ["5", "3", "4"], ["6"]]
    assert [[one.order for one in changes] for changes in found] == [[0, 1], [], [0, 1, 2], [0]]


@given(st.lists(st.integers(-62_135_596_800_000, 253_402_300_799_999) | st.integers(0, 2**32 * 1_000)))
def test_many_moments_are_read_as_each_is(values: list[str | int]) -> None:
    assert moments(values) == [moment(value) for value in values]
    texts = [*values, "2026-01-02T00:00:00.000+0100"]
    assert moments(texts) == [moment(value) for value in texts]


def test_items_that_come_again_and_again_are_read_as_if_each_came_alone() -> None:
    items = [
        b'[{"field":"priority","to":"1"},{"fieldId":"status","from":"1","fromString":"Open","to":"5","toString":"x"}]',
        b'[{"field":"status","from":"5","fromString":"x","to":"1","toString":"Open"}]',
    ]
    bulk = [BulkHistory(str(one), 1_700_000_000_000 + one, msgspec.Raw(items[one % 2])) for one in range(5)]
    alone = [
        ChangeHistory(one.id, one.created, msgspec.json.decode(bytes(one.items), type=list[ChangeItem])) for one in bulk
    ]
    found = _changes_of(bulk)
    assert len(found) == 5
    assert found == _changes_of(alone)
    assert {(one.before_category, one.after_category) for one in found} == {("to_do", "done"), ("done", "to_do")}


@pytest.mark.parametrize("items", [b"null", b"[1]", b'[{"field":7}]', b'[{"field":"\xff"}]'])
def test_items_of_another_shape_are_refused(items: bytes) -> None:
    history = BulkHistory("1", 1_700_000_000_000, msgspec.Raw(items))
    with pytest.raises(UnexpectedResponseError, match="changelogs"):
        _changes_of([history])


def test_more_changes_than_are_kept_are_read_all_the_same() -> None:
    histories = [
        BulkHistory(str(one), one, msgspec.Raw(b'[{"field":"status","toString":"%d"}]' % one)) for one in range(5_000)
    ]
    assert [one.after for one in _changes_of(histories)] == [str(one) for one in range(5_000)]


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        (b'{"name":"Open","id":"1","self":"..."}', "Open"),
        (b"null", None),
        (b'"Open"', "Open"),
        (b'["Open"]', ["Open"]),
        (b'{"name":{"odd":1}}', None),
    ],
)
def test_a_thing_is_what_it_is_called_whatever_it_comes_as(status: bytes, seen: object) -> None:
    plan = plan_fields([], FIELDS)
    body = b'{"issues":[{"id":"1","key":"A-1","fields":{"created":"2020-06-12T08:13:13.360+0800","updated":'
    body += b'"2020-06-12T00:13:13.360+0000","status":%s}}],"isLast":true}' % status
    [issue] = msgspec.json.decode(body, type=plan.shape(IssuePage)).issues
    record = plan.values(issue)
    assert record["status"] == seen
    assert record["created"] == record["updated"] == "2020-06-12T00:13:13.360000Z"
    assert moment_of(issue, "created") == moment_of(issue, "updated") == moment("2020-06-12T00:13:13.360Z")


def _field(id: str, name: str, kind: str = "number", custom: str | None = None) -> FieldDetails:
    return FieldDetails(id, name, custom=True, schema=FieldSchema(kind, custom=custom))


FIELDS = [
    _field("customfield_1", "Story Points"),
    _field("customfield_2", "Team", "string"),
    _field("customfield_3", "Team", "option"),
    _field("customfield_4", "Iteration", "array", "com.pyxis.greenhopper.jira:gh-sprint"),
    _field("customfield_5", "team size"),
]


def test_fields_are_read_under_the_names_that_the_dataset_uses() -> None:
    plan = plan_fields(["Story Points", "Team Size", "customfield_3", "status"], FIELDS)
    values: dict[str, Any] = {"customfield_1": 3, "customfield_5": Decimal("1.5"), "customfield_3": {"value": "Blue"}}
    values |= {"customfield_4": [{"name": "Sprint 1"}], "project": {"key": "ERP", "name": "Resource planning"}}
    record = plan.values(Issue("1", "ERP-1", values))
    assert record["Story Points"] == 3
    assert record["Team Size"] == Decimal("1.5")
    assert record["customfield_3"] == "Blue"
    assert record["sprint"] == ["Sprint 1"]
    assert record["project"] == "ERP"
    assert record["key"] == "ERP-1"
    assert record["resolution"] is None
    assert plan.ids.count("status") == 1


def test_an_ambiguous_name_names_both_ids() -> None:
    with pytest.raises(QueryError, match="customfield_2 and customfield_3"):
        plan_fields(["Team"], FIELDS)


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(QueryError, match="Did you mean 'Story Points'"):
        plan_fields(["Story Pionts"], FIELDS)
    with pytest.raises(QueryError, match=r"no field named 'Zzz' that the account can see\.$"):
        plan_fields(["Zzz"], FIELDS)


def test_the_fingerprint_tells_plans_and_queries_apart() -> None:
    plain, more = plan_fields([], FIELDS), plan_fields(["Story Points"], FIELDS)
    prints = {plain.fingerprint("a"), plain.fingerprint("b"), more.fingerprint("a")}
    assert len(prints) == 3
    assert plain.fingerprint("a") == plan_fields([], FIELDS[::-1]).fingerprint("a")
