"""A secret never leaves: looked for in every answer of the API, in all that `up` says, and in all that it writes."""

import asyncio
import base64
import itertools
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.fakes.jira_cloud import API, EMAIL, JiraCloudFake
from tests.fakes.jira_faults import status
from tests.fakes.jira_issues import load_devlake
from tests.faults.payments import items
from tests.journeys.running import RunningKrsync, eventually, on_loopback, running
from tests.journeys.support import signed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

JIRA_TOKEN = "canary-of-the-jira-token-9f2c"
ERP_KEY = b"canary of the erp secret 71bd.."
ERP_SECRET = "whsec_" + base64.b64encode(ERP_KEY).decode()
BEARER = "canary-of-the-bearer-token-5ac0"
SEALED = "canary-of-the-sealed-token-d113"
STREAM = "/v1/live"

FILE = """
version: 1
team: vault
connections:
  jira: {{connector: jira, url: "{url}", email: {email}, token: {{env: JIRA_TOKEN}}}}
  erp: {{connector: webhook, verify: {{scheme: standard-webhooks, secret: {{env: ERP_SECRET}}}}}}
  door: {{connector: webhook, verify: {{scheme: bearer, secret: {{env: DOOR_TOKEN}}}}}}
  sealed: {{connector: jira, url: "{url}", email: {email}, token: {{sealed: token}}}}
datasets:
  issues: {{connection: jira, jql: "project = EE"}}
  orders: {{connection: erp, entity: body.id, event: body.kind}}
  visits: {{connection: door, entity: body.id, event: body.kind}}
metrics:
  issues: {{unit: issues, records: {{dataset: issues}}, aggregate: count}}
  orders: {{unit: orders, records: {{dataset: orders}}, aggregate: count}}
  visits: {{unit: visits, records: {{dataset: visits}}, aggregate: count}}
  refused: {{unit: issues, query: {{connection: sealed, jql: "project = EE"}}}}
objectives:
  quiet:
    title: Quiet
    cycle: {cycle}
    key_results:
      issues: {{metric: issues, baseline: 0, target: 50}}
      orders: {{metric: orders, baseline: 0, target: 50}}
      visits: {{metric: visits, baseline: 0, target: 50}}
      refused: {{metric: refused, baseline: 0, target: 50}}
"""

#: What a path of the API may be filled with.
NAMES: Mapping[str, tuple[str, ...]] = {
    "/v1/key-results": ("issues", "orders", "visits", "refused"),
    "/v1/objectives": ("quiet",),
    "/v1/metrics": ("issues", "orders", "refused"),
    "/v1/datasets": ("issues", "orders", "visits"),
    "/v1/connections": ("jira", "erp", "door", "sealed"),
    "/badge": ("issues", "refused"),
}


async def test_no_secret_is_ever_seen_again(tmp_path: Path, shared_data: Path) -> None:
    site = JiraCloudFake.of(load_devlake(shared_data / "jira" / "devlake"), token=JIRA_TOKEN)
    # A proxy that repeats the request in its refusal, for one run: histories that are refused are asked for once more,
    # of the issues that are still there. The sealed token is refused at every time.
    echo = f"Bad request: Authorization: Basic {basic(JIRA_TOKEN)} ({JIRA_TOKEN})"
    site.faults.append(status(f"{API}/changelog/bulkfetch", 400, words=echo, times=2))
    environ = {
        "JIRA_TOKEN": JIRA_TOKEN,
        "ERP_SECRET": ERP_SECRET,
        "DOOR_TOKEN": BEARER,
        "KRSYNC_OUTBOUND_ALLOW": "127.0.0.0/8",
    }
    async with on_loopback(site) as url, running(tmp_path, **environ) as krsync, krsync.client() as http:
        answers = await live(krsync, http, url)
        secrets = needles(krsync, await new_token(http))
        answers += await read_everything(http)
        answers.append(await stream(http, until=b"event: ready"))
        told = [run["error"] for run in await items(http, "/v1/runs") if run["error"]]
        said = [
            await krsync.command(*line) for line in (("status",), ("doctor",), ("export", "vault"), ("token", "list"))
        ]
        seen = {f"{answer.request.method} {answer.request.url}": whole(answer) for answer in answers}
        seen |= {f"the command's output {number}": one.out.encode() for number, one in enumerate(said)}
        while_running = files(krsync)
        assert await krsync.stop() == 0
    seen |= {f"{name} while it runs": content for name, content in while_running.items()} | files(krsync)
    found = {(secret, place) for place, content in seen.items() for secret, text in secrets.items() if text in content}
    assert found == set(), f"{len(found)} of {len(secrets) * len(seen)} looks"
    assert {"krsync.db", "up.log"} <= set(seen)
    assert any(name.endswith(".aof") for name in seen), sorted(seen)
    # They were all in use, or not finding them would say nothing.
    assert "Jira does not accept the token: it is wrong, expired or revoked, or not this account's." in told
    assert any(error.startswith("Jira refuses the query: Bad request") for error in told), told


async def live(krsync: RunningKrsync, http: httpx.AsyncClient, url: str) -> list[httpx.Response]:
    """A team's life with its secrets, good requests and bad ones; every answer."""
    file = FILE.format(url=url, email=EMAIL, cycle=datetime.now(UTC).year)
    yaml = {"content-type": "application/yaml"}
    literal = file.replace("{sealed: token}", SEALED).encode()
    answers = [
        await http.post("/v1/teams/vault/apply", content=file, headers=yaml),
        await http.put("/v1/connections/vault/sealed/secrets/token", json={"value": SEALED}),
        await http.post("/v1/teams/vault/plan", content=literal, headers=yaml),
        await http.post("/v1/connections/vault/jira/check"),
        await http.post("/v1/connections/vault/sealed/check"),
        await http.put("/v1/connections/vault/sealed/secrets/token", json={"value": SEALED, "more": SEALED}),
        await http.get("/v1/key-results", params={"q": JIRA_TOKEN}),
        await http.get("/v1/key-results", params={JIRA_TOKEN: "x", "limit": SEALED}),
        await http.get("/v1/key-results", headers={"Authorization": f"Bearer {JIRA_TOKEN}"}),
        await http.get(f"/v1/{JIRA_TOKEN}"),
    ]
    body = b'{"id": "1", "kind": "seen"}'
    now = datetime.now(UTC)
    for secret in (ERP_SECRET, "whsec_" + base64.b64encode(b"another one").decode()):
        headers = signed("msg_1", body, now, secret)
        answers.append(await http.post("/v1/hooks/vault/erp", content=body, headers=headers))
    for token in (BEARER, SEALED):
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        answers.append(await http.post("/v1/hooks/vault/door", content=body, headers=headers))
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 200, 422, 200, 200, 422, 200, 422, 401, 404, 202, 401, 202, 401], statuses

    async def refused() -> bool:
        runs = await items(http, "/v1/runs")
        return len({run["error"] for run in runs if run["outcome"] == "failed"}) == 2

    await eventually("Jira refused twice", refused)
    assert (await http.post("/v1/metrics/vault/issues/refresh")).status_code == 202

    async def counted() -> bool:
        values = {one["id"]: one["value"] for one in await items(http, "/v1/key-results")}
        return values == {"vault/issues": "30", "vault/orders": "1", "vault/visits": "1", "vault/refused": None}

    await eventually("what may be read is read", counted)
    return answers


async def stream(http: httpx.AsyncClient, *, until: bytes) -> httpx.Response:
    """What the stream of changes, which has no end, tells up to the end of the event with `until` in it."""
    async with asyncio.timeout(240), http.stream("GET", STREAM) as answer:
        content = b""
        async for chunk in answer.aiter_bytes():
            content += chunk
            if b"\n\n" in content.partition(until)[2]:
                break
        assert until in content, content
        return httpx.Response(answer.status_code, headers=answer.headers, content=content, request=answer.request)


async def read_everything(http: httpx.AsyncClient) -> list[httpx.Response]:
    """Every GET of the API that has an end, of everything there is."""
    document = (await http.get("/openapi.json")).json()
    operations = {path: methods["get"] for path, methods in document["paths"].items() if "get" in methods}
    endless = [path for path, get in operations.items() if "text/event-stream" in get["responses"]["200"]["content"]]
    assert endless == [STREAM]
    templates = [path for path in operations if path not in endless]
    assert len(templates) > 20
    paths = ["/", "/docs", "/openapi.json", "/v1/runs?limit=1000", "/v1/deliveries?limit=1000"]
    year = str(datetime.now(UTC).year)
    for template in (one.replace("{cycle}", year).replace("{id}", "1") for one in templates):
        names = next((names for prefix, names in NAMES.items() if template.startswith(prefix)), ("",))
        paths += [template.replace("{team}", "vault").replace("{name}", name) for name in names]
    assert not any("{" in path for path in paths), paths
    answers = [await http.get(path) for path in dict.fromkeys(paths)]
    odd = {one.url.path: one.status_code for one in answers if one.status_code != 200}
    # The root leads to the dashboard; what can not be discovered says so; no history was asked for. All else is there.
    assert (odd.pop("/"), odd.pop("/v1/teams/vault/backfill/1")) == (303, 404)
    assert all("/discover" in path for path in odd), odd
    answers += [await http.get(answers[0].headers["location"])]
    assert answers[-1].status_code == 200
    return answers


async def new_token(http: httpx.AsyncClient) -> str:
    """A token made under an idempotency key: its text is told once."""
    headers = {"idempotency-key": "the-only-one"}
    first, again = [
        await http.post("/v1/tokens", json={"name": "ci", "scopes": ["read"]}, headers=headers) for _ in range(2)
    ]
    assert (first.status_code, again.json()["token"]) == (201, None)
    return str(first.json()["token"])


def needles(krsync: RunningKrsync, token: str) -> dict[str, bytes]:
    """Every secret in every shape it is used in."""
    key = (krsync.data / "secret-key").read_text().strip()
    texts = {
        "jira token": JIRA_TOKEN,
        "erp secret": ERP_SECRET.removeprefix("whsec_"),
        "bearer token": BEARER,
        "sealed token": SEALED,
        "admin token": krsync.token,
        "new token": token,
        "key": key,
    }
    shapes = {name: text.encode() for name, text in texts.items()}
    shapes |= {f"{name} in base64": base64.b64encode(text).rstrip(b"=") for name, text in shapes.items()}
    shapes |= {f"{name} for Jira": basic(texts[name]).rstrip("=").encode() for name in ("jira token", "sealed token")}
    return shapes | {"erp key": ERP_KEY, "key as bytes": bytes.fromhex(key)}


def basic(token: str) -> str:
    return base64.b64encode(f"{EMAIL}:{token}".encode()).decode()


def whole(answer: httpx.Response) -> bytes:
    return b"\n".join([*itertools.chain(*answer.headers.raw), answer.content])


def files(krsync: RunningKrsync) -> dict[str, bytes]:
    """All that was written, but for the two files that are there to hold a secret."""
    found = {
        str(path.relative_to(krsync.data)): path.read_bytes()
        for path in krsync.data.rglob("*")
        if path.is_file() and path.name not in ("admin-token", "secret-key")
    }
    return found | {"up.log": krsync.log.read_bytes()}
