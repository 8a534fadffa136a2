"""Webhooks: who may send them, which are the same, and which issues each of the recorded ones tells of."""

import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.contract import Changed, Ignored, InboundDelivery, Parsed
from connectors.errors import SignatureError, UnexpectedResponseError
from connectors.jira import JIRA, JiraConfig, JiraDataset
from connectors.jira.webhooks import identify, parse, verify
from connectors.secrets import bind
from tests.connectors.jira.conftest import NOW, jira_config

SECRET = "a-webhook-secret"
TALK = Ignored("It is only about a comment.")


def _config(secret: str | None = SECRET) -> JiraConfig:
    given: dict[str, Any] = {"url": "https://acme.atlassian.net", "email": "bot@acme.example", "token": {"env": "T"}}
    config = JiraConfig.model_validate(given | {"webhook_secret": {"env": "HOOK"}})
    return bind(config, lambda reference: secret if reference.name == "HOOK" else "a-token")


def _delivery(body: object, *headers: tuple[str, str]) -> InboundDelivery:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return InboundDelivery(headers, content, NOW)


def _signed(body: bytes, secret: str = SECRET) -> tuple[str, str]:
    return "x-hub-signature", "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


# --- the recorded ones ------------------------------------------------------------------------------------------------

RECORDED: dict[str, Parsed] = {
    "cloud-comment-created-mention-user": Ignored("comment_created says nothing that is kept."),
    "cloud-comment-created": Ignored("comment_created says nothing that is kept."),
    "cloud-comment-deleted": Ignored("comment_deleted says nothing that is kept."),
    "cloud-comment-updated": Ignored("comment_updated says nothing that is kept."),
    "cloud-issue-created-many-fields": Changed(("10509",)),
    "issue-comment-created-indentation": TALK,
    "issue-created-no-description-nor-relevant-fields": Changed(("10040",)),
    "issue-created-no-description": Changed(("10040",)),
    "issue-created-no-relevant-fields": Changed(("10040",)),
    "issue-created": Changed(("10040",)),
    "issue-updated-assigned-nobody": Changed(("10040",)),
    "issue-updated-assigned-on-server": Changed(("10226",)),
    "issue-updated-assigned": Changed(("10040",)),
    "issue-updated-attachments": Changed(("10040",)),
    "issue-updated-edited": Changed(("10040",)),
    "issue-updated-fix-version": Changed(("10040",)),
    "issue-updated-issue-type": Changed(("10040",)),
    "issue-updated-labels": Changed(("10040",)),
    "issue-updated-lowered-priority": Changed(("10040",)),
    "issue-updated-multiple-custom-fields": Changed(("10040",)),
    "issue-updated-rank": Changed(("10040",)),
    "issue-updated-renamed": Changed(("10040",)),
    "issue-updated-reopened": Changed(("10040",)),
    "issue-updated-resolved-one-changelog": Changed(("10040",)),
    "issue-updated-resolved": Changed(("10040",)),
    "issue-updated-sprint": Changed(("10040",)),
    "server-comment-created": Ignored("comment_created says nothing that is kept."),
    "server-comment-deleted": Ignored("comment_deleted says nothing that is kept."),
    "server-comment-updated": Ignored("comment_updated says nothing that is kept."),
    "server-issue-updated-comment-deleted": TALK,
    "server-issue-updated-comment-edited": TALK,
    "server-issue-updated-commented-1": TALK,
    "server-issue-updated-commented-mention-user": TALK,
    "server-issue-updated-many-fields": Changed(("10400",)),
    "server-issue-updated-reopened": Changed(("10300",)),
    "server-issue-updated-resolved": Changed(("10300",)),
    "server-updated-custom-field": Changed(("10106",)),
}


def test_every_recorded_webhook_tells_of_its_issue(shared_data: Path) -> None:
    found: dict[str, Parsed] = {}
    for file in (shared_data / "jira" / "webhooks").glob("webhook-*.json"):
        body = file.read_bytes()
        delivery = _delivery(body, _signed(body))
        verify(_config(), delivery)
        found[file.stem.removeprefix("webhook-")] = parse(_config(), delivery)
    assert found == RECORDED


def test_every_recorded_webhook_without_its_event_type_still_names_its_issue(shared_data: Path) -> None:
    for file in (shared_data / "jira" / "webhooks").glob("webhook-*.json"):
        body = json.loads(file.read_bytes())
        for key in ("webhookEvent", "issue_event_type_name", "changelog"):
            body.pop(key, None)
        issue = body.get("issue")
        expected: Parsed = Changed((issue["id"],)) if issue else TALK
        assert parse(_config(), _delivery(body)) == expected, file.stem


# --- those that were not recorded -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"webhookEvent": "jira:issue_deleted", "issue": {"id": "7", "key": "A-1"}}, Changed((), deleted=("7",))),
        (
            {"webhookEvent": "jira:issue_updated", "issue_event_type_name": "issue_moved", "issue": {"id": 7}},
            Changed(("7",)),
        ),
        ({"webhookEvent": "jira:issue_moved", "issue": {"id": "7"}}, Changed(("7",))),
        ({"webhookEvent": "jira:issue_updated", "issue": {"key": "A-1"}}, Changed(())),
        ({"webhookEvent": "jira:issue_deleted", "issue": {"key": "A-1"}}, Changed(())),
        ({"webhookEvent": "worklog_created", "worklog": {"id": "3", "issueId": "7"}}, Changed(("7", "worklog/3"))),
        ({"webhookEvent": "worklog_updated", "worklog": {"id": 3}, "issue": {"id": 7}}, Changed(("7", "worklog/3"))),
        (
            {"webhookEvent": "worklog_deleted", "worklog": {"id": "3", "issueId": "7"}},
            Changed(("7",), deleted=("worklog/3",)),
        ),
        ({"webhookEvent": "worklog_deleted", "worklog": {"id": "3"}}, Changed(())),
        ({"webhookEvent": "jira:worklog_updated", "issue": {"id": "7"}}, Changed(())),
        ({"webhookEvent": "sprint_closed", "sprint": {"id": 4, "name": "Sprint 4"}}, Changed(("sprint/4",))),
        ({"webhookEvent": "sprint_deleted", "sprint": {"id": 4}}, Changed((), deleted=("sprint/4",))),
        ({"webhookEvent": "sprint_started"}, Changed(())),
        ({"webhookEvent": "board_updated", "board": {"id": 4}}, Changed(())),
        ({"webhookEvent": "jira:version_released", "version": {"id": "4"}}, Changed(())),
        ({"webhookEvent": "project_deleted", "project": {"id": 4}}, Changed(())),
        ({"webhookEvent": "attachment_created"}, Ignored("attachment_created says nothing that is kept.")),
        ({"webhookEvent": "issuelink_created"}, Ignored("issuelink_created says nothing that is kept.")),
        ({"webhookEvent": "jira:new_thing"}, Ignored("new_thing is not about an issue.")),
        ({"webhookEvent": "jira:new_thing", "issue": {"id": "7"}}, Changed(("7",))),
        ({"webhookEvent": 5, "issue": {"id": "7"}}, Changed(("7",))),
        ({"issue": {"id": "7"}}, Changed(("7",))),
        ({"issue": "A-1"}, Changed(())),
        ({"issue": {"id": "7) OR (id = 8"}}, Changed(())),
        ({"issue": {"id": True}}, Changed(())),
        (
            {"webhookEvent": "jira:issue_updated", "issue_event_type_name": "issue_commented", "issue": {"id": "7"}}
            | {"changelog": {"items": [{"field": "status"}]}},
            Changed(("7",)),
        ),
    ],
)
def test_what_else_may_come(body: dict[str, object], expected: Parsed) -> None:
    assert parse(_config(), _delivery(body)) == expected


_WORKLOG, _GONE = Changed(("7", "worklog/3")), Changed(("7",), deleted=("worklog/3",))
_SPRINT, _NO_SPRINT = Changed(("sprint/4",)), Changed((), deleted=("sprint/4",))


@pytest.mark.parametrize(
    ("changed", "issues", "worklogs", "sprints"),
    [
        (Changed(()), Changed(()), Changed(()), Changed(())),
        (Changed(("7",)), Changed(("7",)), None, None),
        (Changed((), deleted=("7",)), Changed((), deleted=("7",)), Changed(()), None),
        (_WORKLOG, Changed(("7",)), Changed(("worklog/3",)), None),
        (_GONE, Changed(("7",)), Changed((), deleted=("worklog/3",)), None),
        (_SPRINT, Changed(()), Changed(()), _SPRINT),
        (_NO_SPRINT, Changed(()), Changed(()), _NO_SPRINT),
    ],
)
def test_each_stream_hears_what_is_about_it(
    changed: Changed, issues: Changed | None, worklogs: Changed | None, sprints: Changed | None
) -> None:
    assert JIRA.relevant is not None
    assert JIRA.relevant(JiraDataset(project="ERP"), changed) == issues
    assert JIRA.relevant(JiraDataset(stream="worklogs", project="ERP"), changed) == worklogs
    assert JIRA.relevant(JiraDataset(stream="sprints", project="ERP"), changed) == sprints


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"<html>", b'{"a": 1}', b"\xff", b'{"issue": {"id": NaN}}'])
def test_what_is_no_webhook_of_jira_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(UnexpectedResponseError):
        parse(_config(), _delivery(body))


# --- the sender -------------------------------------------------------------------------------------------------------


def test_a_delivery_is_proven_by_the_connections_own_secret() -> None:
    body = b'{"issue": {"id": "7"}}'
    verify(_config(), _delivery(body, _signed(body)))
    name, signature = _signed(body)
    sha1 = "sha1=" + hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
    for headers in (
        (),
        (_signed(body, "another"),),
        (_signed(body + b" "),),
        ((name, sha1),),
        ((name, signature.removeprefix("sha256=")),),
        ((name, signature), (name, signature)),
        ((name, "sha256="),),
        ((name, "sha256=\u00e9"),),
    ):
        with pytest.raises(SignatureError):
            verify(_config(), _delivery(body, *headers))


def test_without_a_secret_nothing_is_taken() -> None:
    body = b"{}"
    with pytest.raises(SignatureError, match="webhook_secret"):
        verify(jira_config(), _delivery(body, _signed(body)))
    with pytest.raises(SignatureError, match="not available"):
        verify(_config(None), _delivery(body, _signed(body)))
    with pytest.raises(SignatureError):
        verify(_config(""), _delivery(body, _signed(body, "")))


def test_two_secrets_count_while_one_is_rotated() -> None:
    body = b"{}"
    given = {"url": "https://acme.atlassian.net", "email": "bot@acme.example", "token": {"env": "T"}}
    config = JiraConfig.model_validate(
        given | {"webhook_secret": {"env": "HOOK"}, "webhook_secret_previous": {"env": "OLD"}}
    )
    for known in ({"HOOK": "new", "OLD": "old"}, {"OLD": "old"}):
        bound = bind(config, lambda reference, known=known: known.get(reference.name))
        verify(bound, _delivery(body, _signed(body, "old")))
        with pytest.raises(SignatureError):
            verify(bound, _delivery(body, _signed(body, "older")))
    verify(bind(config, lambda _: "new"), _delivery(body, _signed(body, "new")))


def test_jiras_own_id_tells_deliveries_apart() -> None:
    header = "x-atlassian-webhook-identifier"
    assert identify(_config(), _delivery(b"{}", (header, "f1a2-77"))) == "f1a2-77"
    for headers in ((), ((header, ""),), ((header, "a b"),), ((header, "x" * 256),), ((header, "a"), (header, "b"))):
        assert identify(_config(), _delivery(b"{}", *headers)) is None


def test_a_delivery_is_judged_without_a_clock() -> None:
    assert JIRA.verify is verify
    delivery = InboundDelivery((), b'{"issue": {"id": "7"}}', NOW - timedelta(days=900))
    assert parse(_config(), delivery) == Changed(("7",))
