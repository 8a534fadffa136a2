"""The causes of a change in order, and the records that differ between two numbers."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from app.domain.aggregate import exact, rounded
from app.services.definitions import Definition
from app.services.explain_rows import Row, Rows
from app.services.views.explain import Cause, DeltaCause, ExplainedChange, ExplainedRecord

Key = tuple[str, str]
Word = Literal["entered", "left", "changed"]


class Chain:
    """Causes one after the other, each from the value that the one before it ended at."""

    def __init__(self, value: Decimal | None, limit: int) -> None:
        self.value = value
        self.limit = limit
        self.causes: list[DeltaCause] = []

    def add(
        self,
        cause: Cause,
        value: Decimal | None,
        *,
        count: int,
        records: Sequence[ExplainedChange] = (),
        name: str | None = None,
        before: str | None = None,
        now: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Go on to `value`; a cause that neither did anything nor moved the value is not told."""
        if not count and value == self.value:
            return
        is_known = value is not None and self.value is not None
        self.causes.append(
            DeltaCause(
                cause=cause,
                value_before=self.value,
                value_after=value,
                contribution=difference(value, self.value) if is_known else None,
                count=count,
                records=list(records[: self.limit]),
                name=name,
                before=before,
                now=now,
                detail=detail,
            )
        )
        self.value = value


def plain(value: Decimal | None) -> str:
    return "unknown" if value is None else format(value, "f")


def difference(value: Decimal | None, before: Decimal | None) -> Decimal | None:
    """How much was added, None where one of the two is unknown."""
    return None if value is None or before is None else rounded(exact(value) - exact(before))


class Changes:
    """What differs between the records in two numbers, each under its own rule."""

    def __init__(self, earlier: Rows, later: Rows, earlier_rule: Definition, later_rule: Definition) -> None:
        self._earlier, self._later = earlier, later
        self._rules = earlier_rule, later_rule
        both = earlier.keys() & later.keys()
        self.by_word: dict[Word, list[Key]] = {
            "entered": self._sorted(later.keys() - earlier.keys(), later),
            "left": self._sorted(earlier.keys() - later.keys(), earlier),
            "changed": self._sorted({key for key in both if later[key].differs(earlier[key])}, later),
        }
        self.all = [(word, key) for word, keys in self.by_word.items() for key in keys]

    @staticmethod
    def _sorted(keys: set[Key], rows: Rows) -> list[Key]:
        return sorted(keys, key=lambda key: (key[0], rows[key].label, rows[key].entity, rows[key].at, key[1]))

    def records(self, only: Word | None = None) -> list[ExplainedChange]:
        """The records that changed, with their values before and now."""
        found = []
        for word, key in self.all:
            if only not in (None, word):
                continue
            before, now = self._earlier.get(key), self._later.get(key)
            row = now or before
            assert row is not None
            found.append(
                ExplainedChange(
                    change=word,
                    part=row.part,
                    entity=row.entity,
                    label=row.label,
                    at=row.at,
                    value_before=None if before is None else self._rules[0].in_unit(before.amount),
                    value_now=None if now is None else self._rules[1].in_unit(now.amount),
                    link=row.link,
                )
            )
        return found

    def explained(self, word: Word, limit: int) -> list[ExplainedRecord]:
        rows, rule = (self._earlier, self._rules[0]) if word == "left" else (self._later, self._rules[1])
        return [_record(rows[key], rule) for key in self.by_word[word][:limit]]


def _record(row: Row, definition: Definition) -> ExplainedRecord:
    return ExplainedRecord(
        part=row.part,
        entity=row.entity,
        label=row.label,
        at=row.at,
        value=definition.in_unit(row.amount),
        link=row.link,
        state=row.state,
        is_good=row.is_good,
        is_open=row.is_open,
    )
