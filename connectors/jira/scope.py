"""The query behind a dataset: its JQL, a saved filter, a project, a board, or those together."""

from collections.abc import Mapping

import msgspec

from connectors.errors import QueryError
from connectors.jira.jql import narrowed, quoted
from connectors.jira.models import JiraDataset
from connectors.jira.session import JiraSession

AGILE = "/rest/agile/1.0"


class Board(msgspec.Struct, frozen=True):
    """`type` is `scrum`, `kanban`, or `simple` of a project that its team manages."""

    id: int
    name: str
    type: str | None = None


class _Boards(msgspec.Struct, frozen=True):
    values: list[Board]
    isLast: bool = True


class _Filter(msgspec.Struct, frozen=True):
    id: str


class _BoardConfiguration(msgspec.Struct, frozen=True):
    filter: _Filter


async def scope_jql(session: JiraSession, dataset: JiraDataset) -> str:
    """One query for the whole dataset. Only a board has to be asked for: it is the issues of its filter. The sub-query
    of a kanban board hides what was released, which was done all the same: counts would fall with every release.
    https://developer.atlassian.com/cloud/jira/software/rest/api-group-board/#api-rest-agile-1-0-board-boardid-configuration-get"""
    if dataset.board is None:
        return static_jql(dataset)
    board = await board_id(session, dataset.board)
    path = f"{AGILE}/board/{board}/configuration"
    configuration = await session.find(path, _BoardConfiguration, "board")
    if configuration is None:
        raise QueryError(f"Jira has no board {board} that the account can see.")
    return narrowed(static_jql(dataset), f"filter = {quoted(configuration.filter.id)}")


def static_jql(dataset: JiraDataset) -> str:
    """The dataset's query as far as it is known without asking: without its board."""
    found = dataset.jql or ""
    if dataset.project is not None:
        found = narrowed(found, f"project = {quoted(dataset.project)}")
    if dataset.filter is not None:
        found = narrowed(found, f"filter = {quoted(str(dataset.filter))}")
    return found


async def board_id(session: JiraSession, board: int | str) -> int:
    """The id of a board that a dataset names by it, or by a name; QueryError for a name that none or several have."""
    if isinstance(board, int):
        return board
    # Jira looks for boards whose name contains the words.
    found = await boards(session, {"name": board})
    matching = [one for one in found if one.name.casefold() == board.casefold()]
    if len(matching) > 1:
        ids = " and ".join(str(one.id) for one in matching)
        raise QueryError(
            f"Jira has {len(matching)} boards named {board!r}: {ids}. Name the one that is meant by its id."
        )
    if not matching:
        raise QueryError(f"Jira has no board named {board!r} that the account can see.")
    return matching[0].id


async def boards(session: JiraSession, sought: Mapping[str, str]) -> list[Board]:
    """The boards that the account can see and that are of a name or project."""
    found: list[Board] = []
    while True:
        page = await session.get(
            session.with_query(f"{AGILE}/board", {**sought, "startAt": len(found)}), _Boards, "boards"
        )
        found += page.values
        if page.isLast or not page.values:
            return found
