"""Rules mean what people expect of records, keep exact numbers on plain paths, and can not run away."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.expression import RuleError, compile_rule
from app.domain.rule_text import tokens

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
RECORD: dict[str, Any] = {
    "points": Decimal("3.5"),
    "whole": Decimal("3.0"),
    "count": 4,
    "id": 9007199254740993,
    "nothing": None,
    "status": "Done",
    "flagged": True,
    "created": CREATED,
    "resolved": CREATED + timedelta(hours=47),
    "po": {"total": Decimal("1234567890123456789.10"), "lines": [{"price": 3, "qty": 2}, {"qty": 1}]},
    "labels": ["urgent", "erp"],
    "Story Points": Decimal("8.50"),
    "nul": "a\0b",
    "surrogate": "a\ud800b",
    "huge": 2**80,
}


def value(text: str, record: dict[str, Any] = RECORD) -> Any:
    return compile_rule(text, ("record",)).value({"record": record})


def matches(text: str, record: dict[str, Any] = RECORD) -> bool:
    return compile_rule(text, ("record",)).matches({"record": record})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("record.nothing == null", True),
        ("record.absent == null", True),
        ("record.absent.deeper.still == null", True),
        ("record.status.deeper == null", True),
        ("record.labels[7] == null", True),
        ('record["No Such Field"] == null', True),
        ("record.status != null", True),
        ("record.absent != null", False),
        ("record.absent > 3", False),
        ("record.absent < 3", False),
        ("!(record.absent > 3)", False),
        ("record.absent > 3 || record.status == 'Done'", True),
        ("record.absent > 3 && record.status == 'Done'", False),
        ("record.absent == 3", False),
        ("record.absent != 3", True),
        ("record.absent.startsWith('x')", False),
        ("record.absent && true", False),
        ("!record.absent", False),
        ("'x' in record.absent", False),
        ("has(record.status)", True),
        ("has(record.nothing)", False),
        ("has(record.absent.deeper)", False),
        ("!has(record.absent)", True),
        ("record.po.lines.exists(line, line.price == null)", True),
        ("record.po.lines.exists(line, line.price > 2)", True),
        ("record.po.lines.all(line, line.price > 2)", False),
        ("record.po.lines.exists(line, has(line.price) && line.price == 3)", True),
    ],
)
def test_absent_is_null_at_any_depth_and_ordering_against_it_does_not_match(text: str, expected: bool) -> None:
    assert matches(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("record.points > 3", True),
        ("record.points > 3.5", False),
        ("record.points >= 3.5", True),
        ("record.points == 3.5", True),
        ("record.whole == 3", True),
        ("record.count > 3.5", True),
        ("record.count == 4.0", True),
        ("record.count in [4, 5]", True),
        ("record.points < record.count", True),
        ("record.count % 3 == 1", True),
        ("record.id == 9007199254740993", True),
        ("record.id == 9007199254740992", False),
        ("record.id == 9007199254740993 && record.count * 2 == 8", True),
        ("record.huge > 5", True),
        ("size(record.labels) + 1 == 3", True),
        ("'urgent' in record.labels", True),
        ("record.status.lowerAscii() == 'done'", True),
        ("record.status.matches('^D[a-z]{3}$')", True),
        ("record.nul == 'a'", False),
        ("record.surrogate.size() == 3", True),
    ],
)
def test_numbers_and_text_compare_as_people_expect(text: str, expected: bool) -> None:
    assert matches(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("record.points * 2", Decimal(7)),
        ("record.count * 2.5", Decimal(10)),
        ("record.count * record.points", Decimal(14)),
        ("record.count / 8", Decimal("0.5")),
        ("record.whole / 2", Decimal("1.5")),
        ("5 / 2", Decimal("2.5")),
        ("record.count + -1", Decimal(3)),
        ("record.count - record.points * (record.flagged ? 1 : 2)", Decimal("0.5")),
        ("int(record.count) + 1", 5),
        ("record.absent * 2", None),
        ("double('2.25')", Decimal("2.25")),
        ("record.status + '!'", "Done!"),
        ("size(record.labels)", 2),
    ],
)
def test_arithmetic_does_not_depend_on_how_the_data_spells_its_numbers(text: str, expected: Any) -> None:
    assert value(text) == expected


def test_moments_are_timestamps() -> None:
    assert matches('record.resolved - record.created < duration("48h")')
    assert not matches('record.resolved - record.created < duration("47h")')
    assert value("record.resolved - record.created") == timedelta(hours=47)
    assert value("record.resolved - duration('1h')") == CREATED + timedelta(hours=46)
    assert value("record.resolved") == CREATED + timedelta(hours=47)
    assert matches("record.created.getFullYear() == 2026")
    assert not matches("record.closed - record.created < duration('48h')")


def test_timestamps_of_a_delivery_are_made_by_the_rule() -> None:
    rule = compile_rule("timestamp(body.ts)", ("body", "headers"))
    assert rule.value({"body": {"ts": "2026-01-01T01:00:00+01:00"}, "headers": {}}) == CREATED
    assert rule.value({"body": {"ts": 1767225600}, "headers": {}}) == CREATED
    assert rule.value({"body": {}, "headers": {}}) is None
    milliseconds = compile_rule("timestamp(body.ts / 1000)", ("body", "headers"))
    assert milliseconds.value({"body": {"ts": 1767225600000}, "headers": {}}) == CREATED


@pytest.mark.parametrize(
    ("text", "is_path"),
    [
        ("record.po.total", True),
        ('record["Story Points"]', True),
        ("record.po['lines'][0].price", True),
        (" record . po . total // the sum", True),
        ("record.po.total + 0", False),
        ("(record.po.total)", False),
        ("record.status.size()", False),
        ("record[record.status]", False),
        ("1", False),
    ],
)
def test_what_is_a_plain_path(text: str, is_path: bool) -> None:
    rule = compile_rule(text, ("record",))
    assert (rule.is_path, rule.is_exact) == (is_path, is_path)


def test_a_plain_path_keeps_every_digit() -> None:
    assert str(value("record.po.total")) == "1234567890123456789.10"
    assert str(value('record["Story Points"]')) == "8.50"
    assert str(value("record.po.total + 0")) != "1234567890123456789.10"


def test_the_fields_that_a_rule_reads() -> None:
    assert compile_rule("record.a > 1 && record['b c'].d == null", ("record",)).fields == frozenset({"a", "b c"})
    assert compile_rule("size(record) > 1", ("record",)).fields is None
    assert compile_rule("'record.a' == record.b // record.c", ("record",)).fields == frozenset({"b"})


@pytest.mark.parametrize(
    ("text", "column", "word"),
    [
        ("1 +", 4, "Syntax error"),
        ("recod.x == 1", 6, "undeclared reference to 'recod.x'"),
        ("record.a == 1 &&\nfrobnicate(2)", 28, "frobnicate"),
        ("'a' + 1", 5, "overload"),
        ("record.l.map(record, 1)", 14, "taken"),
        ("body.x", 5, "undeclared"),
        ("", 1, "Syntax error"),
        ("'open", 1, "Syntax error"),
    ],
)
def test_mistakes_are_told_with_their_column(text: str, column: int, word: str) -> None:
    with pytest.raises(RuleError, match=word) as caught:
        compile_rule(text, ("record",))
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("record.status > 3", "string, int"),
        ("record.count / 0", "division by zero"),
        ("record.count % 0", "modulus by zero|divide by zero"),
        ("0.0 / 0.0", "no number"),
        ("timestamp(record.status)", "Timestamp conversion"),
        ("9223372036854775807 % 2 + int('9223372036854775807')", "overflow|overload"),
        ("type(record.status)", "gives text"),
        ("b'abc'", "gives text"),
    ],
)
def test_real_mistakes_at_run_time_are_errors_not_absence(text: str, word: str) -> None:
    with pytest.raises(RuleError, match=word):
        value(text)


def test_a_condition_is_true_or_false() -> None:
    for text in ("record.status", "record.count", "record.created", "record.labels"):
        with pytest.raises(RuleError, match="a condition is true or false"):
            matches(text)


def nested(depth: int) -> Any:
    found: Any = None
    for _ in range(depth):
        found = {"a": found}
    return found


BIG: dict[str, Any] = {
    "hundred": list(range(99)),
    "many": list(range(200_000)),
    "million": "x" * 1_000_000,
    "long": "x" * 60_000,
    "nested": [{"l": list(range(4_000))}],
    "deep": nested(20_000),
}


@pytest.mark.parametrize(
    "text",
    [
        "record.hundred.exists(a, record.hundred.exists(b, record.hundred.exists(c, a + b + c == -1)))",
        "record.many.map(x, record.many)",
        "record.many.exists(x, record.many != record.many)",
        "record.nested.exists(i, i.l.exists(x, i.l != i.l))",
        "record.long.matches('(x?){1000}y')",
        "record.long.matches('(x?){90}y')",
        "record.long.matches('((x{1,30}){1,30}){1,1000}y')",
        "record.long.matches(record.long)",
        "record.million.contains('y')",
        "['aaaa']" + ".map(a, a + a)" * 24 + "[0].size() > 0",
        "[1].map(a, [a, a]).map(a, [a, a]).size() > 0",
        "record.long.replace('x', '" + "y" * 40 + "').size() > 0",
        "record.long.split('').join(record.long).size() > 0",
        "'%s'.format([record.long]) == ''",
        "record.deep == record.deep",
        "record.deep",
        "(" * 1_500 + "1" + ")" * 1_500,
        "[" * 300 + "1" + "]" * 300,
        "record" + ".a" * 1_500 + " == null",
        "1" + " + 1" * 900,
        "9 ** 9 ** 9",
        "true" + " " * 5_000,
    ],
)
def test_what_would_run_away_is_refused(text: str) -> None:
    with pytest.raises(RuleError):
        value(f"{text} == null" if text == "record.deep" else text, BIG)


def test_ordinary_loops_and_patterns_are_not_refused() -> None:
    lines = [{"sku": f"A-{i}", "price": Decimal("1.5"), "qty": i} for i in range(400)]
    record = {"lines": lines, "text": "please look at ERP-17 " * 500, "key": "0f8fad5b-d9cb-469f-a165-70867728950e"}
    assert matches("record.lines.exists(l, l.sku == 'A-399' && l.price * l.qty > 100)", record)
    assert matches("record.lines.filter(l, l.qty > 10).size() == 389", record)
    assert matches("record.text.matches('(?i)erp-[0-9]+')", record)
    uuid = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
    assert matches(f"record.key.matches('{uuid}')", record)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(
    JSON,
    st.sampled_from(
        ["record.a > 3", "record.a.b == null", "record.a + 1", "size(record.a)", "record.a[0].c", "record"]
    ),
)
def test_any_data_gives_a_value_or_a_rule_error(data: Any, text: str) -> None:
    rule = compile_rule(text, ("record",))
    try:
        found = rule.value({"record": data})
    except RuleError:
        return
    assert not isinstance(found, float)


@given(st.text(alphabet="record.ab[]()\"'!&|=<>+-*/ 0123,{}?:\\\n", max_size=40))
def test_any_text_compiles_or_is_a_rule_error(text: str) -> None:
    try:
        rule = compile_rule(text, ("record",))
    except RuleError:
        return
    assert rule.text == text


@given(st.text(max_size=60))
def test_tokens_leave_nothing_but_space_and_comments_out(text: str) -> None:
    found = tokens(text)
    assert all(before.end <= after.start for before, after in pairwise(found))
    assert all(text[token.start : token.end] == token.text for token in found)
