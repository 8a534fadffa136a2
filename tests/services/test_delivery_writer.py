"""The write behind a webhook's 202: what was answered is stored, and commits are shared."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import event, text

from app.services.ingest import MAX_BATCH, DeliveryWriter, StoreAwayError, StoreBusyError
from app.store.database import Database
from app.store.deliveries import NewDelivery, Stored
from app.store.migrate import upgrade
from tests.services.story import Story, make_services

FILE = """
version: 1
team: support
connections:
  erp: {connector: webhook, verify: {scheme: standard-webhooks, secret: {env: ERP_SECRET}}}
"""


@pytest_asyncio.fixture
async def writer(story: Story) -> AsyncIterator[DeliveryWriter]:
    await story.apply(FILE)
    writer = DeliveryWriter(story.services.database)
    yield writer
    await writer.close()


def delivery(story: Story, key: str, body: bytes = b"{}") -> NewDelivery:
    return NewDelivery(1, key, hashlib.sha256(body).hexdigest(), story.clock(), (), body)


async def stored(story: Story) -> list[tuple[int, str]]:
    """Ids and keys, as another process sees them."""
    other = Database(story.services.database.url)
    try:
        async with other.reading() as session:
            rows = await session.execute(text("SELECT id, dedupe_key FROM delivery ORDER BY id"))
            return [(row[0], row[1]) for row in rows]
    finally:
        await other.close()


async def test_many_at_once_are_all_stored_each_with_its_own_id_in_few_commits(
    story: Story, writer: DeliveryWriter
) -> None:
    commits = 0

    @event.listens_for(story.services.database.engine.sync_engine, "commit")
    def _count(_: object) -> None:
        nonlocal commits
        commits += 1

    answers = await asyncio.gather(*(writer.store(delivery(story, f"key-{number}")) for number in range(500)))
    assert all(answer == Stored(answer.id, True, False) for answer in answers)
    found = await stored(story)
    assert {(answer.id, f"key-{number}") for number, answer in enumerate(answers)} == set(found)
    assert len(found) == 500
    assert commits <= 1 + 500 // MAX_BATCH + 1


async def test_the_workers_are_told_once_a_commit_of_what_is_new(story: Story) -> None:
    await story.apply(FILE)
    rings = 0

    async def bell() -> None:
        nonlocal rings
        rings += 1
        raise ConnectionError("nobody hears it")

    writer = DeliveryWriter(story.services.database, bell=bell)
    for expected in (1, 1):  # what comes again is nothing to do
        answers = await asyncio.gather(*(writer.store(delivery(story, f"key-{number}")) for number in range(20)))
        await asyncio.sleep(0)
        assert rings == expected
    assert len({answer.id for answer in answers}) == 20
    assert (await writer.store(delivery(story, "another"))).is_new
    await writer.close()
    assert rings == 2


async def test_an_answer_that_can_not_be_given_takes_nobody_with_it(story: Story, writer: DeliveryWriter) -> None:
    def fail(outcome: Stored | Exception) -> None:
        raise RuntimeError

    writer.submit(delivery(story, "one"), fail)
    assert (await writer.store(delivery(story, "other"))).is_new
    assert len(await stored(story)) == 2


async def test_an_answer_comes_after_the_commit(story: Story, writer: DeliveryWriter) -> None:
    answer = await writer.store(delivery(story, "key"))
    assert await stored(story) == [(answer.id, "key")]


async def test_copies_in_one_batch_are_one_delivery_and_its_redeliveries(story: Story, writer: DeliveryWriter) -> None:
    answers = await asyncio.gather(
        writer.store(delivery(story, "a")),
        writer.store(delivery(story, "a")),
        writer.store(delivery(story, "b")),
        writer.store(delivery(story, "a", b"other")),
    )
    assert [(answer.is_new, answer.is_conflict) for answer in answers] == [
        (True, False),
        (False, False),
        (True, False),
        (False, True),
    ]
    assert len({answer.id for answer in answers}) == 2
    assert answers[0].id == answers[1].id == answers[3].id
    again = await writer.store(delivery(story, "a"))
    assert again == Stored(answers[0].id, False, False)
    assert len(await stored(story)) == 2


async def test_two_processes_that_are_sent_the_same_store_it_once(story: Story) -> None:
    await story.apply(FILE)
    others = [Database(story.services.database.url) for _ in range(2)]
    writers = [DeliveryWriter(database) for database in others]
    keys = [f"key-{number}" for number in range(60)]
    answers = await asyncio.gather(
        *(writers[0].store(delivery(story, key)) for key in keys),
        *(writers[1].store(delivery(story, key)) for key in reversed(keys)),
    )
    assert sum(answer.is_new for answer in answers) == len(keys)
    assert len(await stored(story)) == len(keys)
    for writer, database in zip(writers, others, strict=True):
        await writer.close()
        await database.close()


async def test_beyond_the_bound_the_door_is_told_to_wait(story: Story) -> None:
    await story.apply(FILE)
    writer = DeliveryWriter(story.services.database, max_waiting=3)
    tasks = [asyncio.create_task(writer.store(delivery(story, f"key-{number}"))) for number in range(8)]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, StoreBusyError)]
    assert len(refused) == 5
    assert len(await stored(story)) == 3
    assert (await writer.store(delivery(story, "later"))).is_new  # and then there is room again
    await writer.close()


async def test_what_waits_is_bounded_in_bytes_too(story: Story) -> None:
    await story.apply(FILE)
    writer = DeliveryWriter(story.services.database, max_bytes=1_000)
    bodies = [bytes(400), bytes(400), bytes(400), bytes(200), bytes(1)]
    tasks = [
        asyncio.create_task(writer.store(delivery(story, f"key-{number}", body))) for number, body in enumerate(bodies)
    ]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Stored, Stored, StoreBusyError, Stored, StoreBusyError]
    assert (await writer.store(delivery(story, "later", bytes(1_000)))).is_new  # and then there is room again
    await writer.close()


async def test_a_store_that_hangs_is_told_to_all_that_wait_at_once(story: Story) -> None:
    seconds = 0.0
    writer = DeliveryWriter(story.services.database, timer=lambda: seconds)
    hangs, batches = asyncio.Event(), []

    class Hanging:
        async def append(self, batch: Sequence[NewDelivery]) -> list[Stored]:
            batches.append(len(batch))
            await hangs.wait()
            raise TimeoutError

        async def close(self) -> None: ...

    writer._log = Hanging()
    tasks = [asyncio.create_task(writer.store(delivery(story, f"key-{number}"))) for number in range(3 * MAX_BATCH)]
    while not batches:
        await asyncio.sleep(0)
    seconds = 15.0
    hangs.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreAwayError}
    assert batches == [MAX_BATCH], "nobody waits for the same again"
    # While one asks whether the store goes on, the others are told at once.
    hangs.clear()
    probe = asyncio.create_task(writer.store(delivery(story, "probe")))
    while len(batches) == 1:
        await asyncio.sleep(0)
    with pytest.raises(StoreAwayError):
        await writer.store(delivery(story, "beside it"))
    hangs.set()
    assert isinstance((await asyncio.gather(probe, return_exceptions=True))[0], StoreAwayError)
    assert batches.pop() == 1
    # An error that comes at once may be of one connection: the next batch is tried.
    again = [asyncio.create_task(writer.store(delivery(story, f"key-{number}"))) for number in range(2 * MAX_BATCH)]
    assert {type(answer) for answer in await asyncio.gather(*again, return_exceptions=True)} == {StoreAwayError}
    assert batches == [MAX_BATCH] * 3
    await writer.close()


async def test_a_sender_that_left_takes_nobody_with_it(story: Story, writer: DeliveryWriter) -> None:
    tasks = [asyncio.create_task(writer.store(delivery(story, f"key-{number}"))) for number in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert isinstance(answers[0], Stored)
    assert isinstance(answers[2], Stored)


async def test_closing_commits_what_waits_and_takes_no_more(story: Story, writer: DeliveryWriter) -> None:
    tasks = [asyncio.create_task(writer.store(delivery(story, f"key-{number}"))) for number in range(300)]
    await asyncio.sleep(0)
    await writer.close()
    assert all(task.done() for task in tasks)
    assert len(await stored(story)) == 300
    with pytest.raises(StoreBusyError):
        await writer.store(delivery(story, "late"))


async def test_a_delivery_that_the_database_refuses_takes_none_of_its_batch_with_it(
    story: Story, writer: DeliveryWriter
) -> None:
    orphan = NewDelivery(999, "orphan", "digest", story.clock(), (), b"{}")
    answers = await asyncio.gather(
        writer.store(delivery(story, "before")),
        writer.store(orphan),
        writer.store(delivery(story, "after")),
        return_exceptions=True,
    )
    assert isinstance(answers[1], Exception)
    assert not isinstance(answers[1], StoreAwayError)
    assert {key for _, key in await stored(story)} == {"before", "after"}


async def test_a_store_that_is_away_is_told_and_found_again(story: Story, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    away = Database(f"sqlite+aiosqlite:///{folder}/krsync.db")
    writer = DeliveryWriter(away)
    answers = await asyncio.gather(
        *(writer.store(delivery(story, f"key-{number}")) for number in range(5)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [StoreAwayError] * 5
    folder.mkdir()
    await asyncio.to_thread(upgrade, away.url)
    back = Story(make_services(away, story.clock, story.services.toolbox), story.clock)
    await back.apply(FILE)
    assert (await writer.store(delivery(back, "key"))).is_new
    await away.close()

    nobody = Database("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StoreAwayError):
        await DeliveryWriter(nobody).store(delivery(story, "key"))
    await nobody.close()


class Paced:
    """A log whose commits take so long by the writer's clock."""

    def __init__(self, took: float) -> None:
        self.took = took
        self.seconds = 0.0
        self.batches: list[int] = []

    async def append(self, batch: Sequence[NewDelivery]) -> list[Stored]:
        self.batches.append(len(batch))
        self.seconds += self.took
        return [Stored(number, True, False) for number in range(len(batch))]

    async def close(self) -> None: ...


@pytest.mark.parametrize(("took", "waits"), [(0.0128, True), (0.0032, False), (0.0008, False)])
async def test_company_is_waited_for_where_the_disk_takes_its_time_for_each_row(
    story: Story, monkeypatch: pytest.MonkeyPatch, took: float, waits: bool
) -> None:
    monkeypatch.setattr("app.services.ingest._LINGER", 1e9)
    monkeypatch.setattr("app.services.ingest._LONGEST", 3_600.0)
    await story.apply(FILE)
    paced = Paced(took)
    writer = DeliveryWriter(story.services.database, timer=lambda: paced.seconds)
    writer._log = paced

    def sent(count: int) -> list["asyncio.Task[Stored]"]:
        return [asyncio.create_task(writer.store(delivery(story, f"key-{number}"))) for number in range(count)]

    await asyncio.gather(*sent(64))
    some = sent(63)
    for _ in range(50):
        await asyncio.sleep(0)
    assert paced.batches == ([64] if waits else [64, 63]), "who was answered comes again"
    await asyncio.gather(*some, *sent(1))
    assert paced.batches == ([64, 64] if waits else [64, 63, 1])
    await writer.close()
