"""Jira Cloud: counts by JQL, and issues with their status history.

`connector` names the hooks; `models` is what teams write; `session` speaks HTTP; `reading` makes records of issues;
`payloads`, `fields`, `jql` and `failures` are pure; `directory` serves `check` and `discover`.
"""

from connectors.jira.connector import JIRA
from connectors.jira.models import JiraConfig, JiraDataset, JiraQuery

__all__ = ["JIRA", "JiraConfig", "JiraDataset", "JiraQuery"]
