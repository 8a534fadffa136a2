"""The JSON door: exact values in and out, every ambiguous text refused."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.strict_json import StrictJsonError, dumps, loads

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
NUMBERS = st.integers(-(10**40), 10**40) | st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=30,
)

REFUSED = {
    "nothing": (b"", "empty", None),
    "only spaces": (b" \r\n\t", "empty", None),
    "invalid UTF-8": (b'{"a": "\xff"}', "encoding", None),
    "a surrogate in UTF-8": (b'"\xed\xa0\x80"', "encoding", None),
    "a byte order mark": (b"\xef\xbb\xbf{}", "encoding", None),
    "UTF-16 with a mark": ('{"a": 1}'.encode("utf-16"), "encoding", None),
    "UTF-16 without a mark": ('{"a": 1}'.encode("utf-16-le"), "encoding", None),
    "NaN": (b'{"a": [0, NaN]}', "not_finite", "/a/1"),
    "Infinity": (b"Infinity", "not_finite", ""),
    "minus Infinity": (b"[-Infinity]", "not_finite", "/0"),
    "a key twice": (b'{"a": {"b/c": 1, "x": 2, "b/c": 3}}', "duplicate_key", "/a/b~1c"),
    "a key twice, once escaped": (b'{"a": 1, "\\u0061": 2}', "duplicate_key", "/a"),
    "a high surrogate": (b'{"a": "\\ud800"}', "surrogate", "/a"),
    "a low surrogate": (b'["\\uDFFF"]', "surrogate", "/0"),
    "reversed surrogates": (b'["\\udc00\\ud800"]', "surrogate", "/0"),
    "a surrogate in a key": (b'{"\\ud800": 1}', "surrogate", "/?"),
    "an escaped NUL": (b'{"a": "x\\u0000y"}', "nul", "/a"),
    "a raw NUL": (b'{"a": "x\x00y"}', "syntax", None),
    "a raw newline in text": (b'"a\nb"', "syntax", None),
    "arrays 100 000 deep": (b"[" * 100_000, "depth", None),
    "objects 100 000 deep": (b'{"a":' * 100_000, "depth", None),
    "one level too deep": (b"[" * 65 + b"]" * 65, "depth", None),
    "an integer of 5 000 digits": (b'{"n": ' + b"9" * 5000 + b"}", "number", "/n"),
    "1e300000": (b"[1e300000]", "number", "/0"),
    "1e-300000": (b"[1e-300000]", "number", "/0"),
    "an exponent of 50 digits": (b"1e" + b"9" * 50, "number", ""),
    "0e9999999999999999999": (b"0e9999999999999999999", "number", ""),
    "a million digits": (b"0." + b"1" * 1_000_000, "number", ""),
    "trailing text": (b"{} {}", "trailing", None),
    "trailing bracket": (b"[]]", "trailing", None),
    "cut short": (b'{"a": [1, 2', "syntax", None),
    "a comment": (b"{} // no", "trailing", None),
    "a trailing comma": (b"[1,]", "syntax", None),
    "single quotes": (b"{'a': 1}", "syntax", None),
    "a plus sign": (b"+1", "syntax", None),
    "a leading zero": (b"01", "trailing", None),
    "digits of another script": ("١".encode(), "syntax", None),
}


@pytest.mark.parametrize(("text", "code", "pointer"), REFUSED.values(), ids=REFUSED)
def test_refuses_what_is_not_one_unambiguous_value(text: bytes, code: str, pointer: str | None) -> None:
    with pytest.raises(StrictJsonError) as caught:
        loads(text)
    assert (caught.value.code, caught.value.pointer) == (code, pointer)


def test_a_refusal_can_be_encoded_and_does_not_repeat_the_text() -> None:
    with pytest.raises(StrictJsonError) as caught:
        loads(b'{"' + b"k" * 10_000 + b'\\ud800": "hunter2", "b": "\\ud800"}')
    pointer = caught.value.pointer or ""
    assert len(pointer.encode()) < 120
    assert "hunter2" not in caught.value.message + pointer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1.10", Decimal("1.10")),
        (b"0.1", Decimal("0.1")),
        (b"12345678901234567890123", 12345678901234567890123),
        (b"1e3", Decimal("1e3")),
        (b"1.7976931348623157e308", Decimal("1.7976931348623157e308")),
        (b"4.9406564584124654e-324", Decimal("4.9406564584124654e-324")),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b'"\\\\ud800 \\\\u0000"', "\\ud800 \\u0000"),
        (b'"[[[[ \\" {{{{"', '[[[[ " {{{{'),
        (b"[" * 64 + b"]" * 64, None),
        (b' {"a": [true, false, null, ""]} ', {"a": [True, False, None, ""]}),
    ],
)
def test_reads_exact_values(text: bytes, value: Any) -> None:
    found = loads(text)
    if value is not None:
        assert found == value
        assert type(found) is type(value)
        assert str(found) == str(value)


def test_brackets_in_text_do_not_count_as_depth() -> None:
    many = json.dumps(["[" * 200 + '\\"{', {"]": "[" * 200}] * 50)
    assert loads(many) == json.loads(many)


def test_the_depth_that_is_asked_for_is_the_limit() -> None:
    assert loads(b"[[[1], [2]]]", max_depth=3) == [[[1], [2]]]
    with pytest.raises(StrictJsonError, match="deeper than 2"):
        loads(b"[[[1], [2]]]", max_depth=2)


@settings(deadline=None)
@given(VALUES)
def test_what_is_written_is_read_back_the_same(value: Any) -> None:
    text = dumps(value)
    assert loads(text) == value
    assert dumps(loads(text)) == text
    assert json.loads(text, parse_float=Decimal) == value


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text('[]{}",:\\ue-+.0123456789nultrefasNI \n', max_size=80).map(str.encode))
def test_agrees_with_the_standard_reader_wherever_it_accepts(text: bytes) -> None:
    try:
        found = loads(text)
    except StrictJsonError:
        return
    assert found == json.loads(text, parse_float=Decimal)


@settings(deadline=None)
@given(st.text('[]{}"\\a,', max_size=60))
def test_depth_is_judged_as_a_reader_that_counts_would(body: str) -> None:
    text = json.dumps([body, {body: [[body]]}])
    assert loads(text, max_depth=4) == json.loads(text)
    with pytest.raises(StrictJsonError, match="deeper"):
        loads(text, max_depth=3)


def test_sorted_keys_make_equal_bytes() -> None:
    assert dumps({"b": 1, "a": {"d": 1, "c": 2}}, sort_keys=True) == b'{"a":{"c":2,"d":1},"b":1}'
    assert dumps({"b": 1, "a": 2}) == b'{"b":1,"a":2}'


def test_decimals_are_numbers_with_all_their_digits() -> None:
    assert dumps([Decimal("1.10"), Decimal("0.1234567890123456789012345678"), 2**64, -(10**30)]) == (
        b"[1.10,0.1234567890123456789012345678,18446744073709551616,-1000000000000000000000000000000]"
    )


@pytest.mark.parametrize(
    "value", [datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), 1.5, {1}, b"x", {1: 2}, object()]
)
def test_refuses_to_write_what_has_no_exact_form(value: Any) -> None:
    with pytest.raises(TypeError):
        dumps([value])


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), "\ud800", {"\ud800": 1}])
def test_refuses_to_write_what_can_not_be_read_back(value: Any) -> None:
    with pytest.raises(ValueError, match=r"no JSON form|lone surrogate"):
        dumps([value])
