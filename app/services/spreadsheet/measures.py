"""What a key result's row says of its numbers: baseline, target, current value and unit."""

import re
from dataclasses import dataclass, replace
from decimal import Decimal

from app.services.spreadsheet.hierarchy import Line
from app.services.spreadsheet.layout import Layout
from app.services.spreadsheet.numbers import read_change, read_quantity, read_range
from app.services.spreadsheet.remarks import Remarks
from app.services.spreadsheet.words import HOLD, NO_NUMBERS, says
from connectors.spreadsheet.cells import Cell, Sheet, printable, quoted
from connectors.spreadsheet.numbers import DecimalMark, NumberError, Quantity, decimal_mark, plain
from connectors.spreadsheet.units import NOTHING, folded, known_unit, unit_of

_NUMBERS = ("baseline", "target", "current", "range")
_SIGNED_PERCENT = re.compile(r"[+\-−–]\s?[\d.,]+\s?(?:%|percent|Prozent)", re.IGNORECASE)
_BOUND_IN_TITLE = re.compile(
    r"(?:>=|≥|<=|≤|\b(?:at least|at most|above|below|under|over|mindestens|höchstens|über|unter)\b)\s*[^\d]{0,3}"
    r"[\d.,]+\s?(?:%|[A-Za-z]+)?",
    re.IGNORECASE,
)
_LOW_WORDS = "below under most max maximum hochstens unter maximal less weniger"


@dataclass(frozen=True, slots=True)
class Measure:
    """The numbers of a key result. `change` is signed text (`-25%`), `maintain` a bound (`>= 99.9`), `done` the words
    of a target that is no number; exactly one of them and `target` is there."""

    unit: str
    baseline: Decimal | None = None
    target: Decimal | None = None
    change: str | None = None
    maintain: str | None = None
    done: str | None = None
    current: Decimal | None = None


@dataclass(slots=True)
class MeasureReader:
    """Reads the numbers of a sheet's rows; what is wrong goes to `remarks`."""

    sheet: Sheet
    layout: Layout
    remarks: Remarks
    mark: DecimalMark | None = None
    is_guess: bool = False
    _has_failed: bool = False

    def settle(self, given: DecimalMark | None) -> None:
        """Decide how the sheet writes decimals: as it is `given`, by its numbers, or by its language (a guess)."""
        if given is not None:
            self.mark = given
            return
        texts = [
            cell.text
            for row in range(self.layout.header + 1, len(self.sheet.rows))
            for role in _NUMBERS
            if (cell := self.sheet.cell(row, self.layout.columns.get(role))).number is None and cell.day is None
        ]
        try:
            self.mark = decimal_mark(texts)
        except NumberError:
            return
        if self.mark is None:
            self.is_guess = True
            self.mark = "," if self.layout.is_german or self.sheet.delimiter == ";" else "."

    def read(self, line: Line, *, is_maintained: bool) -> Measure | None:
        """A row's numbers; None where something is wrong with them, which is then said."""
        self._has_failed = False
        declared, scale = self._declared_unit(line.row)
        both = self._range(line)
        target, words = (both[1], None) if both else self._target(line)
        if words is not None and not self._has_failed:
            # From no to yes: there is nothing to count on the way.
            return Measure("percent", done=words)
        baseline = both[0] if both else self._quantity(line.row, "baseline")
        current = self._quantity(line.row, "current")
        if self._has_failed:
            return None
        if isinstance(target, str):
            return self._changed(line, target, baseline, current, declared, scale)
        if target is None:
            self._fail(line.row, "target", "no target is said: what is to be reached?")
            return None
        values = [None if one is None else _scaled(one, scale) for one in (baseline, target, current)]
        unit = self._unit(line, declared, [baseline, target, current])
        if unit is None:
            return None
        return self._judged(line, Measure(unit, values[0], values[1], current=values[2]), target, is_maintained)

    # --- cells -----------------------------------------------------------------------------------------------------

    def _cell(self, row: int, role: str) -> Cell:
        cell = self.sheet.cell(row, self.layout.columns.get(role))
        is_nothing = not cell.fault and folded(cell.text) in NOTHING and not re.search(r"[%€$£\d]", cell.text)
        return Cell() if cell.is_repeated or is_nothing else cell

    def _fail(self, row: int, role: str, message: str) -> None:
        self._has_failed = True
        self.remarks.problem(row, self.layout.columns.get(role), message)

    def _note(self, row: int, role: str, message: str) -> None:
        self.remarks.note(row, self.layout.columns.get(role), message)

    def _quantity(self, row: int, role: str) -> Quantity | None:
        cell = self._cell(row, role)
        if cell.is_blank:
            return None
        if self._is_faulty(row, role, cell):
            return None
        if cell.number is not None:
            return Quantity(cell.number, cell.unit, is_signed=cell.number < 0)
        try:
            return self._told(row, role, read_quantity(cell.text, self.mark, is_guess=self.is_guess))
        except NumberError as error:
            self._fail(row, role, f"{quoted(cell.text)} {error}")
            return None

    def _told(self, row: int, role: str, found: Quantity) -> Quantity:
        if found.was_guessed:
            self._note(row, role, f"read as {plain(found.value)}; --decimal . or --decimal , says it for certain")
        return found

    def _is_faulty(self, row: int, role: str, cell: Cell) -> bool:
        if cell.fault is not None:
            self._fail(row, role, cell.fault)
        elif cell.day is not None:
            self._fail(
                row, role, f"the day {cell.day} is here where a number is expected (sheets make 1.5 the 1st of May)"
            )
        return self._has_failed

    def _range(self, line: Line) -> tuple[Quantity, Quantity] | None:
        for role in ("range", "target", "baseline"):
            cell = self._cell(line.row, role)
            if cell.is_blank or cell.fault or cell.number is not None:
                continue
            try:
                both = read_range(cell.text, self.mark, is_guess=self.is_guess)
            except NumberError as error:
                self._fail(line.row, role, f"{quoted(cell.text)} {error}")
                return None
            if both is not None:
                self._told(line.row, role, both[0])
                self._told(line.row, role, both[1])
                return both
            if role == "range":
                self._fail(line.row, role, f"{quoted(cell.text)} is not like 15 → 5")
                return None
        return self._range_in_title(line)

    def _range_in_title(self, line: Line) -> tuple[Quantity, Quantity] | None:
        """What the title says, where no cell says a target."""
        if not self._cell(line.row, "target").is_blank:
            return None
        try:
            both = read_range(line.title, self.mark, is_guess=self.is_guess)
        except NumberError:
            return None
        if both is not None:
            message = f"baseline and target are those of the title: {plain(both[0].value)} → {plain(both[1].value)}"
            self.remarks.note(line.row, None, message)
        return both

    # --- the target --------------------------------------------------------------------------------------------------

    def _target(self, line: Line) -> tuple[Quantity | str | None, str | None]:
        """A number, a change as text, or nothing but words."""
        cell = self._cell(line.row, "target")
        if cell.is_blank:
            return self._target_in_title(line), None
        if self._is_faulty(line.row, "target", cell):
            return None, None
        if cell.number is not None:
            is_change = cell.unit == "percent" and cell.number < 0
            return (f"{plain(cell.number)}%" if is_change else Quantity(cell.number, cell.unit)), None
        if folded(cell.text) in NO_NUMBERS:
            self._fail(line.row, "target", f"{quoted(cell.text)} is not a number")
            return None, None
        if not re.search(r"\d", cell.text):
            return None, printable(cell.text)
        try:
            change = read_change(cell.text, self.mark)
            if change is not None:
                return change, None
            found = self._told(line.row, "target", read_quantity(cell.text, self.mark, is_guess=self.is_guess))
        except NumberError as error:
            self._fail(line.row, "target", f"{quoted(cell.text)} {error}")
            return None, None
        if _SIGNED_PERCENT.fullmatch(cell.text):
            return f"{'+' if found.value > 0 else ''}{plain(found.value)}%", None
        if found.is_signed and cell.text.lstrip().startswith("+"):
            return f"+{plain(found.value)}", None
        return found, None

    def _target_in_title(self, line: Line) -> Quantity | str | None:
        """A change, or a bound to hold; `from … to …` is looked for where both ends are."""
        try:
            change = read_change(line.title, self.mark)
            bound = _BOUND_IN_TITLE.search(line.title)
            if change is None and bound and says(line.title, HOLD):
                text = re.sub(r"(?i)^over", "above", bound[0])
                text = re.sub(r"(?i)^under", "below", text)
                return read_quantity(text, self.mark, is_prose=True)
        except NumberError:
            return None
        return change

    def _changed(
        self,
        line: Line,
        change: str,
        baseline: Quantity | None,
        current: Quantity | None,
        declared: str | None,
        scale: int,
    ) -> Measure | None:
        baseline = baseline or self._current_for_baseline(line, current)
        if baseline is None:
            self._fail(line.row, "baseline", f"{change} of what? A baseline is needed")
            return None
        unit = self._unit(line, declared, [baseline, current])
        if unit is None:
            return None
        if unit == "percent" and change.endswith("%"):
            message = (
                f"{change} of a percentage can be a part of it or percentage points: write the value to be reached"
            )
            self._fail(line.row, "target", message)
            return None
        if Decimal(change.rstrip("%")) == 0 or (change.endswith("%") and baseline.value == 0):
            self._fail(line.row, "target", "the target is the baseline: there is nothing to reach")
            return None
        return Measure(
            unit, _scaled(baseline, scale), change=change, current=None if current is None else _scaled(current, scale)
        )

    def _judged(self, line: Line, measure: Measure, target: Quantity, is_maintained: bool) -> Measure | None:
        assert measure.target is not None
        holds = is_maintained or (says(line.title, HOLD) and measure.baseline in (None, measure.target))
        if holds or (target.bound and measure.baseline is None):
            bound = target.bound or ("<=" if says(line.title, _LOW_WORDS) else ">=")
            if target.bound is None:
                self._note(line.row, "target", f"read as a bound to hold: {bound} {plain(measure.target)}")
            return replace(measure, baseline=None, target=None, maintain=f"{bound} {plain(measure.target)}")
        if target.bound is not None:
            self._note(line.row, "target", f"read as a target to reach: {plain(measure.target)}")
        if measure.baseline is None:
            if measure.current is None:
                self._fail(line.row, "baseline", "no baseline is said: what is the value at the beginning?")
                return None
            self._current_for_baseline(line, target)
            measure = replace(measure, baseline=measure.current)
        if measure.baseline == measure.target:
            message = "baseline and target are equal: there is nothing to reach (kind: maintain holds a value)"
            self._fail(line.row, "target", message)
            return None
        return measure

    def _current_for_baseline(self, line: Line, current: Quantity | None) -> Quantity | None:
        if current is not None:
            self._note(line.row, "baseline", "no baseline is said: the current value is taken")
        return current

    # --- units -------------------------------------------------------------------------------------------------------

    def _declared_unit(self, row: int) -> tuple[str | None, int]:
        """The unit of the row's own cell, and the power of ten in it (`T€`, `Mio. EUR`)."""
        cell = self._cell(row, "unit")
        if cell.is_blank:
            return None, 0
        if cell.fault is not None:
            self._fail(row, "unit", cell.fault)
            return None, 0
        text = re.sub(r"^(€|\$|£)\s?([kKmM])$", r"\2\1", cell.text)
        try:
            found = read_quantity(f"1 {text}", "." if self.mark is None else self.mark)
        except NumberError:
            return unit_of(cell.text), 0
        if found.scale and found.unit:
            self._note(row, "unit", f"values are taken times {Decimal(10) ** found.scale:f}, in {found.unit}")
            return found.unit, found.scale
        return unit_of(cell.text), 0

    def _unit(self, line: Line, declared: str | None, quantities: list[Quantity | None]) -> str | None:
        """The one unit that all agree on; `count` where nobody says one. None where they differ, which is then said."""
        found = {one.unit for one in quantities if one is not None and one.unit}
        headers = {unit for role, unit in self.layout.units.items() if role in _NUMBERS}
        if declared is None and not found:
            found = headers
        units = sorted(found | ({declared} if declared else set()))
        if len(units) > 1:
            self._fail(
                line.row, "unit" if declared else "target", f"the units differ: {' and '.join(map(quoted, units))}"
            )
            return None
        if units:
            return units[0]
        words = f"{self._cell(line.row, 'metric').text} {line.title}"
        for inside in re.findall(r"[(\[]([^)\]]*)[)\]]", words):
            unit = known_unit(inside)
            if unit is not None:
                return unit
        if says(words, "nps csat score bewertung"):
            return "score"
        self._note(line.row, "unit", "no unit is said: count is taken")
        return "count"


def _scaled(one: Quantity, scale: int) -> Decimal:
    """The value, times the unit column's power of ten where the number had none of its own."""
    return one.value.scaleb(scale) if scale and not one.scale else one.value
