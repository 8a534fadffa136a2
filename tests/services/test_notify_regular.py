"""The weekly digest and the health check of mid-cycle: each told once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest_asyncio

from app.services.health_check import make_due_health_checks, make_health_check
from app.services.notify import regular
from app.services.notify.regular import tell_regularly
from app.services.notify.watch import watch
from tests.conftest import FakeClock
from tests.services.story import TEAM
from tests.services.telling import EVERYWHERE, Told, file_with, open_told

WEEKLY = EVERYWHERE + '  digest: {weekday: mon, at: "09:00"}\n'


@pytest_asyncio.fixture
async def told(database_url: str, clock: FakeClock) -> AsyncIterator[Told]:
    async with open_told(database_url, clock) as opened:
        yield opened


async def restarted(told: Told) -> int:
    """A worker that has just started looks."""
    regular._looked.clear()
    return await tell_regularly(told.story.services)


async def test_one_digest_a_week_whoever_restarts(told: Told) -> None:
    await told.begin(WEEKLY)
    told.clock.set(datetime(2026, 11, 23, 7, 59, tzinfo=UTC))
    assert await restarted(told) == 0
    told.clock.advance(timedelta(minutes=1))  # 09:00 in Berlin
    regular._looked.clear()
    assert await restarted(told) == 1
    for minutes in (0, 1, 600, 1440):
        told.clock.advance(timedelta(minutes=minutes))
        assert await restarted(told) == 0
    await told.send()
    (mail,) = told.mailbox.mails
    assert mail["Subject"] == "Support, the week's key results: 1 on track"
    (body,) = told.outside.received.values()
    assert body["type"] == "team.digest"
    assert told.outside.posted[0]["blocks"][0]["type"] == "header"
    assert "People &amp; &lt;places&gt;" in str(told.outside.posted[0]["blocks"])
    # Nobody was there on the next Monday: it comes late, and the one after it comes on time.
    told.clock.set(datetime(2026, 12, 1, 20, 0, tzinfo=UTC))
    assert await restarted(told) == 1
    told.clock.set(datetime(2026, 12, 7, 8, 0, tzinfo=UTC))
    assert await restarted(told) == 1
    # After days away the moment has passed: an old week is no news.
    told.clock.set(datetime(2026, 12, 17, 8, 0, tzinfo=UTC))
    assert await restarted(told) == 0


async def test_two_workers_tell_one_digest(told: Told) -> None:
    await told.begin(WEEKLY)
    told.clock.set(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    team = told.story.services
    found = []

    async def one() -> None:
        regular._looked.clear()
        found.append(await tell_regularly(team))

    await asyncio.gather(*(one() for _ in range(4)))
    assert sum(found) == 1
    assert await told.story.count("notice") == 1


async def test_a_team_that_begins_within_the_week_waits_for_its_first_digest(told: Told) -> None:
    told.clock.set(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
    await told.begin(WEEKLY)
    assert await restarted(told) == 0


async def test_a_digest_says_what_has_moved(told: Told) -> None:
    await told.begin(WEEKLY)
    told.clock.advance(timedelta(days=8))
    await told.say("5")
    await watch(told.story.services)
    told.clock.set(datetime(2026, 12, 7, 8, 0, tzinfo=UTC))
    assert await restarted(told) == 1
    await told.send()
    text = told.mailbox.mails[0].get_content()
    assert "Happy: at risk, 5 score, 50 %" in text


async def test_a_digest_shows_no_value_that_is_stale(told: Told) -> None:
    await told.story.apply(file_with(WEEKLY).replace("fresh_within: 90d", "fresh_within: 1h"))
    await told.say("9")
    await told.say("50", "staff")
    await watch(told.story.services)
    told.clock.set(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    assert await restarted(told) == 1
    await told.send()
    text = told.mailbox.mails[0].get_content()
    assert "Happy: stale (" in text
    assert "9 score" not in text
    assert "on track" not in text


async def test_the_health_check_of_mid_cycle_is_told_and_others_are_not(told: Told) -> None:
    told.clock.set(datetime(2026, 11, 10, tzinfo=UTC))
    await told.begin()
    told.clock.set(datetime(2026, 11, 16, 0, 30, tzinfo=UTC))
    assert await make_due_health_checks(told.story.services) == 1
    await make_health_check(told.story.services, TEAM, actor="dana")
    assert await restarted(told) == 1
    assert await restarted(told) == 0
    await told.send()
    (body,) = told.outside.received.values()
    assert body["type"] == "team.health_check"
    assert body["data"]["cycle"] == "2026-Q4"
    assert "health check: keep" in told.mailbox.mails[0]["Subject"]
