"""Presets as datasets: validated with their place, written back as they were written, and the same rules as CEL."""

from typing import Any

import pytest

from app.services.team_file import check_team_file
from connectors.registry import connectors

FILE: dict[str, Any] = {
    "version": 1,
    "team": "operations",
    "connections": {
        "github": {"connector": "webhook", "verify": {"scheme": "github", "secret": {"env": "GH"}}},
        "jira": {
            "connector": "jira",
            "url": "https://acme.atlassian.net",
            "email": "bot@acme.example",
            "token": {"env": "JIRA_TOKEN"},
        },
    },
    "datasets": {"pulls": {"connection": "github", "preset": "github.pull_requests"}},
    "metrics": {
        "merged": {
            "unit": "pulls",
            "records": {"dataset": "pulls", "where": 'record.event == "merged"'},
            "window": {"trailing": "28d"},
        },
        "open_share": {
            "unit": "percent",
            "state_share": {"dataset": "pulls", "good": ["merged"]},
            "window": {"trailing": "28d"},
        },
    },
}


def problems(**dataset: Any) -> list[tuple[str, str, str | None]]:
    document = {**FILE, "datasets": {"pulls": {**FILE["datasets"]["pulls"], **dataset}}}
    checked = check_team_file(document, connectors=connectors())
    return [(".".join(map(str, found.path)), found.code, found.suggestion) for found in checked.problems]


def test_a_preset_is_a_dataset_of_events_by_itself() -> None:
    assert problems() == []
    checked = check_team_file(FILE, connectors=connectors())
    assert checked.file is not None
    dataset = checked.file.datasets["pulls"]
    assert dataset.shape == "events"
    assert dataset.model_dump(exclude_unset=True) == FILE["datasets"]["pulls"], "it stays as it was written"


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ({"where": "body.repository.name == 'erp'"}, []),
        ({"event": "body.action"}, []),
        ({"preset": "github.pull_request"}, [("datasets.pulls.preset", "unknown_name", "github.pull_requests")]),
        ({"preset": "no such thing"}, [("datasets.pulls.preset", "string_pattern_mismatch", None)]),
        ({"where": "body."}, [("datasets.pulls.where", "rule", None)]),
        ({"entity": "item.id"}, [("datasets.pulls.entity", "rule", None)]),
        ({"preset": "alertmanager.alerts", "entity": "item.labels.service"}, []),
        ({"each": "body.commits", "entity": "item.id"}, []),
        ({"each": "item.x"}, [("datasets.pulls.each", "rule", None)]),
        ({"key": "1 +"}, [("datasets.pulls.key", "rule", None)]),
        ({"deleted": "1 +"}, [("datasets.pulls.deleted", "rule", None)]),
        ({"prest": "x"}, [("datasets.pulls.prest", "unknown_key", "preset")]),
    ],
)
def test_what_is_wrong_is_told_at_its_place(dataset: dict[str, Any], expected: list[Any]) -> None:
    assert problems(**dataset) == expected


def test_a_tool_that_is_asked_has_no_presets_for_deliveries() -> None:
    assert problems(connection="jira", jql="project = ERP")[0][:2] == ("datasets.pulls.preset", "not_applicable")


@pytest.mark.parametrize("preset", sorted(connectors()["webhook"].presets))
def test_every_preset_compiles(preset: str) -> None:
    dataset = {"connection": "github", "preset": preset}
    document = {**FILE, "datasets": {"pulls": dataset}, "metrics": {}}
    assert check_team_file(document, connectors=connectors()).problems == []
