"""The sprints of a board, or of all boards of a project, as records.

A board's list is short and says nothing of when a sprint was changed, so it is read whole each time; what it does not
have any more is asked for by its id.
https://developer.atlassian.com/cloud/jira/software/rest/api-group-board/#api-rest-agile-1-0-board-boardid-sprint-get
"""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime

import msgspec

from connectors.contract import Absence, Cursor, JsonValue, Page, RecordChange, Transition
from connectors.errors import QueryError, UnexpectedResponseError
from connectors.jira.models import JiraDataset
from connectors.jira.payloads import moment, rfc3339
from connectors.jira.scope import AGILE, board_id, boards
from connectors.jira.session import JiraSession

#: What a record has beside what every record has.
NAMES = ("state", "goal", "board", "start", "end", "completed", "created", "updated")

#: So many sprints come at once.
SPRINTS_A_PAGE = 50

_ENTITY = re.compile(r"sprint/([0-9]{1,18})")


class Sprint(msgspec.Struct, frozen=True):
    """`startDate` and `endDate` of a sprint are planned until it begins; Cloud adds when it was created and begun."""

    id: int
    name: str
    state: str
    startDate: str | None = None
    endDate: str | None = None
    completeDate: str | None = None
    createdDate: str | None = None
    activatedDate: str | None = None
    originBoardId: int | None = None
    goal: str | None = None


class _SprintPage(msgspec.Struct, frozen=True):
    values: list[Sprint]
    isLast: bool | None = None


async def read_sprints(session: JiraSession, dataset: JiraDataset, cursor: Cursor | None) -> AsyncGenerator[Page, None]:
    """Every sprint of the dataset, whatever the cursor; at the end an empty page with the next one."""
    seen: set[int] = set()
    async for found in _pages(session, dataset):
        new = [one for one in {one.id: one for one in found}.values() if one.id not in seen]
        seen.update(one.id for one in new)
        yield Page([_record(session, one) for one in new])
    yield Page((), {"stream": "sprints"}, _unknown(dataset))


async def sweep_sprints(session: JiraSession, dataset: JiraDataset) -> AsyncGenerator[Sequence[str], None]:
    """The ids of all sprints of the dataset."""
    async for found in _pages(session, dataset):
        yield [f"sprint/{one.id}" for one in found]


async def fetch_sprints(
    session: JiraSession, dataset: JiraDataset, known: Mapping[str, str], cursor: Cursor | None
) -> AsyncGenerator[Page, None]:
    """The sprints with these ids that the dataset's boards have, and what became of the others."""
    listed = {f"sprint/{one.id}": one async for found in _pages(session, dataset) for one in found}
    absent: dict[str, Absence] = {}
    for entity in known.keys() - listed.keys():
        number = _ENTITY.fullmatch(entity)
        path = f"{AGILE}/sprint/{number[1]}" if number else None
        is_there = path is None or await session.find(path, Sprint, "sprint") is not None
        absent[entity] = "out_of_scope" if is_there else "deleted"
    yield Page([_record(session, listed[entity]) for entity in known if entity in listed], absent=absent)


async def _pages(session: JiraSession, dataset: JiraDataset) -> AsyncGenerator[list[Sprint], None]:
    if dataset.board is not None:
        board = await board_id(session, dataset.board)
        async for found in _of_board(session, board):
            yield found
        return
    project = dataset.project or ""
    # A project that can not be seen has no boards either, and that would read as if its sprints were gone.
    if not await session.sees_project(project):
        raise QueryError(f"Jira has no project with the key {project!r} that the account can see.")
    for one in await boards(session, {"projectKeyOrId": project}):
        if one.type == "kanban":
            continue
        # A board of a project that its team manages has sprints or not, and refuses to be asked if not.
        with suppress(QueryError) if one.type == "simple" else nullcontext():
            async for found in _of_board(session, one.id):
                yield found


async def _of_board(session: JiraSession, board: int) -> AsyncGenerator[list[Sprint], None]:
    start = 0
    while True:
        query = {"startAt": start, "maxResults": SPRINTS_A_PAGE}
        path = session.with_query(f"{AGILE}/board/{board}/sprint", query)
        page = await session.find(path, _SprintPage, "sprints")
        if page is None:
            raise QueryError(f"Jira has no board {board} that the account can see.")
        yield page.values
        start += len(page.values)
        if page.isLast is not False:
            return
        if not page.values:
            raise UnexpectedResponseError("Jira says that more sprints follow and sends none.")


def _record(session: JiraSession, sprint: Sprint) -> RecordChange:
    """A sprint as its record. Its version is always the same, for Jira does not say when it was changed: what is read
    later is newer."""
    created, start, completed = (_moment(one) for one in (sprint.createdDate, sprint.startDate, sprint.completeDate))
    begun = _moment(sprint.activatedDate) or start
    moves: list[tuple[datetime, str, str]] = []
    if sprint.state in ("active", "closed") and begun is not None:
        moves.append((begun, "future", "active"))
    if sprint.state == "closed" and completed is not None:
        moves.append((max(completed, begun or completed), "active", "closed"))
    fields: dict[str, JsonValue] = {
        "state": sprint.state,
        "goal": sprint.goal or None,
        "board": sprint.originBoardId,
        "start": _text(start),
        "end": _text(_moment(sprint.endDate)),
        "completed": _text(completed),
        "created": _text(created),
        # What is known to have happened last: the moments after it are plans.
        "updated": _text(moves[-1][0] if moves else created),
    }
    home, board = session.config.home, sprint.originBoardId
    return RecordChange(
        entity=f"sprint/{sprint.id}",
        name=sprint.name or f"Sprint {sprint.id}",
        version=0,
        created=created,
        fields=fields,
        transitions=[Transition("state", at, order, *change) for order, (at, *change) in enumerate(moves)],
        link=f"{home}/secure/RapidBoard.jspa?rapidView={board}&sprint={sprint.id}" if home and board else None,
    )


def _moment(text: str | None) -> datetime | None:
    return moment(text) if text else None


def _text(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def _unknown(dataset: JiraDataset) -> list[str]:
    always = (*NAMES, "id", "entity", "at", "link")
    return [
        f"Jira's sprints have no field {name!r}: it is always null." for name in dataset.fields if name not in always
    ]


def names_sprint(entity: str) -> bool:
    """Whether an entity of a webhook's is a sprint."""
    return _ENTITY.fullmatch(entity) is not None
