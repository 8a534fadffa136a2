"""What a team is told: transitions once, when they have settled, through every channel."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select, update

from app.services.notify.dispatch import LEASE, dispatch_due
from app.services.notify.watch import watch
from app.store.tables import Outbox
from tests.conftest import FakeClock
from tests.services.telling import EVERYWHERE, SECRETS, Told, file_with, open_told

HOOK = '\nnotify:\n  webhook: {url: "https://receiver.test/okr", secret: {env: OKR_HOOK}}\n'


@pytest_asyncio.fixture
async def told(database_url: str, clock: FakeClock) -> AsyncIterator[Told]:
    async with open_told(database_url, clock) as opened:
        yield opened


async def test_a_transition_is_told_once_everywhere_and_a_level_never(told: Told) -> None:
    await told.begin()
    assert await told.look(minutes=10) == 0  # it stands as it stood: nothing is told of that
    await told.say("1")
    assert await told.look() == 0  # it has only just changed
    assert await told.look(minutes=4) == 0
    assert await told.look(minutes=1) == 1
    for _ in range(3):
        assert await told.look(minutes=10) == 0
    await told.send()
    await told.send()
    assert await told.states() == {"slack": "sent", "webhook": "sent", "email": "sent"}
    ((identity, body),) = told.outside.received.items()
    assert body["type"] == "key_result.changed"
    assert (body["data"]["before"]["word"], body["data"]["after"]["word"]) == ("on_track", "at_risk")
    assert body["data"]["key_result"]["value"] == "1"
    (posted,) = told.outside.posted
    assert posted["text"] == "Happy: on track → at risk"
    (mail,) = told.mailbox.mails
    assert mail["Subject"] == "Happy: on track → at risk"
    assert mail["To"] == "ops@acme.example"
    uid = posted["metadata"]["event_payload"]["id"]
    assert identity == f"msg_{uid}"
    assert mail["Message-ID"] == f"<{uid}@acme.example>"


async def test_what_flaps_is_not_told_and_what_never_settles_is_told_at_last(told: Told) -> None:
    await told.begin(HOOK)
    for _ in range(4):
        await told.say("1")
        assert await told.look(minutes=2) == 0
        await told.say("9")
        assert await told.look(minutes=2) == 0
    counts = []
    for value in ("1", "5") * 9:  # at risk, behind: never five minutes the same, but away from what was told
        await told.say(value)
        counts.append(await told.look(minutes=2))
    assert sum(counts) >= 1
    assert counts.index(1) >= 14  # after half an hour


async def test_a_problem_and_its_end_are_paired_in_every_channel(told: Told) -> None:
    await told.begin()
    await told.say("1")
    await told.look()
    assert await told.look(minutes=5) == 1
    await told.send()
    await told.say("9")
    await told.look()
    assert await told.look(minutes=5) == 1
    await told.send()
    first, second = told.outside.received.items()
    assert second[1]["data"]["resolves"] == first[0]
    assert second[1]["data"]["direction"] == "resolved"
    assert told.outside.posted[1]["thread_ts"] == told.outside.posted[0]["ts"]
    assert told.outside.posted[1]["reply_broadcast"] is True
    assert told.mailbox.mails[1]["In-Reply-To"] == told.mailbox.mails[0]["Message-ID"]


async def test_a_stale_value_is_told_as_stale_and_never_with_its_old_status(told: Told) -> None:
    await told.story.apply(file_with().replace("fresh_within: 90d", "fresh_within: 1d"))
    await told.say("9")
    await told.say("50", "staff")
    await watch(told.story.services)
    await told.look(days=2)
    assert await told.look(minutes=5) == 1
    await told.send()
    (body,) = told.outside.received.values()
    assert body["data"]["after"]["word"] == "stale"
    assert body["data"]["key_result"]["is_reliable"] is False
    assert body["data"]["key_result"]["freshness"]["level"] == "stale"
    shown = str(told.outside.posted[0]["blocks"]) + told.mailbox.mails[0].get_content()
    assert "Last value 9 score, of 2026-11-22" in shown
    assert "can not be relied on" in shown
    # The words that would tell a reader that all is well are there as what was, never as what is.
    assert "on track" not in shown.replace("on track → stale", "")
    await told.say("9")
    await told.look()
    assert await told.look(minutes=5) == 1
    await told.send()
    assert list(told.outside.received.values())[1]["data"]["direction"] == "resolved"


async def test_a_broken_guardrail_is_told_beside_the_status(told: Told) -> None:
    await told.begin(HOOK)
    await told.say("39", "staff")
    await told.look()
    assert await told.look(minutes=5) == 1
    await told.send()
    (body,) = told.outside.received.values()
    assert body["data"]["after"]["broken"] == ["support/staff"]
    assert body["data"]["key_result"]["guardrails_broken"][0]["value"] == "39"


async def test_only_what_is_wanted_is_told_and_its_end(told: Told) -> None:
    await told.begin(HOOK + "  only: [at_risk]\n")
    for value, expected in (("5.1", 0), ("1", 1), ("9", 1), ("5.1", 0), ("9", 0)):
        await told.say(value)
        await told.look()
        assert await told.look(minutes=5) == expected, value


async def test_quiet_hours_leave_only_what_still_differs(told: Told) -> None:
    await told.begin(HOOK + '  quiet_hours: "20:00-07:00"\n')
    told.clock.set(datetime(2026, 11, 22, 20, 0, tzinfo=UTC))  # 21:00 in Berlin
    await told.say("1")
    for _ in range(20):
        assert await told.look(minutes=10) == 0
    await told.say("9")
    assert await told.look(minutes=10) == 0
    told.clock.set(datetime(2026, 11, 23, 3, 0, tzinfo=UTC))
    await told.say("1")
    assert await told.look(minutes=10) == 0
    told.clock.set(datetime(2026, 11, 23, 5, 59, tzinfo=UTC))
    assert await told.look() == 0
    assert await told.look(minutes=1) == 1  # 07:00


async def test_what_could_not_be_sent_in_time_waits_for_the_end_of_the_quiet_hours(told: Told) -> None:
    await told.begin(EVERYWHERE + '  quiet_hours: "20:00-07:00"\n')
    told.clock.set(datetime(2026, 11, 22, 18, 50, tzinfo=UTC))
    await told.say("1")
    await told.look()
    assert await told.look(minutes=5) == 1
    told.mailbox.is_away = True
    await told.send()
    assert await told.states() == {"slack": "sent", "webhook": "sent", "email": "waiting"}
    told.mailbox.is_away = False
    told.clock.set(datetime(2026, 11, 22, 22, 0, tzinfo=UTC))
    await told.send()
    assert not told.mailbox.mails
    told.clock.set(datetime(2026, 11, 23, 6, 0, tzinfo=UTC))
    await told.send()
    assert len(told.mailbox.mails) == 1
    assert "As of 2026-11-22 19:55" in told.mailbox.mails[0].get_content()


async def test_many_workers_tell_and_send_once(told: Told) -> None:
    await told.begin()
    await told.say("1")
    await told.look()
    told.clock.advance(timedelta(minutes=5))
    services = told.story.services
    assert sum(await asyncio.gather(*(watch(services) for _ in range(5)))) == 1
    await asyncio.gather(*(dispatch_due(services) for _ in range(5)))
    assert len(told.outside.requests) == 2
    assert len(told.mailbox.mails) == 1


async def test_nothing_is_asked_before_retry_after_and_what_waits_keeps_its_order(told: Told) -> None:
    await told.begin()
    told.outside.answers.append(("chat.postMessage", httpx.Response(429, headers={"Retry-After": "600"})))
    for value in ("1", "9"):
        await told.say(value)
        await told.look()
        assert await told.look(minutes=5) == 1
        await told.send()
    asked = [request for request in told.outside.requests if request.url.host == "slack.com"]
    assert len(asked) == 1
    told.clock.advance(timedelta(minutes=4, seconds=59))
    await told.send()
    assert len([one for one in told.outside.requests if one.url.host == "slack.com"]) == 1
    told.clock.advance(timedelta(seconds=1))
    await told.send()
    texts = [posted["text"] for posted in told.outside.posted]
    assert texts == ["Happy: on track → at risk", "Resolved: Happy: at risk → on track"]


async def test_many_changes_at_once_keep_to_slacks_pace_and_each_is_told_once(told: Told) -> None:
    names = [f"mood_{number}" for number in range(8)]
    file = {
        "version": 1,
        "team": "support",
        "title": "Support",
        "notify": {"slack": {"channel": "C1", "token": {"env": "SLACK_TOKEN"}}},
        "metrics": {name: {"unit": "score", "manual": {"every": "31d"}} for name in names},
        "objectives": {
            "people": {
                "title": "People",
                "cycle": "2026-Q4",
                "key_results": {name: {"metric": name, "baseline": 0, "target": 10} for name in names},
            }
        },
    }
    await told.story.apply(json.dumps(file))
    for name in names:
        await told.say("9", name)
    await told.look()
    for name in names:
        await told.say("1", name)
    await told.look()
    told.outside.pace = timedelta(seconds=7)  # longer than our first wait
    assert await told.look(minutes=5) == 8
    for _ in range(60):
        await told.send()
        if {state for (state,) in await told.story.rows("SELECT state FROM outbox")} == {"sent"}:
            break
        told.clock.advance(timedelta(seconds=1))
    subjects = [posted["text"].partition(":")[0] for posted in told.outside.posted]
    assert sorted(subjects) == [f"Mood {number}" for number in range(8)]
    assert told.outside.hasty > 0  # the pace was felt
    assert told.outside.ignored == 0  # and nothing was asked before Retry-After
    refused = await told.story.rows("SELECT max(failures) FROM outbox")
    assert refused[0][0] <= 2


async def test_a_receiver_that_stays_away_is_tried_less_and_less_and_then_dead(told: Told) -> None:
    await told.begin(HOOK)
    await told.say("1")
    await told.look()
    await told.look(minutes=5)
    began, tries = told.clock(), []
    for _ in range(40):
        told.outside.answers.append(("/okr", httpx.Response(500)))
        before = len(told.outside.requests)
        await told.send()
        if len(told.outside.requests) > before:
            tries.append((told.clock() - began).total_seconds())
        told.outside.answers.clear()
        async with told.story.services.database.reading() as session:
            row = (await session.scalars(select(Outbox))).one()
        if row.state == "dead":
            break
        told.clock.set(row.next_attempt_at)
    assert row.state == "dead"
    waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert len(tries) == 9
    wanted = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000)
    assert [0.8 * a <= wait <= 1.2 * a for a, wait in zip(wanted, waits, strict=True)] == [True] * 8, waits
    assert row.error is not None
    assert "500" in row.error


async def test_a_worker_that_died_after_sending_leaves_one_message_to_each_receiver(told: Told) -> None:
    """Sent and never settled: the lease runs out, and each receiver knows the notice by its id."""
    await told.begin()
    await told.say("1")
    await told.look()
    await told.look(minutes=5)
    await told.send()
    async with told.story.services.database.writing() as session:
        await session.execute(update(Outbox).values(state="waiting", lease_until=told.clock() + LEASE))
    await told.send()
    assert len(told.outside.posted) == 1  # the lease still holds
    told.clock.advance(LEASE)
    await told.send()
    assert await told.states() == {"slack": "sent", "webhook": "sent", "email": "sent"}
    assert len(told.outside.posted) == 1  # found in the channel's history by its id
    assert len(told.outside.received) == 1
    assert len({mail["Message-ID"] for mail in told.mailbox.mails}) == 1


async def test_no_secret_is_kept_or_shown(told: Told, capfd: pytest.CaptureFixture[str]) -> None:
    hook = "\nnotify:\n  slack: {webhook: {env: SLACK_WEBHOOK}}\n"
    await told.begin(hook)
    await told.say("1")
    await told.look()
    await told.look(minutes=5)
    told.outside.answers += [("canary-hook", httpx.Response(404, text="no_service"))]
    await told.send()
    dump = str(await told.story.dump())
    logs = "".join(capfd.readouterr())
    for secret in (*SECRETS.values(), "canary-hook"):
        assert secret not in dump
        assert secret not in logs
    assert "404" in dump


async def test_a_channel_that_was_taken_out_is_not_told_what_waits(told: Told) -> None:
    await told.begin()
    await told.say("1")
    await told.look()
    await told.look(minutes=5)
    await told.story.apply(file_with(HOOK))
    await told.send()
    assert await told.states() == {"slack": "dead", "webhook": "sent", "email": "dead"}


async def test_a_team_that_begins_anew_is_told_nothing_of_what_was(told: Told) -> None:
    await told.begin(HOOK)
    await told.story.apply(file_with(""))
    await told.say("1")
    await told.look(minutes=10)
    assert await told.story.count("told_standing") == 0
    await told.story.apply(file_with(HOOK))
    for _ in range(3):
        assert await told.look(minutes=10) == 0
