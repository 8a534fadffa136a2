"""A Jira Cloud with nothing to compute: every answer is joined of bytes made before.

So what is measured is the reader. Issues have all the fields that a site sends (8 KB each) and six histories. The first
hundredth of them was updated last: a search for what was updated since `CHANGED_AT` finds those.
"""

import argparse
import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

CHANGED_AT = 1_795_000_000_000
_STATUSES = (("1", "Open", "new"), ("3", "In Progress", "indeterminate"), ("5", "Done", "done"))
_SMALL = ("issuetype", "project", "status", "priority", "resolution", "labels", "created", "updated")
_WORDS = "The order was placed, the supplier confirmed it and the invoice is on its way to the desk that pays. "

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def _status(number: int) -> dict[str, Any]:
    id, name, category = _STATUSES[number % 3]
    home = "https://acme.atlassian.net"
    return {
        "self": f"{home}/rest/api/3/status/{id}",
        "description": "",
        "iconUrl": f"{home}/images/icons/statuses/generic.png",
        "name": name,
        "id": id,
        "statusCategory": {"id": 2, "key": category, "colorName": "blue-gray", "name": name},
    }


def _user(number: int) -> dict[str, Any]:
    picture = f"https://avatar.example/{number}"
    return {
        "accountId": f"5b10a2844c20165700ed{number:04d}",
        "displayName": f"User {number}",
        "active": True,
        "timeZone": "Europe/Berlin",
        "avatarUrls": {size: f"{picture}?s={size}" for size in ("16x16", "24x24", "32x32", "48x48")},
    }


class Site:
    """`count` issues, as bytes."""

    def __init__(self, count: int, latency: float) -> None:
        self.latency = latency
        self.requests = self.sent = 0
        self.ids = [str(10_000 + number) for number in range(count)]
        self.changed = self.ids[: count // 100]
        self.full: dict[str, bytes] = {}
        self.small: dict[str, bytes] = {}
        self.log: dict[str, bytes] = {}
        for number, id in enumerate(self.ids):
            self._make(number, id, is_changed=number < count // 100)
        self.id_rows = {id: b'{"id":"%s"}' % id.encode() for id in self.ids}

    def _make(self, number: int, id: str, *, is_changed: bool) -> None:
        minute = f"2026-{1 + number % 10:02d}-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}:00.000+0000"
        fields: dict[str, Any] = {
            "issuetype": {"id": "10001", "name": "Task", "subtask": False, "description": "A piece of work."},
            "project": {"id": "1", "key": "ERP", "name": "Resource planning"},
            "status": _status(number),
            "priority": {"id": "3", "name": "Medium", "iconUrl": "https://acme.atlassian.net/images/medium.svg"},
            "resolution": None,
            "labels": ["backend"],
            "created": minute,
            "updated": "2026-11-18T12:00:00.000+0000" if is_changed else minute,
            "resolutiondate": None,
            "assignee": _user(number % 40),
            "components": [],
            "customfield_10016": number % 13 + 0.5,
        }
        small = json.dumps({"id": id, "key": f"ERP-{number + 1}", "fields": fields}, separators=(",", ":")).encode()
        self.small[id] = small
        histories: list[dict[str, Any]] = [
            {
                "id": str(number * 10 + step),
                "author": _user(step),
                "created": minute,
                "items": [
                    {
                        "field": "status",
                        "fieldId": "status",
                        "fieldtype": "jira",
                        "from": _STATUSES[step % 3][0],
                        "fromString": _STATUSES[step % 3][1],
                        "to": _STATUSES[(step + 1) % 3][0],
                        "toString": _STATUSES[(step + 1) % 3][1],
                    }
                ],
            }
            for step in range(6)
        ]
        for history in histories:
            history["created"] = 1_790_000_000_000 + number * 1_000 + int(str(history["id"])) % 10
        log = {"issueId": id, "changeHistories": histories}
        self.log[id] = json.dumps(log, separators=(",", ":")).encode()
        for history in histories:
            history["created"] = minute
        fields |= {
            "summary": f"Order {number}",
            "description": {"type": "doc", "version": 1, "content": [{"type": "text", "text": _WORDS * 12}]},
            "creator": _user(1),
            "reporter": _user(2),
            **{f"customfield_{11_000 + extra}": None for extra in range(60)},
        }
        whole = {"id": id, "key": f"ERP-{number + 1}", "self": "https://acme.atlassian.net", "fields": fields}
        whole["changelog"] = {"startAt": 0, "maxResults": 6, "total": 6, "histories": histories}
        self.full[id] = json.dumps(whole, separators=(",", ":")).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        path = scope["path"].replace("/rest/api/2/", "/rest/api/3/")
        if path == "/stats":
            answer = json.dumps({"requests": self.requests, "sent": self.sent}).encode()
            self.requests = self.sent = 0
        else:
            if self.latency:
                await asyncio.sleep(self.latency)
            query = dict(parse_qsl(scope["query_string"].decode()))
            answer = self._answer(path.removeprefix("/rest/api/3"), query | (json.loads(body) if body else {}))
            self.requests += 1
            self.sent += len(answer)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, path: str, request: dict[str, Any]) -> bytes:
        match path:
            case "/search/jql" | "/search":
                return self._search(request)
            case "/issue/bulkfetch":
                rows = b",".join(self.small[id] for id in request["issueIdsOrKeys"])
                return b'{"issues":[' + rows + b'],"issueErrors":[]}'
            case "/changelog/bulkfetch":
                rows = b",".join(self.log[id] for id in request["issueIdsOrKeys"])
                return b'{"issueChangeLogs":[' + rows + b"]}"
            case "/myself":
                return b'{"accountId":"1","displayName":"Bot","timeZone":"UTC"}'
            case "/serverInfo":
                return b'{"version":"1001.0.0","versionNumbers":[1001,0,0],"deploymentType":"Cloud"}'
            case "/status":
                return json.dumps([_status(number) for number in range(3)]).encode()
            case "/field":
                named = [{"id": name, "key": name, "name": name, "custom": False} for name in _SMALL]
                return json.dumps(named).encode()
        return b"[]"

    def _search(self, request: dict[str, Any]) -> bytes:
        fields = request.get("fields") or ["id"]
        fields = fields.split(",") if isinstance(fields, str) else fields
        since = re.search(r"updated >= (\d+)", request.get("jql", ""))
        found = self.changed if since and int(since[1]) > 1_792_000_000_000 else self.ids
        rows, most = (self.id_rows, 5_000) if fields == ["id"] else (self.small, 100)
        if "*all" in fields or "*navigable" in fields:
            rows = self.full
        start = int(request.get("nextPageToken") or request.get("startAt") or 0)
        end = start + min(int(request.get("maxResults") or 50), most)
        page = b'{"issues":[' + b",".join(rows[id] for id in found[start:end]) + b"]"
        total = b',"startAt":%d,"maxResults":100,"total":%d' % (start, len(found))
        if end >= len(found):
            return page + total + b',"isLast":true}'
        return page + total + b',"isLast":false,"nextPageToken":"%d"}' % end


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--issues", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    options = parser.parse_args()
    site = Site(options.issues, options.latency)
    uvicorn.run(site, host="127.0.0.1", port=options.port, log_level="error", lifespan="off", access_log=False)


if __name__ == "__main__":
    main()
