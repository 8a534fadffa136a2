"""GitHub, and GitHub Enterprise Server: a repository's pull requests and issues as records.

`connector` names the hooks; `models` is what teams write; `session` speaks HTTP; `reading` makes pages of records;
`payloads` is pure.
"""

from connectors.github.connector import GITHUB
from connectors.github.models import GitHubConfig, GitHubDataset

__all__ = ["GITHUB", "GitHubConfig", "GitHubDataset"]
