"""Real histories of an operations team's metrics as a service would have stored them, day by day: from recorded tickets
and issues. Also those of a CSV file."""

import csv
import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from app.domain.aggregate import aggregate, rounded
from app.domain.series import Shape
from app.domain.window import DAY, add_months, period_start

Values = Sequence[Decimal | None]


class Item(NamedTuple):
    """A ticket or issue: when it came, when it was done, and whether it is of the kind that is counted as a share."""

    created: datetime
    done: datetime | None
    is_marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A metric's value at the end of every day from `first`; None where there was none."""

    source: str
    name: str
    shape: Shape
    first: date
    values: Values

    def history(self, start: date, at: datetime) -> list[tuple[datetime, Decimal]]:
        """The values that had been stored from a day up to a moment: only where they moved."""
        found: list[tuple[datetime, Decimal]] = []
        for index in range(max((start - self.first).days, 0), min((at.date() - self.first).days, len(self.values))):
            value = self.values[index]
            if value is not None and (not found or found[-1][1] != value):
                found.append((_midnight(self.first + timedelta(days=index + 1)) - timedelta(minutes=1), value))
        return found

    def value_on(self, day: date) -> Decimal | None:
        index = (day - self.first).days
        return self.values[index] if 0 <= index < len(self.values) else None


def helpdesk(folder: Path) -> list[Recorded]:
    """2,000 tickets of a help desk, 2010 to 2013; marked are those that had to wait for somebody."""
    events: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    with (folder / "helpdesk" / "tickets.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            events[row["case_id"]].append((datetime.fromisoformat(row["time:timestamp"]), row["concept:name"]))
    items = []
    for some in events.values():
        resolved = [at for at, name in some if name == "Resolve ticket"]
        waited = any(name == "Wait" for _, name in some)
        items.append(Item(min(at for at, _ in some), max(resolved, default=None), waited))
    return _metrics("help desk", items, date(2013, 10, 1))


def issues(folder: Path) -> list[Recorded]:
    """4,284 Jira issues, 2007 to 2012; done when last updated, if they are closed; marked are bugs."""
    items = []
    with (folder / "jira" / "fluid-issues-to-2012.ndjson").open(encoding="utf-8") as lines:
        for line in lines:
            issue = json.loads(line)
            closed = _moment(issue["updated"]) if issue["status"] in ("Closed", "Resolved") else None
            items.append(Item(_moment(issue["date"]), closed, issue["type"] == "Bug"))
    return _metrics("Jira", items, date(2012, 4, 1))


def from_csv(file: Path) -> list[Recorded]:
    """Histories of one's own: columns `metric`, `at` (ISO 8601) and `value`, and `cumulative` (1: accumulates over
    calendar quarters)."""
    values: dict[str, list[tuple[datetime, Decimal]]] = defaultdict(list)
    cumulative = set()
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            at = datetime.fromisoformat(row["at"])
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
            values[row["metric"]].append((at.astimezone(UTC), Decimal(row["value"])))
            if row.get("cumulative") in ("1", "true", "yes"):
                cumulative.add(row["metric"])
    found = []
    for name, some in values.items():
        some.sort()
        first, last = some[0][0].date(), some[-1][0].date()
        moments = [at for at, _ in some]
        daily = [
            some[bisect_left(moments, _midnight(first + timedelta(days=index + 1))) - 1][1]
            for index in range((last - first).days + 1)
        ]
        shape = Shape(is_cumulative=name in cumulative, resets=_quarters(first, last) if name in cumulative else ())
        found.append(Recorded(source=file.stem, name=name, shape=shape, first=first, values=daily))
    return found


def _metrics(source: str, items: Sequence[Item], until: date) -> list[Recorded]:
    created = sorted(item.created for item in items)
    first = created[0].date()
    done = sorted((item.done, item) for item in items if item.done is not None and item.done >= item.created)
    finished = [at for at, _ in done]
    days = [_seconds(at - item.created) / 86400 for at, item in done]
    ends = [_midnight(first + timedelta(days=index + 1)) for index in range((until - first).days)]
    starts = [_midnight(period_start((end - DAY).date(), 3)) for end in ends]

    def over(since: Callable[[int], datetime], how: Callable[[int, int], Decimal | None]) -> Values:
        return [how(bisect_left(finished, since(i)), bisect_left(finished, end)) for i, end in enumerate(ends)]

    def trailing(length: int) -> Callable[[int], datetime]:
        return lambda index: ends[index] - length * DAY

    def of_days(how: str) -> Callable[[int, int], Decimal | None]:
        def value(low: int, high: int) -> Decimal | None:
            if high - low < 5:
                return None
            return aggregate(how, [rounded(number) for number in days[low:high]])

        return value

    def share(is_good: Callable[[int], bool]) -> Callable[[int, int], Decimal | None]:
        def value(low: int, high: int) -> Decimal | None:
            if high - low < 5:
                return None
            return rounded(Fraction(100 * sum(is_good(index) for index in range(low, high)), high - low))

        return value

    def count(low: int, high: int) -> Decimal:
        return Decimal(high - low)

    def total(low: int, high: int) -> Decimal:
        return rounded(sum(days[low:high], Fraction(0)))

    def to_date(index: int) -> datetime:
        return starts[index]

    def arrived(since: Callable[[int], datetime]) -> Values:
        return [Decimal(bisect_left(created, end) - bisect_left(created, since(i))) for i, end in enumerate(ends)]

    resets = _quarters(first, until)
    counted = Shape(lowest=Decimal(0))
    adding = Shape(is_cumulative=True, never_falls=True, resets=resets, lowest=Decimal(0))
    percent = Shape(lowest=Decimal(0), highest=Decimal(100))
    backlog = [Decimal(bisect_left(created, end) - bisect_left(finished, end)) for end in ends]
    made: list[tuple[str, Shape, Values]] = [
        ("done, quarter to date", adding, over(to_date, count)),
        ("created, quarter to date", adding, arrived(to_date)),
        ("days spent, quarter to date", adding, over(to_date, total)),
        ("average days, quarter to date", Shape(lowest=Decimal(0), resets=resets), over(to_date, of_days("avg"))),
        ("open", counted, backlog),
        ("done in 7 d", counted, over(trailing(7), count)),
        ("created in 28 d", counted, arrived(trailing(28))),
        ("average days, 30 d", counted, over(trailing(30), of_days("avg"))),
        ("median days, 30 d", counted, over(trailing(30), of_days("median"))),
        ("p90 days, 30 d", counted, over(trailing(30), of_days("p90"))),
        ("median days, 90 d", counted, over(trailing(90), of_days("median"))),
        ("share within 14 days, 30 d", percent, over(trailing(30), share(lambda index: days[index] <= 14))),
        ("share marked, 30 d", percent, over(trailing(30), share(lambda index: done[index][1].is_marked))),
    ]
    return [Recorded(source=source, name=name, shape=shape, first=first, values=some) for name, shape, some in made]


def quarters(first: date, until: date) -> Iterator[tuple[date, date]]:
    """The whole calendar quarters between two days."""
    start = period_start(first + timedelta(days=92), 3)
    while (end := add_months(start, 3)) <= until:
        yield start, end
        start = end


def _quarters(first: date, until: date) -> tuple[datetime, ...]:
    return tuple(_midnight(start) for start, _ in quarters(first - timedelta(days=92), until + timedelta(days=92)))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)


def _seconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 1_000_000)
