"""Deliveries at rest: compressed once applied, dropped by age and size, and what they brought stays."""

from datetime import timedelta

from sqlalchemy import text

from app.services.deliveries import apply_pending, delivery_views
from app.services.retention import Retention, purge
from tests.services.story import Story

FILE = """
version: 1
team: support
connections:
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: DESK_SECRET}}}
datasets:
  tickets: {connection: erp, entity: body.id, event: body.event}
metrics:
  opened: {unit: tickets, records: {dataset: tickets}, window: all}
"""


def ticket(number: int) -> dict[str, str]:
    return {"id": f"T-{number}", "event": "opened", "note": "all the same " * 100}


async def rows(story: Story) -> list[tuple[int, str | None, int]]:
    async with story.services.database.reading() as session:
        found = await session.execute(text("SELECT id, encoding, length(body) FROM delivery ORDER BY id"))
        return [(row[0], row[1], row[2]) for row in found]


async def test_bodies_are_compressed_once_applied_and_are_the_same_for_a_replay(story: Story) -> None:
    await story.apply(FILE)
    await story.send([ticket(1), {"id": "T-2"}])
    assert [row[1] for row in await rows(story)] == [None, None], "the door has no time for it"
    await apply_pending(story.services)
    (_, encoding, length), (_, small, _) = await rows(story)
    assert (encoding, small) == ("gzip", None)
    assert length < 200
    async with story.services.database.reading() as session:
        views = {view.id: view for view in await delivery_views(session)}
    assert views[1].size > 1_000
    await story.apply(FILE.replace("event: body.event", "event: body.note"))
    await apply_pending(story.services)
    async with story.services.database.reading() as session:
        event = (await session.execute(text("SELECT event FROM event WHERE entity = 'T-1'"))).scalar_one_or_none()
        outcome = (await delivery_views(session, delivery_id=1))[0].intakes[0]
    assert event is None
    assert (outcome.outcome, outcome.reason) == ("ignored", "the event's name is too long"), "it was read again, whole"


async def test_old_deliveries_go_and_what_they_brought_stays(story: Story) -> None:
    await story.apply(FILE)
    await story.send([ticket(number) for number in range(3)])
    await story.work()
    story.clock.advance(timedelta(days=10))
    await story.send([ticket(3)])
    await apply_pending(story.services)
    await story.send([ticket(4)])
    story.clock.advance(timedelta(days=1))
    assert await purge(story.services, Retention(days=None, megabytes=None)) == 0
    assert await purge(story.services, Retention(days=5, megabytes=None)) == 3
    assert [row[0] for row in await rows(story)] == [4, 5]
    assert await purge(story.services, Retention(days=None, megabytes=0)) == 1, "what waits is never dropped"
    await story.work()
    assert await events(story) == 5
    # Rules that change are applied to what is kept; the rest stays as it was judged.
    await story.apply(FILE.replace("event: body.event", "event: body.event, where: \"body.id == 'T-4'\""))
    await story.work()
    assert await events(story) == 5


async def events(story: Story) -> int:
    async with story.services.database.reading() as session:
        return int((await session.execute(text("SELECT count(*) FROM event"))).scalar_one())
