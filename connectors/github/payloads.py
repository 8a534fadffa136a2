"""GitHub's pull requests, issues and reviews as records. Pure.

https://docs.github.com/en/rest/pulls/pulls, https://docs.github.com/en/rest/issues/issues
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.contract import JsonValue, RecordChange
from connectors.errors import UnexpectedResponseError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: What a record of each stream has, under GitHub's own names; `approvals` only where it is asked for.
COMMON = (
    *("number", "title", "state", "author", "labels", "assignees", "milestone"),
    *("created_at", "updated_at", "closed_at"),
)
NAMES: Mapping[str, tuple[str, ...]] = {
    "pull_requests": (*COMMON, "merged_at", "merged", "draft", "base", "head", "approvals"),
    "issues": (*COMMON, "state_reason", "comments"),
}
#: A review that says one of these is an opinion; one that only comments changes nothing.
_OPINIONS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")


def rows_of(body: JsonValue) -> list[dict[str, Any]]:
    """The objects of a list; UnexpectedResponseError for anything else."""
    if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
        raise UnexpectedResponseError("The answer of GitHub is no list of objects.")
    return [row for row in body if isinstance(row, dict)]


def words_of(body: JsonValue) -> str | None:
    """What GitHub says is wrong, on one line; None where it says nothing."""
    said = body.get("message") if isinstance(body, dict) else None
    return " ".join(said.split())[:600] if isinstance(said, str) and said.strip() else None


def moment_of(row: Mapping[str, Any], name: str) -> datetime:
    """A moment that has to be there; UnexpectedResponseError where it is not."""
    found = _moment(row.get(name))
    if found is None:
        raise UnexpectedResponseError(f"The answer of GitHub has no {name} where one was expected.")
    return found


def number_of(row: Mapping[str, Any]) -> int:
    """The number of a pull request or issue in its repository."""
    number = row.get("number")
    if type(number) is not int or number < 1:
        raise UnexpectedResponseError("The answer of GitHub has no number where one was expected.")
    return number


def is_pull_request(row: Mapping[str, Any]) -> bool:
    """Whether a row of a list of issues is a pull request: GitHub lists both."""
    return row.get("pull_request") is not None


def record_of(row: Mapping[str, Any], stream: str, approvals: int | None) -> RecordChange:
    """A row as the newest version of its record. Its entity is its number, which stays whatever else changes."""
    number = number_of(row)
    updated = moment_of(row, "updated_at")
    fields: dict[str, JsonValue] = {
        "number": number,
        "title": _text(row.get("title")),
        "state": _text(row.get("state")),
        "author": _login(row.get("user")),
        "labels": _names(row.get("labels"), "name"),
        "assignees": _names(row.get("assignees"), "login"),
        "milestone": _text((row.get("milestone") or {}).get("title")),
        "created_at": _rfc3339(row, "created_at"),
        "updated_at": _rfc3339(row, "updated_at"),
        "closed_at": _rfc3339(row, "closed_at"),
    }
    if stream == "pull_requests":
        merged = _rfc3339(row, "merged_at")
        fields |= {
            "merged_at": merged,
            "merged": merged is not None,
            "draft": row.get("draft") is True,
            "base": _text((row.get("base") or {}).get("ref")),
            "head": _text((row.get("head") or {}).get("ref")),
        }
        if approvals is not None:
            fields["approvals"] = approvals
    else:
        comments = row.get("comments")
        fields |= {
            "state_reason": _text(row.get("state_reason")),
            "comments": comments if type(comments) is int else None,
        }
    link = _text(row.get("html_url"))
    return RecordChange(
        entity=str(number),
        name=f"#{number}",
        version=(updated - _EPOCH) // _MICROSECOND,
        created=moment_of(row, "created_at"),
        fields=fields,
        link=link if link is not None and link.startswith("https://") else None,
    )


def approvals_of(reviews: Iterable[Mapping[str, Any]]) -> int:
    """How many reviewers approve by the newest opinion of each; reviews come oldest first."""
    newest: dict[object, str] = {}
    for review in reviews:
        state = review.get("state")
        if isinstance(state, str) and state.upper() in _OPINIONS:
            newest[(review.get("user") or {}).get("id")] = state.upper()
    return sum(state == "APPROVED" for state in newest.values())


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _login(user: object) -> str | None:
    return _text(user.get("login")) if isinstance(user, dict) else None


def _names(rows: object, key: str) -> list[JsonValue]:
    if not isinstance(rows, list):
        return []
    return [row[key] for row in rows if isinstance(row, dict) and isinstance(row.get(key), str)]


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None


def _rfc3339(row: Mapping[str, Any], name: str) -> str | None:
    found = _moment(row.get(name))
    return None if found is None else found.isoformat().replace("+00:00", "Z")
