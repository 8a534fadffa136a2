"""The door for YAML text: one document, read as YAML 1.2 means it, with the place of every value.

libyaml's event stream is used directly. Nothing is constructed from tags, and depth, size and aliases are judged while
the stream is read, so that no input makes the reader recurse or grow. Plain scalars follow the core schema of YAML
1.2.2, chapter 10.3 (https://yaml.org/spec/1.2.2/#103-core-schema), numbers exactly: `NO` and `12:30:45` are text,
`1.10` is a Decimal.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

import yaml

from app.domain.records import JsonValue
from app.domain.strict_json import MAX_DIGITS, exact_decimal

Path: TypeAlias = tuple[str | int, ...]
Mark: TypeAlias = tuple[int, int]

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 50_000  # what can be read within about 0.2 s; a large team has a tenth of it

_NOT_PRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
# Tags that only say what is plain to see. Every other tag would ask for a construction.
_STRING_TAG = "tag:yaml.org,2002:str"
_MAPPING_TAG = "tag:yaml.org,2002:map"
_SEQUENCE_TAG = "tag:yaml.org,2002:seq"


class DocumentError(ValueError):
    """Text that is refused, with the place (1-based line and column). The message never holds the text."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True, slots=True)
class Document:
    """A value and where its parts stand: `value` of dict, list, str, int, Decimal, bool and None."""

    value: JsonValue
    marks: dict[Path, Mark]

    def mark(self, path: Path) -> Mark:
        """The 1-based (line, column) of the key or item at `path`, or of the nearest parent that exists."""
        for length in range(len(path), -1, -1):
            if (mark := self.marks.get(path[:length])) is not None:
                return mark
        return (1, 1)


def read_yaml(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES
) -> Document:
    """The one YAML document in `data` (UTF-8). An empty text is None.

    Raises DocumentError for what is not YAML, for aliases, anchors, tags, duplicate keys, keys that are not text, a
    second document, control characters, and beyond the limits.
    """
    if len(data) > max_bytes:
        raise DocumentError(f"the file is larger than {max_bytes} bytes", 1, 1)
    builder = _Builder(max_depth, max_nodes)
    loader = yaml.CSafeLoader(_text(data))
    try:
        while loader.check_event():
            builder.add(loader.get_event())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise DocumentError(f"not YAML: {error.problem or error.context}", line, column) from None
    except yaml.YAMLError:
        raise DocumentError("not YAML", 1, 1) from None
    finally:
        loader.dispose()
    return Document(builder.root, builder.marks)


def is_plain_text(text: str) -> bool:
    """Whether a plain scalar of that text is read as text, and not as a word or a number of YAML 1.2."""
    numbers = (_INTEGER, _OCTAL, _HEXADECIMAL, _DECIMAL, _NOT_FINITE)
    return text not in _WORDS and not any(number.fullmatch(text) for number in numbers)


def _text(data: bytes) -> str:
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().removeprefix("\ufeff")
        raise DocumentError("the file is not valid UTF-8", *_place(before, len(before))) from None
    if (found := _NOT_PRINTABLE.search(text)) is not None:
        what = "NUL" if found[0] == "\x00" else f"the control character U+{ord(found[0]):04X}"
        raise DocumentError(f"{what} is not allowed in the file", *_place(text, found.start()))
    return text


def _place(text: str, offset: int) -> Mark:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence that is open; `key` is set between a mapping's key and its value."""

    path: Path
    items: dict[str, Any] | list[Any]
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    max_depth: int
    max_nodes: int
    root: Any = None
    marks: dict[Path, Mark] = field(default_factory=dict)
    documents: int = 0
    nodes: int = 0
    frames: list[_Frame] = field(default_factory=list)

    def add(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise _refusal(event, "one document is expected; a second one starts here")
        elif isinstance(event, yaml.CollectionEndEvent):
            self.frames.pop()
        elif isinstance(event, yaml.NodeEvent):
            self._count(event)
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            else:
                self._collection(event)

    def _count(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(event, "aliases (*name) are not supported; write the value out")
        if event.anchor is not None:
            raise _refusal(event, "anchors (&name) are not supported")
        self.nodes += 1
        if self.nodes > self.max_nodes:
            raise _refusal(event, f"more than {self.max_nodes} values")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        value = _resolve(event)
        frame = self.frames[-1] if self.frames else None
        if frame is None or isinstance(frame.items, list) or frame.key is not None:
            self._place(event, value)
        elif not isinstance(value, str):
            raise _refusal(event, "a key is text; put it in quotes")
        elif value in frame.items:
            raise _refusal(event, "this key is given twice")
        else:
            frame.key = value
            self.marks[(*frame.path, value)] = _mark(event)

    def _collection(self, event: Any) -> None:
        frame = self.frames[-1] if self.frames else None
        if frame is not None and isinstance(frame.items, dict) and frame.key is None:
            raise _refusal(event, "a key is text, not a list or mapping")
        if len(self.frames) >= self.max_depth:
            raise _refusal(event, f"nested deeper than {self.max_depth} levels")
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag is not None and event.tag != (_MAPPING_TAG if is_mapping else _SEQUENCE_TAG):
            raise _refusal(event, "tags (!name) are not supported")
        items: dict[str, Any] | list[Any] = {} if is_mapping else []
        self.frames.append(_Frame(self._place(event, items), items))

    def _place(self, event: Any, value: Any) -> Path:
        """Put a value where it belongs and return its path. A mapping's entry keeps its key's mark."""
        if not self.frames:
            self.root = value
            self.marks[()] = _mark(event)
            return ()
        frame = self.frames[-1]
        if isinstance(frame.items, list):
            path: Path = (*frame.path, len(frame.items))
            frame.items.append(value)
            self.marks[path] = _mark(event)
            return path
        assert frame.key is not None
        path = (*frame.path, frame.key)
        frame.items[frame.key] = value
        frame.key = None
        return path


def _resolve(event: yaml.ScalarEvent) -> str | int | Decimal | bool | None:
    text: str = event.value
    if "\x00" in text:
        raise _refusal(event, "the character NUL is not allowed in text")
    if event.tag is not None and event.tag != _STRING_TAG:
        raise _refusal(event, "tags (!name) are not supported")
    # `implicit[0]` is libyaml's word for a plain scalar without a tag: the only kind that is resolved.
    return _plain(event, text) if event.implicit[0] else text


def _plain(event: yaml.ScalarEvent, text: str) -> str | int | Decimal | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if not text[0].isascii() or not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _INTEGER.fullmatch(text) or _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise _refusal(event, f"a number of more than {MAX_DIGITS} digits; put text in quotes")
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _DECIMAL.fullmatch(text):
        value = exact_decimal(text)
        if value is None:
            raise _refusal(event, f"a number of more than {MAX_DIGITS} digits; put text in quotes")
        return value
    if _NOT_FINITE.fullmatch(text):
        raise _refusal(event, "infinity and NaN are not numbers here")
    return text


def _mark(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _refusal(event: Any, message: str) -> DocumentError:
    return DocumentError(message, *_mark(event))
