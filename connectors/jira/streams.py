"""What a dataset keeps of Jira, by its `stream`: issues, worklogs or sprints, each with a module of its own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from connectors.contract import Cursor, Fetch, Page, Read, Sweep
from connectors.jira.models import JiraDataset, Stream
from connectors.jira.reading import fetch_issues, read_issues, sweep_issues
from connectors.jira.session import JiraSession
from connectors.jira.sprints import fetch_sprints, read_sprints, sweep_sprints
from connectors.jira.worklogs import fetch_worklogs, read_worklogs, sweep_worklogs


class _Hooks(NamedTuple):
    read: Read
    fetch: Fetch
    sweep: Sweep


_STREAMS: Mapping[Stream, _Hooks] = {
    "issues": _Hooks(read_issues, fetch_issues, sweep_issues),
    "worklogs": _Hooks(read_worklogs, fetch_worklogs, sweep_worklogs),
    "sprints": _Hooks(read_sprints, fetch_sprints, sweep_sprints),
}


def read(session: JiraSession, dataset: JiraDataset, cursor: Cursor | None) -> AsyncIterator[Page]:
    """Everything that the dataset keeps, or what changed since `cursor`, and at the end a page with the next cursor."""
    return _STREAMS[dataset.stream].read(session, dataset, cursor)


def fetch(
    session: JiraSession, dataset: JiraDataset, known: Mapping[str, str], cursor: Cursor | None
) -> AsyncIterator[Page]:
    """What is kept of the entities with these ids, and what became of the others."""
    return _STREAMS[dataset.stream].fetch(session, dataset, known, cursor)


def sweep(session: JiraSession, dataset: JiraDataset) -> AsyncIterator[Sequence[str]]:
    """The ids of everything that the dataset keeps."""
    return _STREAMS[dataset.stream].sweep(session, dataset)
