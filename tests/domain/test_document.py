"""The YAML door: YAML 1.2's values, the place of each, and refusals that point at the line."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.document import Document, DocumentError, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("1.10", Decimal("1.10")),
        ("-.5", Decimal("-0.5")),
        ("1e3", Decimal("1e3")),
        ("12:30:45", "12:30:45"),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("+12", 12),
        ("1_000", "1_000"),
        ("1.2.3", "1.2.3"),
        ("2026-02-30", "2026-02-30"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("~", None),
        ("null", None),
        ("", None),
        ('""', ""),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("=", "="),
        ("٣", "٣"),
        (".", "."),
    ],
)
def test_plain_words_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    found = read_yaml(f"a: {text}\n".encode()).value
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)
    assert str(found["a"]) == str(value)


REFUSED = {
    "an alias": ("a: *b\n", 1, "aliases"),
    "an anchor": ("a: 1\nb: &x [1]\n", 2, "anchors"),
    "an alias bomb": ("a: &a [x, x]\nb: &b [*a, *a]\n", 1, "anchors"),
    "a cyclic alias": ("&a [*a]\n", 1, "anchors"),
    "a duplicate key": ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 5, "twice"),
    "a duplicate key in flow style": ('{a: 1,\n "a": 2}\n', 2, "twice"),
    "a number as a key": ("2026: x\n", 1, "quotes"),
    "a null key": ("~: x\n", 1, "quotes"),
    "a list as a key": ("? [a]\n: b\n", 1, "not a list"),
    "a python tag": ("a: !!python/object/apply:os.system [ls]\n", 1, "tags"),
    "an own tag": ("a:\n  b: !secret x\n", 2, "tags"),
    "a tag on a mapping": ("a: !!omap {}\n", 1, "tags"),
    "a declared tag": ("%TAG ! tag:x,2000:\n---\na: !b c\n", 3, "tags"),
    "an int tag": ("a: !!int x\n", 1, "tags"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, "one document"),
    "a list 3 000 deep": ("a:\n  " + "[" * 3000, 2, "deeper than 32"),
    "a mapping 3 000 deep": ("{a: " * 3000, 1, "deeper than 32"),
    "blocks 3 000 deep": ("- " * 3000, 1, "deeper than 32"),
    "a raw NUL": ("a: 1\nb: x\x00\n", 2, "NUL"),
    "an escaped NUL": ('a: 1\nb: "\\0"\n', 2, "NUL"),
    "a control character": ("a: \x1b[31m\n", 1, "U+001B"),
    "a lone surrogate": ('a: "\\ud800"\n', 1, "not YAML"),
    "infinity": ("a: -.inf\n", 1, "infinity"),
    "not a number": ("a: .NaN\n", 1, "infinity and NaN"),
    "5 000 digits": ("a: " + "9" * 5000, 1, "400 digits"),
    "1e300000": ("a: 1e300000\n", 1, "400 digits"),
    "a tab as indentation": ("a:\n\tb: 1\n", 2, "not YAML"),
    "an open bracket": ("a: [1,\nb: 2\n", 3, "not YAML"),
    "an unknown version": ("%YAML 3.0\n---\na: 1\n", 1, "not YAML"),
}


@pytest.mark.parametrize(("text", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_with_the_line(text: str, line: int, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_yaml(text.encode())
    assert caught.value.line == line
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("data", "place"),
    [(b"a: 1\nb: \xff", (2, 4)), ("a: 1".encode("utf-16"), (1, 1)), (b"\xef\xbb\xbfa: \xe9t\xe9", (1, 4))],
)
def test_refuses_other_encodings_at_their_place(data: bytes, place: tuple[int, int]) -> None:
    with pytest.raises(DocumentError, match="UTF-8") as caught:
        read_yaml(data)
    assert (caught.value.line, caught.value.column) == place


def test_limits_are_those_asked_for() -> None:
    assert read_yaml(b"[[1, 2]]", max_depth=2, max_nodes=4, max_bytes=8).value == [[1, 2]]
    with pytest.raises(DocumentError, match="deeper than 1"):
        read_yaml(b"[[1, 2]]", max_depth=1)
    with pytest.raises(DocumentError, match="more than 3 values"):
        read_yaml(b"[[1, 2]]", max_nodes=3)
    with pytest.raises(DocumentError, match="larger than 7 bytes"):
        read_yaml(b"[[1, 2]]", max_bytes=7)


def test_an_error_reads_as_line_and_column() -> None:
    with pytest.raises(DocumentError) as caught:
        read_yaml(b"a: 1\n  : x\n")
    assert str(caught.value).startswith(f"{caught.value.line}:{caught.value.column}: ")


TEAM = """\
# a comment
team: operations
metrics:
  open_p1: {unit: issues,
            query: {connection: jira}}
  größe:
    - a
    - b: 1
"""


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        ((), (2, 1)),
        (("team",), (2, 1)),
        (("metrics", "open_p1"), (4, 3)),
        (("metrics", "open_p1", "unit"), (4, 13)),
        (("metrics", "open_p1", "query", "connection"), (5, 21)),
        (("metrics", "größe", 0), (7, 7)),
        (("metrics", "größe", 1, "b"), (8, 7)),
        (("metrics", "open_p1", "query", "jql"), (5, 13)),
        (("metrics", "absent", "deeper", 3), (3, 1)),
        (("absent",), (2, 1)),
    ],
)
def test_marks_point_at_the_key_or_its_nearest_parent(path: tuple[str | int, ...], mark: tuple[int, int]) -> None:
    assert read_yaml(TEAM.encode()).mark(path) == mark


def test_an_empty_file_is_nothing_and_has_a_place() -> None:
    assert read_yaml(b"# only a comment\n") == Document(None, {})
    assert read_yaml(b"").mark(("team",)) == (1, 1)


@settings(deadline=None)
@given(st.text(max_size=200) | st.text("a1:-[]{}#&*!|>'\"%@,?~ \n\t.", max_size=80))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        place = read_yaml(text.encode(errors="surrogatepass")).mark(("anything", 0))
    except DocumentError as error:
        place = (error.line, error.column)
    assert min(place) >= 1
