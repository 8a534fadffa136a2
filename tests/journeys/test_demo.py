"""The example organisation: the same for a seed, sensible on any day, and played into a real `krsync up --demo`."""

import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.demo import prepared, reset
from app.cli.output import CommandError
from app.demo.calendar import DemoCalendar
from app.demo.live import live_events
from app.demo.organisation import CONNECTIONS, organisation, team_files
from app.demo.state import DemoState
from app.demo.year import Year
from app.domain.language import OrganisationFile, TeamFile
from app.embedded.lock import DataDirectoryLock
from app.supervisor import Steps
from tests.journeys.running import RunningKrsync, eventually

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
#: A day of every month of two years, first and last days, a leap day and a night of changing clocks among them.
DAYS = [
    *(datetime(2026 + month // 12, month % 12 + 1, 1 + 9 * month % 28, 12, tzinfo=UTC) for month in range(24)),
    datetime(2027, 1, 1, 0, 30, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, tzinfo=UTC),
]


@pytest.mark.parametrize("now", DAYS, ids=lambda now: f"{now:%Y-%m-%d}")
def test_on_any_day_the_quarter_is_under_way_and_the_files_are_right(now: datetime) -> None:
    calendar = DemoCalendar.ending(now)
    assert 0.3 < calendar.elapsed(now) < 0.7
    assert calendar.quarter_before.end == calendar.quarter.start
    assert calendar.month_before.end == calendar.month.start
    OrganisationFile.model_validate(organisation(calendar))
    for past in (True, False):
        for team, document in team_files(calendar, past=past).items():
            assert TeamFile.model_validate(document).team == team


def test_a_seed_and_a_moment_make_the_same_year() -> None:
    calendar = DemoCalendar.ending(NOW)
    events = Year(calendar).events()
    assert events == Year(calendar).events()
    assert events != Year(calendar, seed=8).events()
    assert len({event.id for event in events}) == len(events)
    assert calendar.start <= events[0].at <= events[-1].at <= NOW
    heard = {(event.team, event.connection) for event in events}
    silent = {(team, name) for team, names in CONNECTIONS.items() for name in names} - heard
    assert silent == {("people", "assets")}


def test_what_goes_on_tells_no_event_twice_and_none_of_the_future() -> None:
    moment = NOW

    def clock() -> datetime:
        nonlocal moment
        moment += timedelta(milliseconds=200)
        return moment

    told = []
    for event in live_events(7, clock):
        told.append(event)
        assert event.at <= moment
        if len(told) == 400:
            break
    assert len({event.id for event in told}) == 400
    assert {event.connection for event in told} == {"desk", "orders", "invoices", "hris"}


def test_a_demo_stays_out_of_other_data(tmp_path: Path) -> None:
    steps = Steps(
        migrate=lambda url: None,
        ensure_admin_token=_no_token,
        say=lambda text: None,
        environ={"KRSYNC_DATABASE_URL": "postgresql+asyncpg://production/krsync", "PATH": "/bin"},
    )
    own = tmp_path / "own"
    own.mkdir()
    (own / "krsync.db").touch()
    with pytest.raises(CommandError, match="not the example's"):
        prepared(steps, own)
    with pytest.raises(CommandError, match="nothing was removed"):
        reset(own)
    assert (own / "krsync.db").exists()

    demo = tmp_path / "demo"
    environ = prepared(steps, demo).environ
    assert "KRSYNC_DATABASE_URL" not in environ
    assert environ["PATH"] == "/bin"
    assert prepared(steps, demo).environ == environ  # the same secret, started again
    assert (demo / "demo.json").stat().st_mode & 0o777 == 0o600
    with DataDirectoryLock(demo), pytest.raises(CommandError, match="Ctrl-C first"):
        reset(demo)
    reset(demo)
    assert not demo.exists()
    reset(demo)


async def _no_token(url: str, path: Path) -> None:
    return None


class DemoKrsync(RunningKrsync):
    """`krsync up --demo`, on a data directory of its own."""

    arguments = ("--demo",)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_the_year_is_played_through_the_doors_and_goes_on(tmp_path: Path) -> None:
    demo = DemoKrsync(tmp_path)
    demo.data = tmp_path / "data" / "demo"
    await demo.start()
    try:

        async def is_played() -> bool:
            assert "the example stops" not in demo.said(), demo.said()
            return "The example goes on" in demo.said()

        await eventually("the year is played", is_played)
        async with demo.client() as http:
            shown = await _key_results(http)
            words = Counter(item["headline"]["word"] for item in shown)
            assert {"on_track", "behind", "at_risk", "met", "void", "stale", "no_data", "unknown", "paused"} <= set(
                words
            )
            await _check_the_past(http)

            replied = next(item for item in shown if item["id"] == "it/first_reply")

            async def moves() -> bool:
                found = (await http.get("/v1/key-results/it/first_reply")).json()
                return bool(found["value"] != replied["value"])

            await eventually("a value moves", moves)
        told = await demo.command("status", "it")  # finds the demo without being told where it is
        assert "it/solved" in told.out
        refused = await demo.command("demo", "reset")
        assert (refused.code, "Ctrl-C first" in refused.out) == (1, True)
    finally:
        await demo.stop()
    state = DemoState.of(demo.data)
    assert state is not None
    assert state.done[-1] == "history"
    assert (await demo.command("demo", "reset")).code == 0
    assert not demo.data.exists()


async def _check_the_past(http: httpx.AsyncClient) -> None:
    """The quarter before is closed and graded, every delivery was taken, nothing is dead."""
    cycles = (await http.get("/v1/cycles")).json()["items"]
    closed = {cycle["team"] for cycle in cycles if cycle["state"] == "closed"}
    assert closed == {"company", "people", "procurement", "it"}
    assert (await http.get("/v1/deliveries?outcome=dead")).json()["items"] == []
    graph: dict[str, Any] = (await http.get("/v1/alignment")).json()
    kinds = Counter(edge["kind"] for edge in graph["edges"])
    assert kinds["contributes_to"] >= 3
    assert kinds["supports"] >= 2


async def _key_results(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    response = await http.get("/v1/key-results?limit=1000")
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = json.loads(response.text)["items"]
    return items
