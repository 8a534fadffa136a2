"""The one e-mail that a connection's owner gets: when the tool refuses what it was given."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from app.services.connect import check_connection
from app.services.notify.dispatch import dispatch_due
from app.services.notify.notices import notice_views, replay_notice
from app.services.pull import pull_plan, request_refresh
from connectors.errors import AuthenticationError
from tests.conftest import FakeClock
from tests.fakes import jira_faults
from tests.fakes.jira_cloud import API, JiraCloudFake
from tests.services.story import TEAM, Story, gather, jira_site, open_story, ticket
from tests.services.telling import Mailbox
from tests.services.test_restraint import with_queries

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SEARCH = f"{API}/search/jql"
OWNED = with_queries(3).replace("connector: jira\n", "connector: jira\n    owner: dana@acme.example\n")


@pytest.fixture
def site(clock: FakeClock) -> JiraCloudFake:
    return jira_site(clock, *(ticket(number, MONDAY + timedelta(days=number)) for number in range(1, 4)))


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest_asyncio.fixture
async def story(database_url: str, clock: FakeClock, site: JiraCloudFake, mailbox: Mailbox) -> AsyncIterator[Story]:
    async with open_story(database_url, clock, site) as opened:
        yield replace(opened, services=replace(opened.services, mail=mailbox))


async def send(story: Story) -> None:
    while await dispatch_due(story.services):
        pass


async def pull_at_once(story: Story) -> list[object]:
    return await gather(*(pull_plan(story.services, plan, fence) for plan, fence in await story.claim()))


async def test_a_token_that_expires_is_one_mail_to_the_owner_however_many_reads_meet_it(
    story: Story, site: JiraCloudFake, mailbox: Mailbox
) -> None:
    await story.apply(OWNED)
    assert set(await story.pull()) == {"succeeded"}
    right, site._credential = site._credential, "Basic revoked"
    story.clock.advance(timedelta(hours=1))
    assert set(await pull_at_once(story)) == {"failed"}
    for _ in range(3):
        await request_refresh(story.services, TEAM, "counted_1", "dana")
        await pull_at_once(story)
        with pytest.raises(AuthenticationError):
            await check_connection(story.services, TEAM, "jira")
        await send(story)
        story.clock.advance(timedelta(hours=5))
    (mail,) = mailbox.mails
    assert mail["To"] == "dana@acme.example"
    assert mail["Subject"].startswith("The connection support/jira is paused: Jira does not accept the token")
    text = mail.get_content()
    assert "Make a new credential" in text
    assert "only message about it" in text
    # It works again, and fails again: that is another matter.
    site._credential = right
    await check_connection(story.services, TEAM, "jira")
    assert set(await story.pull()) == {"succeeded"}
    site.faults = [jira_faults.status(SEARCH, 403, words="You may not.", times=50)]
    await story.later(hours=1)
    await send(story)
    assert len(mailbox.mails) == 2
    assert "may not read this: You may not." in mailbox.mails[1]["Subject"]
    async with story.services.database.reading() as session:
        told = await notice_views(session)
    assert [one.kind for one in told] == ["connection.paused", "connection.paused"]
    await replay_notice(story.services, told[0].id, actor="dana")
    await send(story)
    assert len(mailbox.mails) == 3
    assert mailbox.mails[2]["Message-ID"] == mailbox.mails[1]["Message-ID"]


@pytest.mark.parametrize(
    ("file", "to"),
    [
        (with_queries(0), None),
        (with_queries(0) + "notify: {email: {to: [ops@acme.example, lee@acme.example]}}\n", "ops@acme.example"),
        (OWNED + "notify: {email: {to: [ops@acme.example]}}\n", "dana@acme.example"),
    ],
)
async def test_whoever_is_known_is_told(
    story: Story, site: JiraCloudFake, mailbox: Mailbox, file: str, to: str | None
) -> None:
    await story.apply(file)
    site._credential = "Basic revoked"
    assert set(await story.pull()) == {"failed"}
    await send(story)
    assert [str(mail["To"]).partition(",")[0] for mail in mailbox.mails] == ([] if to is None else [to])


async def test_what_passes_by_itself_is_no_mail(story: Story, site: JiraCloudFake, mailbox: Mailbox) -> None:
    await story.apply(OWNED)
    for status in (400, 429, 500, 503):
        site.faults = [jira_faults.status(SEARCH, status, times=50)]
        await story.later(hours=2)
    await send(story)
    assert mailbox.mails == []


async def test_without_a_mail_server_nothing_waits_to_be_sent(database_url: str, clock: FakeClock) -> None:
    site = jira_site(clock)
    async with open_story(database_url, clock, site) as story:
        await story.apply(OWNED)
        site._credential = "Basic revoked"
        assert set(await story.pull()) == {"failed"}
        assert await story.count("notice") == 0


async def test_another_owner_reads_nothing_again(story: Story, site: JiraCloudFake) -> None:
    await story.apply(OWNED)
    await story.pull()
    changed = await story.apply(OWNED.replace("dana@", "lee@"))
    assert [(change.kind, change.action) for change in changed.changes if change.action != "unchanged"] == [
        ("connection", "update")
    ]
    assert await story.pull() == []
    assert (await story.connection()).owner == "lee@acme.example"
