"""Jira Cloud and Data Center: counts by JQL, issues with their status history, the work logged on them, sprints of
boards, webhooks that say which ones changed.

`connector` names the hooks; `models` is what teams write; `session` and `data_center` speak HTTP; `streams` says which
of `reading`, `worklogs` and `sprints` makes a dataset's records: `reading` those of issues, with what `knowledge`
remembers of the site; `scope` makes a query of a dataset, `absence` says why something is not found; `webhooks`,
`payloads`, `fields`, `jql` and `failures` are pure; `directory` serves `check` and `discover`, and `deployment` says
which kind of Jira answered.
"""

from connectors.jira.connector import JIRA
from connectors.jira.models import JiraConfig, JiraDataset, JiraQuery

__all__ = ["JIRA", "JiraConfig", "JiraDataset", "JiraQuery"]
