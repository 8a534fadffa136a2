"""Webhooks that a Jira administrator creates: who sent them, which they are, and which issues they tell of. Pure.

A delivery is a hint and nothing else: whether a dataset's query takes the issue only Jira can say, so it is read again
by its id. Shapes: https://developer.atlassian.com/cloud/jira/platform/webhooks/ and, for one's own servers,
https://developer.atlassian.com/server/jira/platform/webhooks/
"""

import contextlib
import re
from typing import Any

from connectors.contract import Changed, Ignored, InboundDelivery, Parsed
from connectors.decoding import decode
from connectors.errors import AuthenticationError, SignatureError, UnexpectedResponseError
from connectors.jira.models import JiraConfig
from connectors.signatures import PROVIDERS
from connectors.signatures import verify as verify_proof

_JIRA = PROVIDERS["jira"]
_IDENTITY = re.compile(r"[!-~]{1,255}")
_ID = re.compile(r"[0-9]{1,18}")

#: What `issue_event_type_name` says of an issue that was only talked about.
_TALK = frozenset({"issue_commented", "issue_comment_edited", "issue_comment_deleted"})
#: Events of things that many issues have, or that queries look at: what changed by them is found by reading.
_FAR_REACHING = ("sprint_", "board_", "project_", "version_")
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
        return _changed(_id_in(body, "worklog", "issueId") or _id_in(body, "issue", "id"))
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


def _changed(issue: str | None) -> Changed:
    return Changed((issue,) if issue is not None else ())


def _id_in(body: dict[str, Any], part: str, key: str) -> str | None:
    found = body.get(part)
    value = found.get(key) if isinstance(found, dict) else None
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if _ID.fullmatch(text) else None
