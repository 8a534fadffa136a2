"""Every recorded delivery of GitHub and Jira, signed and sent: stored, applied or left out, none dead, none twice."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from app.services.deliveries import apply_pending
from tests.api.conftest import World, on_sqlite

SECRET = "recorded-secret"
FILE: dict[str, Any] = {
    "connections": {
        name: {"connector": "webhook", "verify": {"scheme": name, "secret": {"env": "S"}}}
        for name in ("github", "jira")
    },
    "datasets": {
        "pulls": {"connection": "github", "preset": "github.pull_requests"},
        "issues": {"connection": "github", "preset": "github.issues"},
        "tickets": {"connection": "jira", "preset": "jira.issues"},
    },
    "metrics": {
        "pulls_told": {"unit": "events", "records": {"dataset": "pulls"}, "window": "all"},
        "tickets_told": {"unit": "events", "records": {"dataset": "tickets"}, "window": "all"},
    },
    "objectives": {},
}


def signature(body: bytes) -> str:
    return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


@on_sqlite
async def test_recorded_deliveries_through_the_door(world: World, shared_data: Path) -> None:
    world.environ["S"] = SECRET
    await world.apply(**FILE)
    sent: list[tuple[str, bytes, dict[str, str]]] = []
    for group in json.loads((shared_data / "github" / "webhooks.json").read_text("utf-8")):
        for number, example in enumerate(group["examples"]):
            body = json.dumps(example).encode()
            more = {
                "x-github-event": group["name"],
                "x-github-delivery": f"{group['name']}-{number}",
                "x-hub-signature-256": signature(body),
            }
            sent.append(("github", body, more))
    for file in sorted((shared_data / "jira" / "webhooks").glob("*.json")):
        body = file.read_bytes()
        more = {"x-atlassian-webhook-identifier": file.stem, "x-hub-signature": signature(body)}
        sent.append(("jira", body, more))
    for again in (False, True):
        for name, body, more in sent:
            answer = await world.http.post(
                f"/v1/hooks/operations/{name}", content=body, headers={"content-type": "application/json", **more}
            )
            assert (answer.status_code, answer.json()["duplicate"]) == (202, again), more
        while await apply_pending(world.services):
            pass
    headers = await world.as_("read")
    items = (await world.http.get("/v1/deliveries/summary?limit=1000", headers=headers)).json()["items"]
    counts: dict[tuple[str, str], int] = {}
    for item in items:
        counts[item["dataset"], item["outcome"]] = counts.get((item["dataset"], item["outcome"]), 0) + item["count"]
    hub = sum(name == "github" for name, _, _ in sent)
    assert counts["pulls", "applied"] + counts["pulls", "ignored"] == hub
    assert counts["tickets", "applied"] + counts["tickets", "ignored"] == 37
    assert not [key for key in counts if key[1] in ("dead", "unmatched")]
    assert {"pull_request.closed", "issues.opened", "ping"} <= {item["event"] for item in items}
    for metric, dataset in (("pulls_told", "pulls"), ("tickets_told", "tickets")):
        value = (await world.http.get(f"/v1/metrics/operations/{metric}", headers=headers)).json()["value"]
        assert int(value) == counts[dataset, "applied"]
