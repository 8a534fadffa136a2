"""Key results as CSV (RFC 4180) for a spreadsheet: exact numbers, and no cell that a spreadsheet would compute."""

import csv
import io
from collections.abc import Iterable
from decimal import Decimal

from app.services.views import KeyResultView

COLUMNS = (
    *("id", "title", "objective", "cycle", "kind", "weight", "owner", "metric", "unit"),
    *("baseline", "target", "value", "projected_value", "progress", "expected_progress", "status", "freshness"),
    *("lifecycle", "reason", "observed_at", "measured_at", "connection", "link"),
)
#: What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection), full-width forms too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def key_results_csv(views: Iterable[KeyResultView]) -> str:
    """A line for each key result under a line of names. Text that could be a formula begins with an apostrophe."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for view in views:
        writer.writerow(_row(view))
    return out.getvalue()


def _row(view: KeyResultView) -> list[str]:
    target = _number(view.target) or safe_cell(str(view.target_rule.get("maintain") or ""))
    return [
        *map(safe_cell, (view.id, view.title, view.objective, view.cycle.name, view.kind)),
        _number(view.weight),
        *map(safe_cell, (view.owner or "", view.metric.id, view.metric.unit)),
        _number(view.baseline),
        target,
        _number(view.value),
        _number(view.projected_value),
        "" if view.progress is None else repr(view.progress),
        "" if view.expected_progress is None else repr(view.expected_progress),
        *map(safe_cell, (view.status, view.freshness.level, view.lifecycle, view.reason or "")),
        "" if view.observed_at is None else view.observed_at.isoformat().replace("+00:00", "Z"),
        "" if view.measured_at is None else view.measured_at.isoformat().replace("+00:00", "Z"),
        *map(safe_cell, (view.source.connection or "", view.source.link or "")),
    ]


def safe_cell(text: str) -> str:
    """Text that no spreadsheet computes, wherever in front of it blanks stand."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) or text.startswith(_FORMULA) else text


def _number(value: Decimal | None) -> str:
    return "" if value is None else format(value, "f")
