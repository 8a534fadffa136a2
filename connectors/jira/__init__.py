"""Jira Cloud and Data Center: counts by JQL, issues with their status history, webhooks that say which ones changed.

`connector` names the hooks; `models` is what teams write; `session` and `data_center` speak HTTP; `reading` makes
records of issues, with what `knowledge` remembers of the site and the query that `scope` makes of a dataset;
`webhooks`, `payloads`, `fields`, `jql` and `failures` are pure; `directory` serves `check` and `discover`,
and `deployment` says which kind of Jira answered.
"""

from connectors.jira.connector import JIRA
from connectors.jira.models import JiraConfig, JiraDataset, JiraQuery

__all__ = ["JIRA", "JiraConfig", "JiraDataset", "JiraQuery"]
