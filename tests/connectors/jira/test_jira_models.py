"""What a team may write for Jira, and what it is told otherwise."""

import pytest
from pydantic import ValidationError

from connectors.jira import JiraConfig, JiraDataset, JiraQuery

CONFIG = {"url": "https://acme.atlassian.net", "email": "bot@acme.example", "token": {"env": "JIRA_TOKEN"}}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://acme.atlassian.net", "https://acme.atlassian.net"),
        ("https://acme.atlassian.net/", "https://acme.atlassian.net"),
        ("https://api.atlassian.com/ex/jira/11111111-2222", "https://api.atlassian.com/ex/jira/11111111-2222"),
        ("http://127.0.0.1:8089", "http://127.0.0.1:8089"),
        ("http://localhost:8089/atlassian", "http://localhost:8089/atlassian"),
        ("http://[::1]:8089", "http://[::1]:8089"),
    ],
)
def test_a_site_is_its_address(given: str, kept: str) -> None:
    assert JiraConfig.model_validate({**CONFIG, "url": given}).url == kept


@pytest.mark.parametrize(
    "url",
    [
        "acme.atlassian.net",
        "http://acme.atlassian.net",
        "http://10.0.0.1",
        "http://127.0.0.1.acme.example",
        "ftp://acme.atlassian.net",
        "https://",
        "https://user:secret@acme.atlassian.net",
        "https://acme.atlassian.net?x=1",
        "https://acme.atlassian.net#top",
        "https://acme.atlassian.net:port",
        "https://acme.atlassian.net\\@evil.example",
        "https://acme.atlassian.net /",
        "",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        JiraConfig.model_validate({**CONFIG, "url": url})


@pytest.mark.parametrize(
    "change",
    [{"token": "ATATT3x-literal"}, {"emial": "x@y"}, {"email": "a:b@acme.example"}, {"email": ""}, {"url": 5}],
)
def test_the_connection_is_strict(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JiraConfig.model_validate({**CONFIG, **change})


def test_a_connection_may_take_webhooks() -> None:
    config = JiraConfig.model_validate({**CONFIG, "webhook_secret": {"env": "JIRA_HOOK"}})
    assert config.webhook_secret is not None
    assert config.is_cloud


def test_without_an_email_it_is_a_token_of_data_center() -> None:
    config = JiraConfig.model_validate({"url": "https://jira.acme.example/jira", "token": {"env": "JIRA_PAT"}})
    assert not config.is_cloud
    assert config.home == "https://jira.acme.example/jira"


def test_behind_the_gateway_links_lead_to_the_site() -> None:
    gateway = {**CONFIG, "url": "https://api.atlassian.com/ex/jira/11111111-2222"}
    assert JiraConfig.model_validate(gateway).home is None
    assert JiraConfig.model_validate({**gateway, "site": "https://acme.atlassian.net/"}).home == (
        "https://acme.atlassian.net"
    )
    del gateway["email"]
    with pytest.raises(ValidationError, match="email"):
        JiraConfig.model_validate(gateway)


@pytest.mark.parametrize(
    "given", [{}, {"board": 0}, {"board": True}, {"filter": ""}, {"project": 5}, {"fields": ["A"]}]
)
def test_a_dataset_says_which_issues(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JiraDataset.model_validate(given)


@pytest.mark.parametrize(
    ("jql", "is_windowed"),
    [
        ("created >= {from} AND created < {to}", True),
        ('resolved >= "{from}"', True),
        ("summary ~ '{x}'", False),
        ("project = A", False),
    ],
)
def test_a_query_is_windowed_when_it_names_an_edge(jql: str, is_windowed: bool) -> None:
    assert JiraQuery(jql=jql).windowed() is is_windowed


@pytest.mark.parametrize("given", [{"jql": ""}, {"jql": "x", "exact": "no"}, {"jql": "x", "limit": 3}, {}])
def test_the_query_is_strict(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JiraQuery.model_validate(given)


def test_a_dataset_takes_a_list_of_field_names() -> None:
    dataset = JiraDataset.model_validate({"jql": "project = A", "fields": ["Story Points", "Team"]})
    assert dataset.fields == ("Story Points", "Team")


@pytest.mark.parametrize(
    "given", [{"jql": "created >= {from}"}, {"jql": "x", "fields": [5]}, {"jql": "x", "feilds": []}]
)
def test_the_dataset_is_strict(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JiraDataset.model_validate(given)


@pytest.mark.parametrize(
    "given", [{"board": 1}, {"board": "Team"}, {"project": "ERP"}, {"board": 1, "fields": ["state"]}]
)
def test_sprints_are_those_of_a_board_or_a_project(given: dict[str, object]) -> None:
    assert JiraDataset.model_validate({"stream": "sprints", **given}).stream == "sprints"


@pytest.mark.parametrize(
    "given",
    [{}, {"board": 1, "project": "ERP"}, {"jql": "a = b"}, {"board": 1, "jql": "a = b"}, {"filter": 1, "board": 1}],
)
def test_sprints_of_anything_else_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="sprints are those of a board or of a project"):
        JiraDataset.model_validate({"stream": "sprints", **given})


def test_what_is_kept_are_issues_unless_said_otherwise() -> None:
    assert JiraDataset(project="ERP").stream == "issues"
    assert JiraDataset(project="ERP", stream="worklogs").stream == "worklogs"
    with pytest.raises(ValidationError):
        JiraDataset.model_validate({"project": "ERP", "stream": "boards"})
    with pytest.raises(ValidationError, match="one of jql, project, filter and board"):
        JiraDataset(stream="worklogs")
