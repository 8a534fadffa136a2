"""Plays the example: a year in steps, each of which may be played again without effect, and then an event a second."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from app.demo.calendar import ZONE, DemoCalendar
from app.demo.doors import Doors
from app.demo.live import live_events
from app.demo.organisation import TEAMS, Document, organisation, team_files
from app.demo.state import DemoState
from app.demo.year import Year

_LOOK = 0.2


class Progress(Protocol):
    """Who is told how far it is."""

    def step(self, title: str, total: int) -> None:
        """Another step begins, of so many parts."""

    def advance(self, count: int) -> None:
        """So many parts more are done."""


class Player:
    """Plays a state's year into a service. A step is noted once it was played whole."""

    def __init__(self, doors: Doors, state: DemoState, progress: Progress) -> None:
        self._doors, self._state, self._progress = doors, state, progress
        self.calendar = DemoCalendar.ending(state.now)
        self._year = Year(self.calendar, state.seed)

    async def play_year(self) -> int:
        """Every step that was not played yet; how many were."""
        missing = [(name, play) for name, play in self._steps() if name not in self._state.done]
        for name, play in missing:
            await play()
            self._state.done.append(name)
            self._state.write()
        return len(missing)

    def _steps(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        yield "doors", self._doors_open
        yield "events", self._events
        yield "before", self._before
        yield "assertions", self._assertions
        yield "measured", self._measured
        yield "closed", self._close
        yield "current", self._current
        yield "words", self._words
        yield "late", self._late
        yield "history", self._history

    async def live(self, every: float = 1.0) -> None:
        """An event every so many seconds, until cancelled."""
        for event in live_events(self._state.seed, lambda: datetime.now(UTC)):
            await self._doors.tell(event)
            await asyncio.sleep(every)

    # --- the steps ---------------------------------------------------------------------------------------------------

    async def _doors_open(self) -> None:
        self._progress.step("Teams with what they keep", len(TEAMS) + 1)
        await self._doors.call("PUT", "/v1/organisation", organisation(self.calendar))
        self._progress.advance(1)
        # Nothing is measured yet: what is asked is then built once, of all that was kept.
        for team, document in team_files(self.calendar, past=True).items():
            await self._apply(team, {**document, "metrics": {}, "objectives": {}})

    async def _events(self) -> None:
        events = self._year.events()
        self._progress.step("A year of signed webhooks", len(events))
        await self._doors.tell_all(events, self._progress.advance)

    async def _before(self) -> None:
        files = team_files(self.calendar, past=True)
        self._progress.step("Teams as they were last quarter", 2 * len(TEAMS))
        # A formula reads another team's metrics, and objectives weigh in those of another: both have to be there.
        for team, document in files.items():
            plain = {name: spec for name, spec in document["metrics"].items() if "formula" not in spec}
            await self._apply(team, {**document, "metrics": plain, "objectives": {}})
        for team, document in files.items():
            await self._apply(team, document)

    async def _apply(self, team: str, document: Document) -> None:
        await self._doors.call("POST", f"/v1/teams/{team}/apply", document)
        self._progress.advance(1)

    async def _assertions(self) -> None:
        said = self._year.assertions()
        self._progress.step("Numbers that people vouch for", len(said))
        for one in said:
            day = one.at.astimezone(ZONE).date()
            path = f"/v1/metrics/{one.team}/{one.metric}/values/{day}"
            await self._doors.call("PUT", path, {"value": one.value, "note": one.note})
            self._progress.advance(1)

    async def _measured(self) -> None:
        self._progress.step("Every metric built from what is kept", 1)
        while await self._is_busy():  # noqa: ASYNC110  what we wait for is another process
            await asyncio.sleep(_LOOK)
        self._progress.advance(1)

    async def _is_busy(self) -> bool:
        pending = await self._doors.call("GET", "/v1/deliveries?outcome=pending&limit=1")
        if pending["items"]:
            return True
        metrics = await self._doors.call("GET", "/v1/metrics?limit=1000")
        return any(metric.get("building") for metric in metrics["items"])

    async def _close(self) -> None:
        closing = [(team, self.calendar.quarter_before.name) for team in TEAMS]
        closing.append(("procurement", self.calendar.month_before.name))
        self._progress.step("Last quarter closed and graded", len(closing) + 1)
        for team, cycle in closing:
            body = {"reason": f"Review of {cycle}"}
            await self._doors.call("POST", f"/v1/cycles/{team}/{cycle}/close", body)
            self._progress.advance(1)
        grade = {"score": "0.6", "note": "Two weeks were lost to the supplier's strike", "outcome": "scored"}
        path = f"/v1/cycles/it/{self.calendar.quarter_before.name}/grades/first_reply"
        await self._doors.call("PUT", path, grade)
        self._progress.advance(1)

    async def _current(self) -> None:
        self._progress.step("Teams as they are now", len(TEAMS))
        for team, document in team_files(self.calendar, past=False).items():
            await self._apply(team, document)

    async def _words(self) -> None:
        said: list[tuple[str, dict[str, Any]]] = [
            ("/v1/metrics/it/cutover/milestones/Data%20migrated", {"done": True, "note": "Balances agree"}),
            ("/v1/metrics/it/cutover/milestones/Interfaces%20tested", {"done": True, "note": "All but the bank"}),
            ("/v1/metrics/it/cutover/milestones/Users%20trained", {"done": True, "note": "Both sites"}),
            (
                "/v1/key-results/it/help_time/check-ins",
                {"note": "Two colleagues are on the migration", "confidence": "0.3", "blockers": ["Migration"]},
            ),
            (
                "/v1/key-results/people/onboarding_time/check-ins",
                {"note": "The checklist for managers works", "confidence": "0.8"},
            ),
            (
                "/v1/key-results/procurement/procurement_time/check-ins",
                {"note": "Approvals below 500 EUR need one signature since October", "confidence": "0.5"},
            ),
        ]
        self._progress.step("Steps ticked and check-ins", len(said))
        for path, body in said:
            await self._doors.call("POST", path, body)
            self._progress.advance(1)

    async def _late(self) -> None:
        late = self._year.late_invoices()
        self._progress.step("Invoices that came after the close", len(late))
        await self._doors.tell_all(late, self._progress.advance)

    async def _history(self) -> None:
        """Asked for, and not waited for: the workers build it while the example goes on."""
        since = self.calendar.quarter_before.start.astimezone(ZONE).date().isoformat()
        self._progress.step("History day by day, built from here on", len(TEAMS))
        for team in TEAMS:
            await self._doors.call("POST", f"/v1/teams/{team}/backfill", {"since": since})
            self._progress.advance(1)


def is_over(state: DemoState, now: datetime) -> bool:
    """Whether the year that was played ended so long ago that its quarter may be another."""
    return now - state.now > timedelta(days=25)
