"""A year of events, and the numbers that people vouch for: made up from a seed, the same for the same moment and seed.

The floats here make the example up; what is measured from it is exact, as it is from any other sender.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.demo.calendar import ZONE, DemoCalendar, Trend

DAY = timedelta(days=1)
#: Deviations that come in turn: over a few events they cancel out, so no window is far from its trend.
_SPREAD = (0.0, -0.18, 0.22, -0.08, 0.1, -0.24, 0.18)
_MANNERS = ("laptop", "badge", "printer", "licence", "mail", "phone", "network", "password")


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery: through which connection of which team, the sender's id for it, and its body."""

    team: str
    connection: str
    id: str
    at: datetime
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Assertion:
    """A number that a person vouches for at the end of a local day."""

    team: str
    metric: str
    at: datetime
    value: str
    note: str


class _Spread:
    """A trend's numbers with their deviations in turn."""

    def __init__(self, trend: Trend, calendar: DemoCalendar) -> None:
        self._trend, self._calendar, self._turn = trend, calendar, 0

    def at(self, moment: datetime) -> float:
        self._turn += 1
        return self._trend.at(self._calendar, moment) * (1 + _SPREAD[self._turn % len(_SPREAD)])


class Year:
    """The example's year up to the calendar's `now`, from a seed."""

    def __init__(self, calendar: DemoCalendar, seed: int = 7) -> None:
        self.calendar, self.seed = calendar, seed
        self._random = random.Random(seed)

    def events(self) -> list[Event]:
        """Every event of the year by its moment; later ones of an unfinished story are not among them."""
        told = [*self._starts(), *self._occupancy(), *self._orders(), *self._invoices(), *self._tickets(), *self._erp()]
        now = self.calendar.now
        return sorted((event for event in told if event.at <= now), key=lambda event: (event.at, event.id))

    def late_invoices(self) -> list[Event]:
        """Invoices of the month before that nobody matched, told of after it was closed."""
        end = self.calendar.month_before.end
        return [
            self._event("procurement", "invoices", end - timedelta(hours=hours), "booked", invoice=f"INV-L{hours}")
            for hours in range(3, 21, 2)
        ]

    def assertions(self) -> list[Assertion]:
        """What people vouch for, oldest first. The newcomers have not been asked for forty days."""
        c = self.calendar
        pulse = Trend(first=6.2, baseline=6.8, target=8.0, pace=0.72)
        newcomers = Trend(first=6.4, baseline=7.0, target=8.5, pace=1.1)
        articles = Trend(first=4, baseline=22, target=60, pace=3.2)
        energy = Trend(first=45500, baseline=42000, target=36000, pace=0.9)
        heads = Trend(first=96, baseline=118, target=126, pace=1.0)
        rows = [
            *self._asserted("company", "pulse", 14, pulse, "Survey of the offices", 1),
            *self._asserted("company", "headcount", 28, heads, "Payroll", 0),
            *self._asserted("people", "newcomer_pulse", 14, newcomers, "Survey of the newcomers", 1, silent=40),
            *self._asserted("people", "energy", 28, energy, "Read from the meters", 0),
            *self._asserted("it", "articles", 14, articles, "Counted in the knowledge base", 0),
        ]
        return sorted((row for row in rows if c.start <= row.at <= c.now), key=lambda row: (row.at, row.metric))

    # --- the stories --------------------------------------------------------------------------------------------------

    def _event(self, team: str, connection: str, at: datetime, word: str, **body: Any) -> Event:
        subject = next(iter(body.values()))
        name = f"demo-{self.seed}-{team}-{subject}-{word}-{at:%Y%m%d%H%M%S}"
        key = "state" if connection == "monitor" else "event"
        return Event(team, connection, name, at, {**body, key: word, "at": at.isoformat()})

    def _asserted(
        self, team: str, metric: str, every: int, trend: Trend, note: str, places: int, *, silent: int = 0
    ) -> Iterator[Assertion]:
        at = self.calendar.now - timedelta(days=silent + 1)
        while at >= self.calendar.start:
            yield Assertion(team, metric, at, f"{trend.at(self.calendar, at):.{places}f}", note)
            at -= timedelta(days=every)

    def _workdays(self) -> Iterator[datetime]:
        """Local midnight of every Monday to Friday of the year."""
        day = self.calendar.start
        while day <= self.calendar.now:
            local = day.astimezone(ZONE)
            if local.weekday() < 5:
                yield local.replace(hour=0, minute=0, second=0, microsecond=0)
            day += DAY

    def _starts(self) -> Iterator[Event]:
        days = Trend(first=20, baseline=15, target=5, pace=1.25, lead=timedelta(days=28))
        spread, number = _Spread(days, self.calendar), 0
        for day in self._workdays():
            if day.weekday() not in (0, 2):
                continue
            number += 1
            started = day + timedelta(hours=9)
            person = f"P-{number:04d}"
            yield self._event("people", "hris", started, "started", person=person)
            share = 0.62 + 0.1 * self.calendar.gone(started)
            on_time = (number * 0.618034) % 1 < share
            yield self._event(
                "people", "hris", started + timedelta(hours=3), "equipped", person=person, on_time=on_time
            )
            done = _business(started, spread.at(started))
            yield self._event("people", "hris", done, "productive", person=person)

    def _occupancy(self) -> Iterator[Event]:
        share = _Spread(Trend(first=32, baseline=40, target=65, pace=1.05, lead=timedelta(days=4)), self.calendar)
        for day in self._workdays():
            at = day + timedelta(hours=11)
            yield self._event("people", "sensors", at, "counted", floor="north", share=round(share.at(at), 1))

    def _orders(self) -> Iterator[Event]:
        days = _Spread(Trend(first=12, baseline=9, target=7, pace=0.8, lead=timedelta(days=14)), self.calendar)
        total = Trend(first=1000, baseline=1250, target=1080, pace=1.0, lead=timedelta(days=14))
        number = 0
        for day in self._workdays():
            for turn in range(2):
                number += 1
                at = day + timedelta(hours=9, minutes=205 * turn)
                amount = total.at(self.calendar, at) * (0.2, 2.6, 0.6, 0.6)[number % 4]
                amount *= 1 + _SPREAD[number % len(_SPREAD)] / 4
                contract = (number * 0.618034) % 1 < 0.5 + 0.12 * max(0.0, self.calendar.gone(at)) + 0.1 * max(
                    0.0, self.calendar.elapsed(at)
                )
                body = {"po": f"PO-{number:05d}", "total": round(amount, 2), "contract": contract}
                yield self._event("procurement", "orders", at, "po.requested", **body)
                yield self._event("procurement", "orders", _business(at, days.at(at)), "po.approved", **body)

    def _invoices(self) -> Iterator[Event]:
        for number, day in enumerate(self._workdays(), 1):
            word = "booked" if number % 37 == 0 else "matched"
            at = day + timedelta(hours=14, minutes=number % 50)
            yield self._event("procurement", "invoices", at, word, invoice=f"INV-{number:05d}")

    def _tickets(self) -> Iterator[Event]:
        hours = _Spread(Trend(first=44, baseline=30, target=12, pace=0.4, lead=timedelta(days=7)), self.calendar)
        minutes = _Spread(Trend(first=150, baseline=90, target=30, pace=0.8, lead=timedelta(days=7)), self.calendar)
        number = 0
        for day in self._workdays():
            for turn in range(2):
                number += 1
                at = day + timedelta(hours=8, minutes=250 * turn + number % 17)
                body = {
                    "ticket": f"T-{number:05d}",
                    "about": _MANNERS[self._random.randrange(len(_MANNERS))],
                    "major": number % 20 == 0,
                }
                yield self._event("it", "desk", at, "opened", **body)
                yield self._event("it", "desk", at + timedelta(minutes=minutes.at(at)), "replied", **body)
                done = at + timedelta(hours=hours.at(at))
                yield self._event("it", "desk", done, "resolved", **body)
                share = 0.05 if self.calendar.elapsed(at) < 0.15 else 0.13
                if (number * 0.618034) % 1 < share:
                    yield self._event("it", "desk", done + timedelta(hours=2), "reopened", **body)

    def _erp(self) -> Iterator[Event]:
        at, week = self.calendar.start, 0
        yield self._event("it", "monitor", at, "up", service="erp")
        while at < self.calendar.now:
            week += 1
            night = at + timedelta(days=(6 - at.astimezone(ZONE).weekday()) % 7, hours=2)
            yield self._event("it", "monitor", night, "maintenance", service="erp")
            yield self._event("it", "monitor", night + timedelta(hours=2), "up", service="erp")
            if week % 3 == 0:
                failed = night + timedelta(days=2, hours=9)
                yield self._event("it", "monitor", failed, "down", service="erp")
                yield self._event(
                    "it", "monitor", failed + timedelta(minutes=25 + week % 4 * 8), "degraded", service="erp"
                )
                yield self._event("it", "monitor", failed + timedelta(hours=3), "up", service="erp")
            at += 7 * DAY


def _business(start: datetime, days: float) -> datetime:
    """The moment so many business days of eight hours later, from 9 to 17 on Mondays to Fridays; holidays are left out
    of the story."""
    hours = days * 8
    at = start
    while True:
        closing = at.replace(hour=17, minute=0, second=0, microsecond=0)
        left = (closing - at) / timedelta(hours=1)
        if hours <= left:
            return at + timedelta(hours=hours)
        hours -= max(0.0, left)
        at = (at + DAY).replace(hour=9, minute=0, second=0, microsecond=0)
        while at.weekday() > 4:
            at += DAY
