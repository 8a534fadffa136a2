"""A sheet's objectives and key results as a team file has them, before they have names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from app.services.spreadsheet.binding import Binding, probable_binding
from app.services.spreadsheet.dates import cycle_of, quarter_of, read_cycle, read_day, span_of
from app.services.spreadsheet.hierarchy import Line, read_lines
from app.services.spreadsheet.layout import Layout
from app.services.spreadsheet.measures import Measure, MeasureReader
from app.services.spreadsheet.numbers import read_quantity
from app.services.spreadsheet.remarks import Remarks
from app.services.spreadsheet.words import FOCUS, KINDS
from connectors.spreadsheet.cells import Cell, Sheet, printable, quoted
from connectors.spreadsheet.dates import DateError, DateOrder, date_order
from connectors.spreadsheet.numbers import NumberError
from connectors.spreadsheet.units import NOTHING, folded

_LONGEST = 200
#: What YAML, of any version, does not take for text.
YAML_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True, slots=True)
class KeyResultDraft:
    """A key result of a row (0-based). `due` is its own last day, where that is not the cycle's."""

    row: int
    title: str
    measure: Measure
    owner: str | None
    kind: str | None
    weight: Decimal | None
    due: date | None
    binding: Binding | None


@dataclass(slots=True)
class ObjectiveDraft:
    """An objective in a cycle: the name of one, or its first and last day."""

    row: int
    title: str
    cycle: str | tuple[date, date]
    owner: str | None = None
    focus: str | None = None
    key_results: list[KeyResultDraft] = field(default_factory=list)


@dataclass(slots=True)
class _Span:
    """When a row says that it is for: a cycle, a first and a last day, or less."""

    cycle: str | None = None
    start: date | None = None
    end: date | None = None


@dataclass(slots=True)
class Drafter:
    """Makes drafts of the rows of one team. `cycle` holds where a row says none."""

    sheet: Sheet
    layout: Layout
    remarks: Remarks
    reader: MeasureReader
    cycle: str | None
    order: DateOrder | None
    team: str | None = None
    _spans: dict[str, _Span] = field(default_factory=dict)
    _last_cycle: str | None = None
    _last_team: str | None = None
    _lacks_cycle: bool = False

    def drafts(self) -> list[ObjectiveDraft]:
        """All objectives that have a key result or a row of their own, in the order of the sheet."""
        if self.order is None:
            self.order = date_order(self._texts("starts", "ends")) or ("dmy" if self.layout.is_german else None)
        found: dict[tuple[str, object], ObjectiveDraft] = {}
        heads: dict[str, ObjectiveDraft] = {}
        for line in read_lines(self.sheet, self.layout, self.remarks):
            if not self._is_ours(line.row):
                continue
            span = self._span(line)
            if line.objective is None:
                self.remarks.problem(line.row, None, "no objective stands before this key result")
                continue
            key = folded(line.objective) or line.objective
            if line.level == "objective":
                self._spans[key] = span
                # Its cycle may be said by its key results only.
                heads[key] = ObjectiveDraft(
                    line.row, line.objective, "", self._text(line.row, "owner"), self._focus(line.row)
                )
                continue
            cycle = self._cycle(line, span, self._spans.get(key, _Span()))
            key_result = self._key_result(line, span, cycle)
            if cycle is None or key_result is None:
                continue
            objective = found.get((key, cycle))
            if objective is None:
                head = heads.get(key)
                focus = (head.focus if head else None) or self._focus(line.row)
                owner = head.owner if head else None
                row = head.row if head else line.row
                objective = found[key, cycle] = ObjectiveDraft(row, line.objective, cycle, owner, focus)
            objective.key_results.append(key_result)
        self._say_what_is_empty(heads, {key for key, _ in found})
        return list(found.values())

    def teams(self) -> Iterator[str]:
        """The names in the team's column, each once."""
        column = self.layout.columns.get("team")
        rows = range(self.layout.header + 1, len(self.sheet.rows))
        cells = (self.sheet.cell(row, column) for row in rows)
        yield from dict.fromkeys(printable(cell.text) for cell in cells if cell.text and cell.fault is None)

    def _say_what_is_empty(self, heads: dict[str, ObjectiveDraft], used: set[str]) -> None:
        for key, head in heads.items():
            if key not in used:
                self.remarks.note(head.row, None, f"{quoted(head.title)} has no key result that can be taken: left out")

    def _is_ours(self, row: int) -> bool:
        cell = self._cell(row, "team")
        if not cell.is_blank:
            self._last_team = folded(cell.text)
        return self.team is None or self._last_team is None or self._last_team == folded(self.team)

    # --- cells -----------------------------------------------------------------------------------------------------

    def _cell(self, row: int, role: str) -> Cell:
        return self.sheet.cell(row, self.layout.columns.get(role))

    def _texts(self, *roles: str) -> list[str]:
        rows = range(self.layout.header + 1, len(self.sheet.rows))
        return [self._cell(row, role).text for row in rows for role in roles]

    def _text(self, row: int, role: str) -> str | None:
        cell = self._cell(row, role)
        if cell.fault is not None:
            self.remarks.problem(row, self.layout.columns.get(role), cell.fault)
            return None
        text = printable(cell.text)
        if len(text) > _LONGEST:
            self.remarks.problem(row, self.layout.columns.get(role), f"at most {_LONGEST} characters are expected")
            return None
        return text if folded(text) not in NOTHING else None

    def _focus(self, row: int) -> str | None:
        text = self._text(row, "focus")
        if text is None:
            return None
        known = FOCUS.get(folded(text))
        return known or slug(text) or None

    # --- when ------------------------------------------------------------------------------------------------------

    def _day(self, row: int, role: str) -> date | None:
        cell = self._cell(row, role)
        if cell.day is not None:
            return cell.day
        if cell.is_blank or (cell.fault is None and folded(cell.text) in NOTHING):
            return None
        try:
            if cell.fault is not None:
                raise DateError(cell.fault)
            return read_day(cell.text, self.order)
        except DateError as error:
            self.remarks.problem(row, self.layout.columns.get(role), f"{quoted(cell.text)} {error}")
            return None

    def _span(self, line: Line) -> _Span:
        cell, column = self._cell(line.row, "cycle"), self.layout.columns.get("cycle")
        if cell.day is not None:
            self.remarks.problem(line.row, column, f"the day {cell.day} is here where a cycle is expected")
        elif cell.fault is not None:
            self.remarks.problem(line.row, column, cell.fault)
        elif not cell.is_blank and folded(cell.text) not in NOTHING:
            year = int(self.cycle[:4]) if self.cycle and re.match(r"\d{4}", self.cycle) else None
            try:
                self._last_cycle = read_cycle(cell.text, year)
            except DateError as error:
                self._last_cycle = None
                self.remarks.problem(line.row, column, f"{quoted(cell.text)} {error}")
        return _Span(self._last_cycle, self._day(line.row, "starts"), self._day(line.row, "ends"))

    def _cycle(self, line: Line, own: _Span, head: _Span) -> str | tuple[date, date] | None:
        """By the cycle's column, then the one that was given or stands in a header, then by days."""
        named = own.cycle or head.cycle or self.layout.cycle or self.cycle
        if named is not None:
            return named
        if any(self._has_problem(line.row, role) for role in ("cycle", "starts", "ends")):
            return None
        start, end = head.start or own.start, head.end or own.end
        if start and end:
            if end < start:
                self.remarks.problem(line.row, self.layout.columns.get("ends"), "it ends before it starts")
                return None
            return cycle_of(start, end) or (start, end)
        if end:
            cycle = quarter_of(end)
            column = self.layout.columns.get("ends")
            self.remarks.note(self.layout.header, column, "cycles are the quarters of the due dates")
            return cycle
        self.remarks.problem(line.row, None, "no cycle is said: say --cycle 2026-Q4, or add a column Cycle or Due date")
        return None

    def _has_problem(self, row: int, role: str) -> bool:
        place = (row, self.layout.columns.get(role))
        return place[1] is not None and any(
            (one.row, one.column) == place and one.severity == "problem" for one in self.remarks.found.values()
        )

    def _due(self, line: Line, span: _Span, cycle: str | tuple[date, date]) -> date | None:
        bounds = cycle if isinstance(cycle, tuple) else span_of(cycle)
        if span.end is None or bounds is None or span.end == bounds[1]:
            return None
        column = self.layout.columns.get("ends")
        self.remarks.note(
            line.row, column, f"due {span.end}: the file has the cycle's end, {bounds[1]}, and this in a comment"
        )
        return span.end

    # --- what ------------------------------------------------------------------------------------------------------

    def _key_result(self, line: Line, span: _Span, cycle: str | tuple[date, date] | None) -> KeyResultDraft | None:
        before = sum(one.severity == "problem" for one in self.remarks.found.values())
        kind, is_maintained = self._kind(line)
        measure = self.reader.read(line, is_maintained=is_maintained)
        owner, weight = self._text(line.row, "owner"), self._weight(line.row)
        after = sum(one.severity == "problem" for one in self.remarks.found.values())
        if measure is None or cycle is None or after > before:
            return None
        metric, source = self._text(line.row, "metric") or "", self._text(line.row, "source") or ""
        due = self._due(line, span, cycle)
        binding = None if measure.done else probable_binding(source, metric, line.title)
        return KeyResultDraft(line.row, line.title, measure, owner, kind, weight, due, binding)

    def _kind(self, line: Line) -> tuple[str | None, bool]:
        text = self._text(line.row, "kind")
        if text is None:
            return None, False
        kind = KINDS.get(folded(text))
        if kind is None:
            column = self.layout.columns.get("kind")
            self.remarks.note(
                line.row, column, f"{quoted(text)} is neither committed, aspirational nor maintain: left out"
            )
        return (None if kind == "maintain" else kind), kind == "maintain"

    def _weight(self, row: int) -> Decimal | None:
        cell, column = self._cell(row, "weight"), self.layout.columns.get("weight")
        if cell.is_blank or cell.is_repeated or (cell.fault is None and folded(cell.text) in NOTHING):
            return None
        weight = cell.number
        if weight is None:
            try:
                if cell.fault is not None:
                    raise NumberError(cell.fault)
                weight = read_quantity(cell.text, self.reader.mark).value
            except NumberError as error:
                self.remarks.problem(row, column, f"{quoted(cell.text)} {error}")
                return None
        if weight < 0:
            self.remarks.problem(row, column, "a weight is not negative")
            return None
        return weight


def slug(text: str, longest: int = 40) -> str:
    """A name of at most `longest` letters, digits and _ made of a text's words; empty where it has none."""
    spelled = text.lower()
    for sign, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("&", " and "), ("%", " percent ")):
        spelled = spelled.replace(sign, letters)
    words = re.findall(r"[a-z0-9]+", folded(spelled))
    while words and not words[0][0].isalpha():
        words.pop(0)
    name = ""
    for word in words:
        if name and len(name) + len(word) + 1 > longest:
            break
        name = f"{name}_{word}" if name else word[:longest]
    return f"{name}_" if name in YAML_WORDS else name
