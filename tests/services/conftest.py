"""The services over a real database, with a clock turned by hand and a queue that only counts."""

from collections.abc import AsyncIterator

import pytest_asyncio

from app.services.context import Services
from tests.conftest import FakeClock
from tests.fakes.jira_cloud import JiraCloudFake
from tests.services.story import SECRETS, Story, jira_site, make_services, open_story

__all__ = ["SECRETS", "make_services"]


@pytest_asyncio.fixture
async def story(database_url: str, clock: FakeClock) -> AsyncIterator[Story]:
    """A team on an empty database; outbound calls go nowhere."""
    async with open_story(database_url, clock) as story:
        yield story


@pytest_asyncio.fixture
async def services(story: Story) -> Services:
    """Services over an empty database; outbound calls go nowhere unless a test replaces the toolbox."""
    return story.services


@pytest_asyncio.fixture
async def site(clock: FakeClock) -> JiraCloudFake:
    """An empty Jira site, for a test to fill."""
    return jira_site(clock)


@pytest_asyncio.fixture
async def jira_story(database_url: str, clock: FakeClock, site: JiraCloudFake) -> AsyncIterator[Story]:
    """A team on an empty database, whose Jira is `site`."""
    async with open_story(database_url, clock, site) as story:
        yield story
