"""The example's calendar: which fiscal year puts a day well within a quarter, and how far the quarter is."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.domain.cycle import Cycle, current_cycle

ZONE = ZoneInfo("Europe/Berlin")
YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCalendar:
    """The year that ends at `now`: its quarters and months, as the example's organisation counts them."""

    now: datetime
    fiscal_year_start: int
    quarter: Cycle
    quarter_before: Cycle
    month: Cycle
    month_before: Cycle

    @classmethod
    def ending(cls, now: datetime) -> "DemoCalendar":
        """The fiscal year begins so that the quarter began a month before the month of `now`: a third to two thirds of
        it have passed on any day, and every status can be told."""
        now = now.astimezone(UTC)
        start = (now.astimezone(ZONE).month - 2) % 3 + 1
        quarter = current_cycle(now, ZONE, "quarter", start)
        month = current_cycle(now, ZONE, "month")
        return cls(
            now=now,
            fiscal_year_start=start,
            quarter=quarter,
            quarter_before=current_cycle(quarter.start - timedelta(days=1), ZONE, "quarter", start),
            month=month,
            month_before=current_cycle(month.start - timedelta(days=1), ZONE, "month"),
        )

    @property
    def start(self) -> datetime:
        """The first moment of the year that is played: local midnight."""
        day = (self.now - YEAR).astimezone(ZONE).date()
        return datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)

    def elapsed(self, at: datetime) -> float:
        """The part of the current quarter that has passed at a moment; negative before it."""
        return (at - self.quarter.start) / (self.quarter.end - self.quarter.start)

    def gone(self, at: datetime) -> float:
        """The part of the time before the current quarter that has passed at a moment, at most 1."""
        return min(1.0, (at - self.start) / (self.quarter.start - self.start))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How a number moves: from `first` at the year's start to `baseline` at the quarter's, then `pace` times as fast as
    would take it to `target` by the quarter's end. `lead` is half the window that averages it."""

    first: float
    baseline: float
    target: float
    pace: float
    lead: timedelta = timedelta(0)

    def at(self, calendar: DemoCalendar, moment: datetime) -> float:
        """The number at a moment. Made up, so a float will do."""
        elapsed = calendar.elapsed(moment + self.lead)
        if elapsed <= 0:
            return self.first + (self.baseline - self.first) * calendar.gone(moment + self.lead)
        return self.baseline + (self.target - self.baseline) * self.pace * min(elapsed, 1.0)
