"""A Jira Cloud with nothing to compute: every answer is joined of bytes made before.

What is measured is the reader. The first hundredth of the issues was updated last: a search for what was updated
since `CHANGED_AT` finds those. Issues come in two shapes. `lean` ones weigh 8 KB, with six histories, all of the
status: a reader gains little there by asking for less. `recorded` ones have the measures of 33 issues of a company's
site (means: 32 KB, 155 fields of which 114 are null, 16 histories of which 5 are of the status, 1.2 KB each).
"""

import argparse
import asyncio
import gzip
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import uvicorn

CHANGED_AT = 1_795_000_000_000
_GZIP_LEVEL = 6  # what servers take by themselves
_STATUSES = (("1", "Open", "new"), ("3", "In Progress", "indeterminate"), ("5", "Done", "done"))
_SMALL = ("issuetype", "project", "status", "priority", "resolution", "labels", "created", "updated")
_OTHERS = ("assignee", "Sprint", "description", "RemoteIssueLink")
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


class Shape(NamedTuple):
    """`histories` of an issue, every how many of them is of the status; how long a picture's address is; how many more
    fields are null, and how many hold a small thing."""

    histories: int
    every: int
    address: int
    nulls: int
    things: int


SHAPES = {"lean": Shape(6, 1, 0, 60, 0), "recorded": Shape(16, 3, 153, 112, 25)}


def _user(number: int, shape: Shape) -> dict[str, Any]:
    picture = f"https://avatar.example/{'initials/' * (shape.address // 9)}{number}"
    account = f"5b10a2844c20165700ed{number:04d}"
    home = {"self": f"https://acme.atlassian.net/rest/api/3/user?accountId={account}"} if shape.address else {}
    return home | {
        "accountId": account,
        "displayName": f"User {number}",
        "active": True,
        "timeZone": "Europe/Berlin",
        "avatarUrls": {size: f"{picture}?s={size}" for size in ("16x16", "24x24", "32x32", "48x48")},
    }


def _change(step: int, shape: Shape) -> dict[str, Any]:
    if step % shape.every == 0 and (shape.every == 1 or step < 5 * shape.every):
        before, after = _STATUSES[step % 3], _STATUSES[(step + 1) % 3]
        return {
            "field": "status",
            "fieldId": "status",
            "fieldtype": "jira",
            "from": before[0],
            "fromString": before[1],
            "to": after[0],
            "toString": after[1],
        }
    name = _OTHERS[step % len(_OTHERS)]
    text = _WORDS * 2
    return {"field": name, "fieldId": name, "fieldtype": "jira", "fromString": None, "to": "1", "toString": text}


def _thing(number: int) -> dict[str, Any]:
    home = "https://acme.atlassian.net/rest/api/3/customFieldOption"
    return {"self": f"{home}/{number}", "value": f"Option {number}", "id": str(number)}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Site:
    """`count` issues, as bytes."""

    def __init__(self, count: int, latency: float, shape: str = "lean", *, is_gzip: bool = False) -> None:
        self.latency = latency
        self.is_gzip = is_gzip
        self.packed: dict[tuple[str, bytes, bytes], bytes] = {}
        self.shape = SHAPES[shape]
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
        pictures = {"avatarUrls": _user(0, self.shape)["avatarUrls"]} if self.shape.address else {}
        fields: dict[str, Any] = {
            "issuetype": {"id": "10001", "name": "Task", "subtask": False, "description": "A piece of work."},
            "project": {"id": "1", "key": "ERP", "name": "Resource planning"} | pictures,
            "status": _status(number),
            "priority": {"id": "3", "name": "Medium", "iconUrl": "https://acme.atlassian.net/images/medium.svg"},
            "resolution": None,
            "labels": ["backend"],
            "created": minute,
            "updated": "2026-11-18T12:00:00.000+0000" if is_changed else minute,
            "resolutiondate": None,
            "assignee": _user(number % 40, self.shape),
            "components": [],
            "customfield_10016": number % 13 + 0.5,
        }
        self.small[id] = _json({"id": id, "key": f"ERP-{number + 1}", "fields": fields})
        histories: list[dict[str, Any]] = [
            {
                "id": str(number * 20 + step),
                "author": _user(step, self.shape),
                "created": 1_790_000_000_000 + number * 1_000 + step,
                "items": [_change(step, self.shape)],
            }
            for step in range(self.shape.histories)
        ]
        of_status = [history for history in histories if history["items"][0]["field"] == "status"]
        self.log[id] = _json({"issueId": id, "changeHistories": of_status})
        for history in histories:
            history["created"] = minute
        fields |= {
            "summary": f"Order {number}",
            "description": {"type": "doc", "version": 1, "content": [{"type": "text", "text": _WORDS * 12}]},
            "creator": _user(1, self.shape),
            "reporter": _user(2, self.shape),
            "comment": {"comments": [], "maxResults": 0, "total": 0, "startAt": 0},
            **{f"customfield_{11_000 + extra}": None for extra in range(self.shape.nulls)},
            **{f"customfield_{12_000 + extra}": _thing(extra) for extra in range(self.shape.things)},
        }
        whole = {"id": id, "key": f"ERP-{number + 1}", "self": "https://acme.atlassian.net", "fields": fields}
        count = len(histories)
        whole["changelog"] = {"startAt": 0, "maxResults": count, "total": count, "histories": histories}
        self.full[id] = _json(whole)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        path = scope["path"].replace("/rest/api/2/", "/rest/api/3/")
        headers = [(b"content-type", b"application/json")]
        if path == "/stats":
            answer = json.dumps({"requests": self.requests, "sent": self.sent}).encode()
            self.requests = self.sent = 0
        else:
            if self.latency:
                await asyncio.sleep(self.latency)
            asked = path.removeprefix("/rest/api/3"), scope["query_string"], body
            if self.is_gzip and b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b""):
                headers.append((b"content-encoding", b"gzip"))
                answer = self._packed(*asked)
            else:
                answer = self._answer(*asked)
            self.requests += 1
            self.sent += len(answer)
        headers.append((b"content-length", str(len(answer)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _packed(self, path: str, query: bytes, body: bytes) -> bytes:
        """As `_answer`, compressed when it is first asked for: that is not what is measured."""
        found = self.packed.get((path, query, body))
        if found is None:
            found = self.packed[path, query, body] = gzip.compress(self._answer(path, query, body), _GZIP_LEVEL)
        return found

    def _answer(self, path: str, query: bytes, body: bytes) -> bytes:
        request: dict[str, Any] = dict(parse_qsl(query.decode())) | (json.loads(body) if body else {})
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
            if "transitions" in request.get("expand", ""):  # one more member of each
                rows = _WithTransitions(self.full)
        start = int(request.get("nextPageToken") or request.get("startAt") or 0)
        end = start + min(int(request.get("maxResults") or 50), most)
        page = b'{"issues":[' + b",".join(rows[id] for id in found[start:end]) + b"]"
        total = b',"startAt":%d,"maxResults":100,"total":%d' % (start, len(found))
        if end >= len(found):
            return page + total + b',"isLast":true}'
        return page + total + b',"isLast":false,"nextPageToken":"%d"}' % end


class _WithTransitions(dict[str, bytes]):
    def __init__(self, full: dict[str, bytes]) -> None:
        super().__init__()
        self._full = full

    def __missing__(self, id: str) -> bytes:
        return self._full[id][:-1] + b',"transitions":[]}'


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--issues", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--shape", choices=list(SHAPES), default="lean")
    parser.add_argument("--gzip", action="store_true", help="compress answers for who asks for it, as Jira Cloud does")
    parser.add_argument("--certificate", help="PEM of a key and a certificate: https instead of http")
    options = parser.parse_args()
    site = Site(options.issues, options.latency, options.shape, is_gzip=options.gzip)
    uvicorn.run(
        site,
        host="127.0.0.1",
        port=options.port,
        log_level="error",
        lifespan="off",
        timeout_keep_alive=600,
        access_log=False,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.certificate,
    )


if __name__ == "__main__":
    main()
