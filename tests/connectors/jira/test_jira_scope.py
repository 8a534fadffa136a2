"""Datasets that are a board, a saved filter, a project or several of these; what opens them in a browser."""

import json
from pathlib import Path

import pytest

from connectors.errors import QueryError
from connectors.jira import JIRA, JiraConfig, JiraDataset, JiraQuery
from connectors.jira.reading import read_issues
from connectors.jira.scope import scope_jql, static_jql
from tests.connectors.jira.conftest import NOW, Connect, jira_config, small_site
from tests.fakes.jira_cloud import JiraCloudFake


@pytest.fixture
def fake() -> JiraCloudFake:
    """Twelve issues of ERP, the first three closed; a filter of the open ones, and boards, two of one name."""
    found = small_site(12)
    for number in (1, 2, 3):
        found.move(f"ERP-{number}", "Closed", NOW)
    found.filters = {"10100": "project = ERP AND status != Closed ORDER BY key", "Open ERP": "status != Closed"}
    found.boards = {
        number: {"id": number, "name": name, "filter": "10100"}
        for number, name in ((1, "Desk"), (2, "Desk two"), (3, "Twins"), (4, "twins"))
    }
    return found


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"project": "ERP"}, 12),
        ({"project": "Resource planning"}, 12),
        ({"filter": 10100}, 9),
        ({"filter": "Open ERP"}, 9),
        ({"board": 1}, 9),
        ({"board": "desk"}, 9),
        ({"board": 1, "jql": "key = ERP-7 OR key = ERP-1"}, 1),
        ({"project": "ERP", "jql": "key = ERP-7 OR key = ERP-1 ORDER BY key"}, 2),
    ],
)
async def test_a_dataset_is_what_all_of_its_parts_take(
    connect: Connect, fake: JiraCloudFake, given: dict[str, object], count: int
) -> None:
    session = await connect(fake)
    dataset = JiraDataset.model_validate(given)
    assert sum([len(page.changes) async for page in read_issues(session, dataset, None)]) == count


@pytest.mark.parametrize(
    ("board", "words"),
    [
        ("Twins", "2 boards named 'Twins': 3 and 4"),
        ("Nothing", "no board named 'Nothing'"),
    ],
)
async def test_a_board_that_is_not_one_is_named(connect: Connect, fake: JiraCloudFake, board: str, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        await scope_jql(await connect(fake), JiraDataset(board=board))


async def test_a_board_that_is_gone_is_said_to_be(connect: Connect, fake: JiraCloudFake) -> None:
    with pytest.raises(QueryError, match="board"):
        await scope_jql(await connect(fake), JiraDataset(board=99))


async def test_a_kanban_board_keeps_what_its_sub_filter_hides(
    connect: Connect, fake: JiraCloudFake, shared_data: Path
) -> None:
    recorded = json.loads((shared_data / "jira/board-sample/sample_board_1_configuration.json").read_bytes())
    assert recorded["type"] == "kanban"
    assert recorded["subQuery"] == {"query": "fixVersion in unreleasedVersions() OR fixVersion is EMPTY"}
    fake.boards[1]["shows"] = "key = ERP-7"
    session = await connect(fake)
    assert sum([len(page.changes) async for page in read_issues(session, JiraDataset(board=1), None)]) == 9


async def test_a_board_whose_filter_changed_is_read_anew(connect: Connect, fake: JiraCloudFake) -> None:
    session = await connect(fake)
    cursor = None
    async for page in read_issues(session, JiraDataset(board=1), None):
        cursor = page.cursor
    fake.boards[1]["filter"] = "Open ERP"
    pages = [page async for page in read_issues(session, JiraDataset(board=1), cursor)]
    assert sum(len(page.changes) for page in pages) == 9
    assert "read again" in pages[-1].warnings[0]


@pytest.mark.parametrize(
    ("scope", "link"),
    [
        (JiraQuery(jql="project = ERP"), "/issues/?jql=project%20%3D%20ERP"),
        (JiraDataset(jql="a = b"), "/issues/?jql=a%20%3D%20b"),
        (JiraDataset(project='E"P'), "/issues/?jql=project%20%3D%20%22E%5C%22P%22"),
        (JiraDataset(filter=7), "/issues/?jql=filter%20%3D%20%227%22"),
        (JiraDataset(board=7), "/secure/RapidBoard.jspa?rapidView=7"),
        (JiraDataset(board="Desk"), "/secure/ManageRapidViews.jspa"),
        (JiraDataset(board="Desk", jql="a = b"), "/issues/?jql=a%20%3D%20b"),
    ],
)
def test_what_is_read_opens_in_the_browser(scope: JiraQuery | JiraDataset, link: str) -> None:
    assert JIRA.browse is not None
    assert JIRA.browse(jira_config(), scope) == f"https://acme.atlassian.net{link}"


def test_a_query_over_a_window_opens_only_as_it_was_counted() -> None:
    assert JIRA.browse is not None
    assert JIRA.browse(jira_config(), JiraQuery(jql="created >= {from}")) is None


def test_behind_the_gateway_only_a_site_that_is_named_opens() -> None:
    assert JIRA.browse is not None
    given = {"url": "https://api.atlassian.com/ex/jira/11-22", "email": "a@b.example", "token": {"env": "T"}}
    assert JIRA.browse(JiraConfig.model_validate(given), JiraQuery(jql="a = b")) is None
    named = JiraConfig.model_validate({**given, "site": "https://acme.atlassian.net"})
    assert JIRA.browse(named, JiraQuery(jql="a = b")) == "https://acme.atlassian.net/issues/?jql=a%20%3D%20b"


def test_the_parts_of_a_scope_are_kept_apart() -> None:
    dataset = JiraDataset(jql="a = 1 OR b = 2 ORDER BY c", project="ERP", filter="mine")
    assert static_jql(dataset) == '((a = 1 OR b = 2) AND project = "ERP") AND filter = "mine"'
