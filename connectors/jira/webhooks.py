"""Webhooks that a Jira administrator creates: who sent them, which they are, and which issues they tell of. Pure.

A delivery is a hint and nothing else: whether a dataset's query takes the issue only Jira can say, so it is read again
by its id. Shapes: https://developer.atlassian.com/cloud/jira/platform/webhooks/ and, for one's own servers,
https://developer.atlassian.com/server/jira/platform/webhooks/
"""

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from connectors.contract import Changed, Ignored, InboundDelivery, Parsed
from connectors.decoding import decode
from connectors.errors import AuthenticationError, SignatureError, UnexpectedResponseError
from connectors.jira.models import JiraConfig, JiraDataset, Stream
from connectors.jira.sprints import names_sprint
from connectors.jira.worklogs import names_worklog
from connectors.signatures import PROVIDERS
from connectors.signatures import verify as verify_proof

_JIRA = PROVIDERS["jira"]
_IDENTITY = re.compile(r"[!-~]{1,255}")
_ID = re.compile(r"[0-9]{1,18}")

#: What `issue_event_type_name` says of an issue that was only talked about.
_TALK = frozenset({"issue_commented", "issue_comment_edited", "issue_comment_deleted"})
#: Events of things that many issues have, or that queries look at: what changed by them is found by reading.
_FAR_REACHING = ("board_", "project_", "version_")
_NO_ISSUE = ("comment_", "attachment_", "issuelink_", "user_", "option_", "filter_", "issue_property_")


def verify(config: JiraConfig, delivery: InboundDelivery) -> None:
    """Return for a delivery that is signed with the connection's `webhook_secret`, or the previous one while that is
    given, else raise SignatureError."""
    given = [secret for secret in (config.webhook_secret, config.webhook_secret_previous) if secret is not None]
    if not given:
        raise SignatureError("This connection takes no webhooks: it has no webhook_secret.")
    secrets = []
    for secret in given:
        with contextlib.suppress(AuthenticationError):  # in a rotation one of them may not be there
            secrets.append(secret.reveal())
    if not secrets:
        raise SignatureError("The webhook_secret of this connection is not available.")
    verify_proof(_JIRA.scheme, secrets, delivery)


def identify(config: JiraConfig, delivery: InboundDelivery) -> str | None:
    """Jira's id of the delivery, which stays the same when it is sent again; None where there is none."""
    value = delivery.header(_JIRA.id_header or "")
    return value if value and _IDENTITY.fullmatch(value) else None


def parse(config: JiraConfig, delivery: InboundDelivery) -> Parsed:
    """Which issues a delivery tells of; none in particular where it may concern many."""
    body: Any = decode(delivery.body, source="The body of the delivery")
    if not isinstance(body, dict):
        raise UnexpectedResponseError("The body of the delivery is not a JSON object.")
    event = body.get("webhookEvent")
    name = event.removeprefix("jira:") if isinstance(event, str) else ""
    if name.startswith("worklog_"):
        return _of_worklog(body, is_deleted=name == "worklog_deleted")
    if name.startswith("sprint_"):
        return _of_sprint(body, is_deleted=name == "sprint_deleted")
    if name.startswith(_FAR_REACHING):
        return Changed(())
    if name.startswith(_NO_ISSUE):
        return Ignored(f"{name[:60]} says nothing that is kept.")
    issue = _id_in(body, "issue", "id")
    if name == "issue_deleted" and issue is not None:
        return Changed((), deleted=(issue,))
    if body.get("issue_event_type_name") in _TALK and not body.get("changelog"):
        return Ignored("It is only about a comment.")
    if issue is None and "issue" not in body and "comment" in body:
        return Ignored("It is only about a comment.")
    if issue is None and "issue" not in body and not name:
        raise UnexpectedResponseError("The delivery names neither an event nor an issue of Jira.")
    # An event that is not known here and names an issue may have changed it.
    return _changed(issue) if issue is not None or "issue" in body else Ignored(f"{name[:60]} is not about an issue.")


def _of_worklog(body: dict[str, Any], *, is_deleted: bool) -> Changed:
    """The worklog, and the issue that it is logged on, for what was spent is a field of it; nothing in particular where
    one of them is not told."""
    issue = _id_in(body, "worklog", "issueId") or _id_in(body, "issue", "id")
    worklog = _id_in(body, "worklog", "id")
    if issue is None or worklog is None:
        return Changed(())
    entity = f"worklog/{worklog}"
    return Changed((issue,), deleted=(entity,)) if is_deleted else Changed((issue, entity))


def _of_sprint(body: dict[str, Any], *, is_deleted: bool) -> Changed:
    sprint = _id_in(body, "sprint", "id")
    entities = () if sprint is None else (f"sprint/{sprint}",)
    return Changed((), deleted=entities) if is_deleted else Changed(entities)


def _names_issue(entity: str) -> bool:
    return _ID.fullmatch(entity) is not None


_KEPT: Mapping[Stream, Callable[[str], bool]] = {
    "issues": _names_issue,
    "worklogs": names_worklog,
    "sprints": names_sprint,
}


def relevant(dataset: JiraDataset, changed: Changed) -> Changed | None:
    """What of a delivery is about a dataset's stream.

    A sprint that changed may change which issues a query takes, and an issue that is gone takes its worklogs along, of
    which nothing is told: those datasets are read wholly. An issue that was moved and its worklogs with it are found by
    the next sweep.
    """
    named = (*changed.entities, *changed.deleted)
    if not named:
        return changed
    if dataset.stream != "sprints" and any(map(names_sprint, named)):
        return Changed(())
    if dataset.stream == "worklogs" and any(map(_names_issue, changed.deleted)):
        return Changed(())
    is_kept = _KEPT[dataset.stream]
    entities, deleted = filter(is_kept, changed.entities), filter(is_kept, changed.deleted)
    kept = Changed(tuple(entities), tuple(deleted))
    return kept if kept.entities or kept.deleted else None


def _changed(issue: str | None) -> Changed:
    return Changed((issue,) if issue is not None else ())


def _id_in(body: dict[str, Any], part: str, key: str) -> str | None:
    found = body.get(part)
    value = found.get(key) if isinstance(found, dict) else None
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if _ID.fullmatch(text) else None
