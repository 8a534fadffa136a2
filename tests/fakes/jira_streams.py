"""What else a fake Jira has beside issues: the work logged on them, and the sprints of its boards.

Both are as Atlassian's documents say: worklogs in pages of the changed ones by their moments, without those of the last
minute; with an issue come its first twenty. Sprints come in pages by number.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.jira_issues import Json

INLINE = 20
KEPT_BACK = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Worklogs:
    """The work logged on `issues`, by the worklog's id. `page_size` is of the lists of what changed; `is_inclusive`:
    whether those begin with the very moment that is asked for. `hidden` are restricted to others."""

    def __init__(self, issues: Mapping[str, Json], now: Callable[[], datetime]) -> None:
        self._issues = issues
        self._now = now
        self.held: dict[int, Json] = {}
        self.hidden: set[int] = set()
        self.deletions: list[tuple[int, int]] = []
        self.page_size = 1_000
        self.is_inclusive = True

    # --- what people do -------------------------------------------------------------------------------------------

    def log(self, id: int, issue: str, at: datetime, seconds: int, **other: Any) -> None:
        """Log work on the issue with this id, at a moment; `other` are members as Jira has them."""
        self.held[id] = {
            "self": f"https://acme.atlassian.net/rest/api/3/issue/{issue}/worklog/{id}",
            "id": str(id),
            "issueId": issue,
            "author": {"accountId": "5b10a2844c20165700ede21g", "displayName": "A Person", "active": True},
            "comment": {"type": "doc", "version": 1, "content": []},
            "created": moment_text(at),
            "started": moment_text(at),
            "updated": moment_text(at),
            "timeSpent": f"{seconds // 60}m",
            "timeSpentSeconds": seconds,
            **other,
        }
        self._tell_issues()

    def edit(self, id: int, at: datetime, **members: Any) -> None:
        """Change a worklog at a moment."""
        self.held[id].update(members, updated=moment_text(at))
        self._tell_issues()

    def move(self, id: int, issue: str) -> None:
        """Move a worklog to another issue, of which Jira tells nobody."""
        self.held[id]["issueId"] = issue
        self._tell_issues()

    def delete(self, id: int, at: datetime) -> None:
        """Delete a worklog at a moment."""
        del self.held[id]
        self.deletions.append((milliseconds(at), id))
        self._tell_issues()

    def drop_with_issue(self, issue: str) -> None:
        """The worklogs of an issue that is deleted go with it, and no list tells of them."""
        self.held = {id: one for id, one in self.held.items() if one["issueId"] != issue}

    def _tell_issues(self) -> None:
        for issue in self._issues.values():
            page = self.of_issue(issue["id"], 0, INLINE)
            issue["fields"]["worklog"] = page
            spent = [one["timeSpentSeconds"] for one in self.held.values() if one["issueId"] == issue["id"]]
            if spent or issue["fields"].get("timespent") is not None:
                issue["fields"]["timespent"] = sum(spent)

    # --- what is told ---------------------------------------------------------------------------------------------

    def of_issue(self, issue: str, start: int, size: int) -> Json:
        """A page of an issue's worklogs, oldest first."""
        found = [one for id, one in sorted(self.held.items()) if one["issueId"] == issue and id not in self.hidden]
        return {"startAt": start, "maxResults": size, "total": len(found), "worklogs": found[start : start + size]}

    def listed(self, ids: list[int]) -> list[Json]:
        """The worklogs with these ids, whatever the account may see of their issues."""
        return [self.held[id] for id in sorted(set(ids)) if id in self.held and id not in self.hidden]

    def changed(self, what: str, since: int) -> Json:
        """A page of what was `updated` or `deleted` since a moment in milliseconds."""
        rows = (
            self.deletions
            if what == "deleted"
            else [
                (milliseconds(datetime.fromisoformat(one["updated"])), id)
                for id, one in self.held.items()
                if id not in self.hidden
            ]
        )
        latest = milliseconds(self._now() - KEPT_BACK)
        first = since if self.is_inclusive else since + 1
        found = sorted(row for row in rows if first <= row[0] <= latest)
        page = found[: self.page_size]
        address = f"https://acme.atlassian.net/rest/api/3/worklog/{what}?since="
        answer: Json = {
            "values": [{"worklogId": id, "updatedTime": at, "properties": []} for at, id in page],
            "since": since,
            "self": f"{address}{since}",
            "lastPage": len(found) <= self.page_size,
        }
        if page:
            answer |= {"until": page[-1][0], "nextPage": f"{address}{page[-1][0]}"}
        return answer


def sprint(id: int, state: str = "future", board: int = 1, **other: Any) -> Json:
    """A sprint of a board as the site tells it, moments as `2026-10-05T09:00:00.000Z`."""
    return {
        "id": id,
        "self": f"https://acme.atlassian.net/rest/agile/1.0/sprint/{id}",
        "state": state,
        "name": f"Sprint {id}",
        "originBoardId": board,
        "goal": "",
        **other,
    }


def milliseconds(at: datetime) -> int:
    """Since 1970."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def moment_text(at: datetime) -> str:
    """As Jira writes moments."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1_000:03d}" + at.strftime("%z")
