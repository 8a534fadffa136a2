"""Recorded deliveries of real tools, signed, through the webhook connector and the presets' rules."""

import csv
import hashlib
import hmac
import json
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.domain.events import Rejected, compile_dataset, with_preset
from app.domain.language import DatasetSpec
from app.domain.records import Event
from connectors.contract import Event as ParsedEvent
from connectors.contract import InboundDelivery
from connectors.errors import UnexpectedResponseError
from connectors.secrets import bind
from connectors.webhook import WEBHOOK, WebhookConfig

RECEIVED = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SECRET = "recorded-secret"


def through(
    scheme: str, preset: str, body: bytes, *headers: tuple[str, str], **rules: Any
) -> tuple[tuple[Event | Rejected, ...], ParsedEvent]:
    """What a preset makes of a delivery that was verified and parsed as the tool's."""
    config = bind(
        WebhookConfig.model_validate({"verify": {"scheme": scheme, "secret": {"env": "S"}}}), lambda _: SECRET
    )
    inbound = InboundDelivery([("content-type", "application/json"), *headers], body, RECEIVED)
    assert WEBHOOK.verify is not None
    assert WEBHOOK.parse is not None
    WEBHOOK.verify(config, inbound)
    parsed = WEBHOOK.parse(config, inbound)
    assert isinstance(parsed, ParsedEvent)
    spec = with_preset(DatasetSpec(connection="tool", preset=preset, **rules), WEBHOOK.presets)
    found = compile_dataset(spec).events(
        key="d", body=parsed.body, headers=parsed.headers, received_at=RECEIVED, order=1
    )
    return found, parsed


def events(found: tuple[Event | Rejected, ...]) -> list[Event]:
    return [item for item in found if isinstance(item, Event)]


def hub(body: bytes, header: str) -> tuple[str, str]:
    return header, "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def github_examples(shared_data: Path) -> list[tuple[str, bytes]]:
    groups = json.loads((shared_data / "github" / "webhooks.json").read_text("utf-8"))
    return [(group["name"], json.dumps(example).encode()) for group in groups for example in group["examples"]]


# What each preset has to find in GitHub's own examples: the event's type there, and the object that it is about.
GITHUB = {
    "github.pull_requests": ("pull_request", "pull_request"),
    "github.issues": ("issues", "issue"),
    "github.reviews": ("pull_request_review", "pull_request"),
    "github.deployments": ("deployment", "deployment"),
    "github.workflow_runs": ("workflow_run", "workflow_run"),
}


@pytest.mark.parametrize("preset", sorted(GITHUB))
def test_github_deliveries_of_all_48_types(shared_data: Path, preset: str) -> None:
    kind, subject = GITHUB[preset]
    examples = github_examples(shared_data)
    assert len({name for name, _ in examples}) == 48
    for name, body in examples:
        headers = [("x-github-event", name), ("x-github-delivery", "d-1"), hub(body, "x-hub-signature-256")]
        found, parsed = through("github", preset, body, *headers)
        content = json.loads(body)
        assert parsed.name is not None
        assert parsed.name.startswith(name)
        if name != kind:
            assert found == (Rejected("where is false"),)
            continue
        (event,) = events(found)
        assert event.entity == str(content[subject]["id"])
        assert event.link is not None
        assert not event.at_is_receipt, content["action"]
        assert event.is_deletion is (preset == "github.issues" and content["action"] in ("deleted", "transferred"))
        if preset == "github.pull_requests":
            merged = content["action"] == "closed" and content["pull_request"]["merged"]
            assert event.event == ("merged" if merged else content["action"])
            moments = {"opened": "created_at", "closed": "closed_at"}
            expected = content["pull_request"][moments.get(content["action"], "updated_at")]
            assert event.at == datetime.fromisoformat(expected)


def test_jira_deliveries_of_all_37(shared_data: Path) -> None:
    found: Counter[str | None] = Counter()
    transitions: list[str | None] = []
    files = sorted((shared_data / "jira" / "webhooks").glob("*.json"))
    assert len(files) == 37
    for file in files:
        body = file.read_bytes()
        content = json.loads(body)
        issues, parsed = through("jira", "jira.issues", body, hub(body, "x-hub-signature"))
        moves, _ = through("jira", "jira.transitions", body, hub(body, "x-hub-signature"))
        assert parsed.name == content["webhookEvent"]
        if not content["webhookEvent"].startswith("jira:issue_"):
            assert issues == moves == (Rejected("where is false"),)
            continue
        (event,) = events(issues)
        assert event.entity == content["issue"]["id"]
        assert event.at == datetime.fromtimestamp(content["timestamp"] // 1000, UTC).replace(
            microsecond=content["timestamp"] % 1000 * 1000
        )
        found[event.event] += 1
        changed = [item for item in content.get("changelog", {}).get("items", []) if item["field"] == "status"]
        assert [move.event for move in events(moves)] == [item["toString"] for item in changed]
        transitions += [move.event for move in events(moves)]
    assert found == {"created": 5, "updated": sum(found.values()) - 5}
    assert transitions, "some of them move an issue"


def test_pagerduty_incidents(shared_data: Path) -> None:
    """Its webhooks' documented envelope around recorded incidents."""
    with (shared_data / "pagerduty" / "_raw_pagerduty_incidents.csv").open(encoding="utf-8") as file:
        incidents = [json.loads(row["data"]) for row in csv.DictReader(file)]
    assert incidents
    for incident in incidents:
        content = {
            "event": {
                "id": "01EV",
                "event_type": f"incident.{incident['status']}",
                "resource_type": "incident",
                "occurred_at": incident["last_status_change_at"],
                "data": {"type": "incident", **incident},
            }
        }
        body = json.dumps(content).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        found, _ = through("pagerduty", "pagerduty.incidents", body, ("x-pagerduty-signature", f"v1={signature}"))
        (event,) = events(found)
        assert (event.entity, event.event, event.key) == (incident["id"], incident["status"], "key:01EV")
        assert event.at == datetime.fromisoformat(incident["last_status_change_at"])


def test_gitlab_merge_requests(shared_data: Path) -> None:
    """Its webhooks' documented envelope around recorded merge requests, with either spelling of a moment."""
    with (shared_data / "gitlab" / "_raw_gitlab_api_merge_requests.csv").open(encoding="utf-8") as file:
        requests = [json.loads(row["data"]) for row in csv.DictReader(file)]
    for request in requests[:50]:
        updated = datetime.fromisoformat(request["updated_at"]).replace(microsecond=0)
        for spelling in (updated.isoformat().replace("+00:00", "Z"), updated.strftime("%Y-%m-%d %H:%M:%S UTC")):
            attributes = {"id": request["id"], "action": "merge", "updated_at": spelling, "url": request["web_url"]}
            body = json.dumps({"object_kind": "merge_request", "object_attributes": attributes}).encode()
            found, _ = through("gitlab", "gitlab.merge_requests", body, ("x-gitlab-token", SECRET))
            (event,) = events(found)
            assert (event.entity, event.event, event.at) == (str(request["id"]), "merge", updated)


def test_gitlab_deployments(shared_data: Path) -> None:
    """Its webhooks' documented envelope, whose moments have an offset of their own, around recorded deployments."""
    with (shared_data / "gitlab" / "_raw_gitlab_api_deployments.csv").open(encoding="utf-8") as file:
        recorded = [row for line in csv.DictReader(file) if "updated_at" in (row := json.loads(line["data"]))]
    assert recorded
    for deployment in recorded[:50]:
        changed = datetime.fromisoformat(deployment["updated_at"]).replace(microsecond=0)
        content = {
            "object_kind": "deployment",
            "status": deployment["status"],
            "status_changed_at": changed.astimezone(timezone(timedelta(hours=2))).strftime("%Y-%m-%d %H:%M:%S %z"),
            "deployment_id": deployment["id"],
            "deployable_url": "https://gitlab.example/acme/erp/-/jobs/796",
            "environment": deployment["environment"]["name"],
        }
        token = ("x-gitlab-token", SECRET)
        found, _ = through("gitlab", "gitlab.deployments", json.dumps(content).encode(), token)
        (event,) = events(found)
        assert (event.entity, event.event, event.at) == (str(deployment["id"]), deployment["status"], changed)


@pytest.mark.parametrize(
    ("kind", "content", "preset", "expected"),
    [
        (
            "deployment_status",
            {
                "action": "created",
                "deployment": {"id": 145988746, "created_at": "2019-05-15T15:20:53Z"},
                "deployment_status": {"state": "success", "created_at": "2019-05-15T15:21:02Z", "target_url": ""},
                "repository": {"html_url": "https://github.com/Codertocat/Hello-World"},
            },
            "github.deployments",
            ("145988746", "success", datetime(2019, 5, 15, 15, 21, 2, tzinfo=UTC)),
        ),
        (
            "release",
            {
                "action": "published",
                "release": {
                    "id": 17372790,
                    "created_at": "2019-05-15T15:19:25Z",
                    "published_at": "2019-05-15T15:20:53Z",
                },
            },
            "github.releases",
            ("17372790", "published", datetime(2019, 5, 15, 15, 20, 53, tzinfo=UTC)),
        ),
    ],
)
def test_documented_github_payloads(
    kind: str, content: dict[str, Any], preset: str, expected: tuple[str, str, datetime]
) -> None:
    body = json.dumps(content).encode()
    found, _ = through("github", preset, body, ("x-github-event", kind), hub(body, "x-hub-signature-256"))
    (event,) = events(found)
    assert (event.entity, event.event, event.at) == expected


def test_alertmanagers_repetition_is_one_event_and_its_alerts_are_many() -> None:
    def notified(*alerts: dict[str, Any]) -> list[Event]:
        body = json.dumps({"version": "4", "status": "firing", "alerts": alerts}).encode()
        bearer = ("authorization", f"Bearer {SECRET}")
        return events(through("alertmanager", "alertmanager.alerts", body, bearer)[0])

    disk = {
        "status": "firing",
        "fingerprint": "aa",
        "startsAt": "2026-11-22T08:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "labels": {"alertname": "DiskFull"},
    }
    cpu = {**disk, "fingerprint": "bb", "startsAt": "2026-11-22T08:05:00Z"}
    gone = {**disk, "status": "resolved", "endsAt": "2026-11-22T08:30:00Z"}
    first, second, third = notified(disk), notified(disk, cpu), notified(gone, cpu)
    assert [event.entity for event in second] == ["aa", "bb"]
    assert first[0].key == second[0].key
    assert second[1].key == third[1].key
    assert third[0].key != first[0].key
    assert [event.event for event in third] == ["resolved", "firing"]
    assert third[0].at == datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
    assert first[0].body == disk, "an element is what is kept"


@pytest.mark.parametrize("binary", [False, True])
def test_cloudevents_are_the_same_in_both_modes(binary: bool) -> None:
    attributes = {
        "specversion": "1.0",
        "id": "A234-1234-1234",
        "source": "https://github.com/cloudevents/spec/pull",
        "type": "com.example.someevent",
        "subject": "123",
        "time": "2018-04-05T17:31:00Z",
    }
    data = {"total": 12.5}
    body = json.dumps(data if binary else {**attributes, "data": data}).encode()
    extra = [(f"ce-{name}", value.replace(" ", "%20")) for name, value in attributes.items()] if binary else []
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    found, parsed = through("hmac-sha256", "cloudevents", body, ("x-hub-signature-256", f"sha256={digest}"), *extra)
    (event,) = events(found)
    assert (event.entity, event.event) == ("123", "com.example.someevent")
    assert event.key == "key:https://github.com/cloudevents/spec/pull A234-1234-1234"
    assert event.at == datetime(2018, 4, 5, 17, 31, tzinfo=UTC)
    assert event.body == {**attributes, "data": {"total": Decimal("12.5")}}
    assert parsed.name == "com.example.someevent"


def test_a_batch_of_cloudevents_is_an_event_of_each() -> None:
    one = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "placed", "time": "2026-11-20T09:00:00Z"}
    two = {**one, "id": "2", "subject": "PO-7", "data": {"total": 0.10}}
    body = json.dumps([one, two, {**one, "specversion": "0.3"}]).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    config = bind(
        WebhookConfig.model_validate({"verify": {"scheme": "hmac-sha256", "secret": {"env": "S"}}}), lambda _: SECRET
    )
    media = ("content-type", "application/cloudevents-batch+json; charset=UTF-8")
    inbound = InboundDelivery([media, ("x-hub-signature-256", f"sha256={digest}")], body, RECEIVED)
    assert WEBHOOK.verify is not None
    assert WEBHOOK.parse is not None
    WEBHOOK.verify(config, inbound)
    parsed = WEBHOOK.parse(config, inbound)
    assert isinstance(parsed, ParsedEvent)
    rules = {
        name: compile_dataset(with_preset(DatasetSpec(connection="tool", preset=name), WEBHOOK.presets))
        for name in ("cloudevents", "cloudevents.batch")
    }
    given: dict[str, Any] = {
        "key": "d",
        "body": parsed.body,
        "headers": parsed.headers,
        "received_at": RECEIVED,
        "order": 1,
    }
    first, second, third = rules["cloudevents.batch"].events(**given)
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert (first.entity, first.key, second.entity, second.key) == ("/shop", "key:/shop 1", "PO-7", "key:/shop 2")
    assert isinstance(second.body, dict)
    assert second.body["data"] == {"total": Decimal("0.10")}, "exact"
    assert third == Rejected("where is false")
    assert rules["cloudevents"].events(**given) == (Rejected("where is false"),)
    for wrong in (b"{}", b"1"):
        with pytest.raises(UnexpectedResponseError, match="not a list of CloudEvents"):
            WEBHOOK.parse(config, InboundDelivery([media], wrong, RECEIVED))


@pytest.mark.parametrize("name", ["ce-id", "ce-source", "ce-time"])
def test_headers_that_nobody_signs_make_no_cloudevent_of_a_known_tools_delivery(name: str) -> None:
    body = b'{"action": "opened", "pull_request": {"id": 7}}'
    attributes = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/forged", "ce-type": "forged", name: "forged"}
    found, parsed = through("github", "cloudevents", body, hub(body, "x-hub-signature-256"), *attributes.items())
    assert found == (Rejected("where is false"),)
    assert parsed.body == {"action": "opened", "pull_request": {"id": 7}}


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ({"value": 42}, [], ("value", "value")),
        ({"value": 42, "name": "nps", "at": "2026-11-20", "note": "survey"}, [], ("nps", "value")),
        ({"increment": 1}, [("idempotency-key", "k")], ("value", "increment")),
        ({"increment": 1}, [], None),
        ({"values": 42}, [], None),
    ],
)
def test_one_number_by_curl(
    body: dict[str, Any], headers: list[tuple[str, str]], expected: tuple[str, str] | None
) -> None:
    found, _ = through("bearer", "value", json.dumps(body).encode(), ("authorization", f"Bearer {SECRET}"), *headers)
    assert [(event.entity, event.event) for event in events(found)] == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("scheme", "preset", "content", "expected"),
    [
        (
            "stripe",
            "stripe.payments",
            {
                "id": "evt_1",
                "type": "payment_intent.succeeded",
                "created": 1680064028,
                "data": {"object": {"id": "pi_1"}},
            },
            ("pi_1", "payment_intent.succeeded", "key:evt_1", datetime(2023, 3, 29, 4, 27, 8, tzinfo=UTC)),
        ),
        (
            "linear",
            "linear.issues",
            {
                "type": "Issue",
                "action": "update",
                "createdAt": "2026-01-02T03:04:05.000Z",
                "data": {"id": "i-1"},
                "webhookTimestamp": int(RECEIVED.timestamp()) * 1000,
            },
            ("i-1", "update", "d", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ),
        (
            "slack",
            "slack.messages",
            {
                "type": "event_callback",
                "event_id": "Ev1",
                "event_time": 1680064028,
                "event": {"type": "message", "channel": "C1"},
            },
            ("C1", "message", "key:Ev1", datetime(2023, 3, 29, 4, 27, 8, tzinfo=UTC)),
        ),
        (
            "sentry",
            "sentry.issues",
            {"action": "resolved", "data": {"issue": {"id": "7"}}},
            ("7", "resolved", "d", datetime(2023, 3, 29, 4, 27, 8, tzinfo=UTC)),
        ),
    ],
)
def test_documented_payloads(
    scheme: str, preset: str, content: dict[str, Any], expected: tuple[str, str, str, datetime]
) -> None:
    body = json.dumps(content).encode()
    seconds = str(int(RECEIVED.timestamp()))

    def signature(signed: bytes) -> str:
        return hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()

    headers = {
        "stripe": [("stripe-signature", f"t={seconds},v1={signature(f'{seconds}.'.encode() + body)}")],
        "linear": [("linear-signature", signature(body))],
        "slack": [
            ("x-slack-request-timestamp", seconds),
            ("x-slack-signature", f"v0={signature(f'v0:{seconds}:'.encode() + body)}"),
        ],
        "sentry": [
            ("sentry-hook-resource", "issue"),
            ("sentry-hook-timestamp", "1680064028"),
            ("sentry-hook-signature", signature(body)),
        ],
    }[scheme]
    found, _ = through(scheme, preset, body, *headers)
    (event,) = events(found)
    assert (event.entity, event.event, event.key, event.at) == expected
