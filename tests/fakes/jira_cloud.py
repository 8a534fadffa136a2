"""A small Jira Cloud, after Atlassian's OpenAPI document of REST API v3: an ASGI app over issues in memory.

In a test: `httpx.ASGITransport(JiraCloudFake.of(site))`. As a server on loopback:

    python -m tests.fakes.jira_cloud --port 8089 --fluid ../shared/data/jira/fluid-issues-to-2012.ndjson

Page sizes, limits and refusals are Atlassian's. A credential that is not right makes the caller a stranger, who sees no
issue and is told so by a header, as the real one does; only `myself` answers 401.
"""

import argparse
import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import uvicorn

from tests.fakes import jira_jql
from tests.fakes.jira_faults import Answer, Fault
from tests.fakes.jira_issues import Json, SiteData, load_devlake, load_fluid, status_change
from tests.fakes.jira_streams import Worklogs, moment_text

API = "/rest/api/3"
AGILE = "/rest/agile/1.0"
EMAIL = "bot@acme.example"
TOKEN = "fake-api-token"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class _RefusedError(Exception):
    def __init__(self, status: int, *words: str) -> None:
        super().__init__(*words)
        self.status = status
        self.words = words


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    is_known: bool


class JiraCloudFake:
    """The site. `requests` holds what was asked, `faults` what is to go wrong, `now` is its clock."""

    def __init__(
        self,
        issues: Sequence[Json],
        statuses: Sequence[Json],
        fields: Sequence[Json],
        zone: str = "UTC",
        *,
        page_size: int = 100,
        ids_page_size: int = 5_000,
        changelog_page_size: int = 10_000,
        email: str = EMAIL,
        token: str = TOKEN,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.issues: dict[str, Json] = {issue["id"]: issue for issue in issues}
        self.statuses = list(statuses)
        self.fields = list(fields)
        self.zone = zone
        self.page_size = page_size
        self.ids_page_size = ids_page_size
        self.changelog_page_size = changelog_page_size
        self.now = now
        self.requests: list[Recorded] = []
        self.faults: list[Fault] = []
        self._credential = "Basic " + base64.b64encode(f"{email}:{token}".encode()).decode()
        self._tokens: dict[str, tuple[list[Any], int]] = {}
        #: How long the index of the search lags behind the issues; what it still has of those that changed since.
        self.index_lag = timedelta(0)
        self._stale: dict[str, list[tuple[datetime, Json | None]]] = {}
        #: Keys of projects that the account may not browse.
        self.hidden_projects: set[str] = set()
        #: Keys of projects that are `archived` or `deleted`, which only an administrator's account is told of.
        self.gone_projects: dict[str, str] = {}
        self.is_administrator = False
        #: Keys that projects went by once, and what they go by now.
        self.former_keys: dict[str, str] = {}
        self.boards: dict[int, Json] = {}
        self.sprints: dict[int, Json] = {}
        self.worklogs = Worklogs(self.issues, lambda: self.now())
        self.filters: dict[str, str] = {}

    @classmethod
    def of(cls, site: SiteData, **options: Any) -> "JiraCloudFake":
        """A fake of loaded issues; `options` as for the constructor."""
        return cls(site.issues, site.statuses, site.fields, site.zone, **options)

    def count(self, path: str | None = None) -> int:
        """How many requests came, to `path` or at all."""
        return sum(path in (None, request.path) for request in self.requests)

    # --- what people do on the site -------------------------------------------------------------------------------

    def named(self, key: str) -> Json:
        """The issue with this key."""
        return next(issue for issue in self.issues.values() if issue["key"] == key)

    def edit(self, key: str, at: datetime, **fields: Any) -> None:
        """Set fields (by Jira's ids) of an issue at a moment."""
        issue = self.named(key)
        self._outdate(issue["id"], at)
        issue["fields"].update(fields, updated=moment_text(at))

    def create(self, issue: Json, at: datetime) -> None:
        """Add an issue at a moment."""
        self._outdate(issue["id"], at)
        self.issues[issue["id"]] = issue

    def delete(self, key: str, at: datetime) -> None:
        """Delete an issue at a moment."""
        issue = self.named(key)
        self._outdate(issue["id"], at)
        del self.issues[issue["id"]]
        self.worklogs.drop_with_issue(issue["id"])

    def move_to_project(self, key: str, project: Json, new_key: str, at: datetime) -> None:
        """Move an issue to another project, where it gets another key; its id stays."""
        self.edit(key, at, project=project)
        self.named(key)["key"] = new_key

    def rename_project(self, key: str, new_key: str) -> None:
        """Give a project another key: its issues get new keys, and none of them counts as updated."""
        self.former_keys[key] = new_key
        for issue in self.issues.values():
            project, _, number = issue["key"].rpartition("-")
            if project == key:
                issue["key"] = f"{new_key}-{number}"
                issue["fields"]["project"] = {**issue["fields"]["project"], "key": new_key}

    def _outdate(self, id: str, at: datetime) -> None:
        if self.index_lag:
            before = self.issues.get(id)
            kept = None if before is None else {**before, "fields": dict(before["fields"])}
            self._stale.setdefault(id, []).append((at + self.index_lag, kept))

    def _indexed(self, visible: Mapping[str, Json], reconciled: set[str]) -> dict[str, Json]:
        """What the search knows: issues as they were when it last looked, those that are reconciled as they are."""
        found = dict(visible)
        for id, changes in self._stale.items():
            known = next(((before,) for indexed_at, before in changes if indexed_at > self.now()), None)
            if known is None or id in reconciled:
                continue
            found.pop(id, None)
            if known[0] is not None and _project(known[0]) not in self.hidden_projects:
                found[id] = known[0]
        return found

    def move(self, key: str, name: str, at: datetime) -> None:
        """Move an issue to the status of this name at a moment, with its history."""
        issue = self.named(key)
        after = next(status for status in self.statuses if status["name"] == name)
        last = max((int(history["id"]) for one in self.issues.values() for history in one["changelog"]), default=0)
        history = status_change(last + 1, moment_text(at), issue["fields"]["status"], after)
        issue["changelog"].append(history)
        self.edit(key, at, status=after)

    # --- ASGI -----------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        answer = await self._answer(scope["method"], scope["path"], query, body, headers)
        raw = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(
        self, method: str, path: str, query: dict[str, str], body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        credential = headers.get("authorization")
        is_known = credential == self._credential
        try:
            given = json.loads(body) if body else None
        except ValueError:
            given = body
        self.requests.append(Recorded(method, path, query, given, is_known))
        met = [fault for fault in self.faults if fault.meets(path)]
        try:
            answer = Answer(200, json.dumps(self._resource(method, path, query, given, is_known)).encode())
        except _RefusedError as refused:
            answer = Answer(refused.status, json.dumps({"errorMessages": refused.words, "errors": {}}).encode())
        extra = {"date": format_datetime(self.now().astimezone(UTC), usegmt=True)}
        if credential is not None and not is_known:
            extra["x-seraph-loginreason"] = "AUTHENTICATED_FAILED"
        answer = Answer(answer.status, answer.body, {**answer.headers, **extra})
        for fault in met:
            if fault.until is not None:
                await fault.until.wait()
            answer = fault.change(answer)
        return answer

    def _resource(self, method: str, path: str, query: dict[str, str], body: Any, is_known: bool) -> Any:
        if path in ("/rest/api/2/search", f"{API}/search"):
            raise _RefusedError(410, "The requested API has been removed. Please migrate to /rest/api/3/search/jql.")
        visible = self.issues if is_known else {}
        if self.hidden_projects:
            visible = {id: one for id, one in visible.items() if _project(one) not in self.hidden_projects}
        if path == "/rest/api/2/serverInfo":
            path = f"{API}/serverInfo"
        if path.startswith(AGILE):
            return self._board(path.removeprefix(AGILE), query)
        match method, path.removeprefix(API).split("/")[1:]:
            case "GET", ["myself"]:
                if not is_known:
                    raise _RefusedError(401, "Client must be authenticated to access this resource.")
                return {"accountId": "5b10a2844c20165700ede21g", "displayName": "Bot", "timeZone": self.zone}
            case "GET", ["serverInfo"]:
                return {
                    "baseUrl": "https://acme.atlassian.net",
                    "version": "1001.0.0-SNAPSHOT",
                    "versionNumbers": [1001, 0, 0],
                    "deploymentType": "Cloud",
                    "buildNumber": 100_290,
                    "serverTitle": "Acme Jira",
                }
            case "GET", ["field"]:
                return self.fields
            case "GET", ["status"]:
                return self.statuses
            case "GET", ["project"]:
                projects = {issue["fields"]["project"]["id"]: issue["fields"]["project"] for issue in visible.values()}
                return list(projects.values())
            case "POST", ["search", "jql"]:
                return self._search(
                    _bean(body, {"jql", "fields", "maxResults", "nextPageToken", "expand", "reconcileIssues"}), visible
                )
            case "POST", ["search", "approximate-count"]:
                return {"count": len(self._matching(_bean(body, {"jql"}).get("jql"), visible))}
            case "POST", ["issue", "bulkfetch"]:
                return self._issues(_bean(body, {"issueIdsOrKeys", "fields", "expand"}), visible)
            case "GET", ["project", "search"]:
                return self._gone_projects(query)
            case "GET", ["project", key]:
                key = self.former_keys.get(key, key)
                project = next((one for one in visible.values() if _project(one) == key), None)
                if project is None:
                    raise _RefusedError(404, f"No project could be found with key '{key}'.")
                return project["fields"]["project"]
            case "POST", ["changelog", "bulkfetch"]:
                keys = {"issueIdsOrKeys", "fieldIds", "maxResults", "nextPageToken"}
                return self._changelogs(_bean(body, keys), visible)
            case "GET", ["issue", name, "changelog"]:
                return self._changelog(name, query, visible)
            case _, ["worklog", *_] | ["issue", _, "worklog"]:
                return self._worklogs(path, query, body, visible)
        raise _RefusedError(404, "No such resource.")

    # --- resources ------------------------------------------------------------------------------------------------

    def _worklogs(self, path: str, query: Mapping[str, str], body: Any, visible: Mapping[str, Json]) -> Any:
        match path.split("/")[4:]:
            case ["worklog", "updated" | "deleted" as what]:
                return self.worklogs.changed(what, int(query.get("since", 0)))
            case ["worklog", "list"]:
                ids = _bean(body, {"ids"}).get("ids") or []
                if not 1 <= len(ids) <= 1_000:
                    raise _RefusedError(400, "Between 1 and 1000 worklog ids are required.")
                return self.worklogs.listed(ids)
            case ["issue", issue, "worklog"] if issue in visible:
                return self.worklogs.of_issue(issue, int(query.get("startAt", 0)), int(query.get("maxResults", 5_000)))
        raise _RefusedError(404, "Issue does not exist or you do not have permission to see it.")

    def _board(self, path: str, query: Mapping[str, str]) -> Json:
        if path == "/board":
            wanted, project = query.get("name", "").casefold(), query.get("projectKeyOrId")
            found = [one for one in self.boards.values() if wanted in one["name"].casefold()]
            found = [one for one in found if project in (None, one.get("project"))]
            start = int(query.get("startAt", 0))
            names = ("id", "name", "type")
            values = [{name: one[name] for name in names if name in one} for one in found[start : start + 50]]
            return {"startAt": start, "maxResults": 50, "isLast": start + 50 >= len(found), "values": values}
        if path.startswith("/sprint/"):
            number = path.removeprefix("/sprint/")
            if number.isdigit() and int(number) in self.sprints:
                return self.sprints[int(number)]
            raise _RefusedError(404, "The sprint does not exist or you do not have permission to view it.")
        number, _, part = path.removeprefix("/board/").partition("/")
        board = self.boards.get(int(number)) if number.isdigit() else None
        if part == "sprint" and board is not None:
            return self._sprints(board, query)
        if board is None:
            raise _RefusedError(
                404, "The requested board cannot be viewed because it either does not exist or you do not"
            )
        shown = {"subQuery": {"query": board["shows"]}} if "shows" in board else {}
        return {"id": board["id"], "name": board["name"], "filter": {"id": board["filter"]}, **shown}

    def _sprints(self, board: Json, query: Mapping[str, str]) -> Json:
        if not board.get("has_sprints", board.get("type") != "kanban"):
            raise _RefusedError(400, "The board does not support sprints")
        shown = board.get("sprints")
        order = ("closed", "active", "future")
        found = [
            one
            for one in sorted(self.sprints.values(), key=lambda one: (order.index(one["state"]), one["id"]))
            if (one["originBoardId"] == board["id"] if shown is None else one["id"] in shown)
        ]
        start, size = int(query.get("startAt", 0)), min(int(query.get("maxResults", 50)), 50)
        page = found[start : start + size]
        return {"startAt": start, "maxResults": size, "isLast": start + size >= len(found), "values": page}

    def _gone_projects(self, query: Mapping[str, str]) -> Json:
        """Projects in the recycle bin or the archive, of which an administrator is told."""
        found = [
            {"id": "7", "key": key, "name": key, fate: True}
            for key, fate in self.gone_projects.items()
            if self.is_administrator and key == query.get("keys")
        ]
        return {"startAt": 0, "maxResults": 1, "total": len(found), "isLast": True, "values": found}

    def _issues(self, request: Json, visible: Mapping[str, Json]) -> Json:
        names = request.get("issueIdsOrKeys") or []
        if not 1 <= len(names) <= 100:
            raise _RefusedError(400, "Between 1 and 100 issue ids or keys are required.")
        wanted = set(names)
        found = {id: visible[id] for id in wanted if id in visible}
        if len(found) < len(wanted):
            found |= {id: one for id, one in visible.items() if one["key"] in wanted}
        fields = request.get("fields") or ["*navigable"]
        return {"issues": [_projected(found[id], fields) for id in sorted(found, key=int)], "issueErrors": []}

    def _matching(self, jql: Any, visible: Mapping[str, Json]) -> list[Json]:
        projects = [issue["fields"]["project"] for issue in visible.values()]
        site = jira_jql.Site(
            ZoneInfo(self.zone),
            self.now(),
            frozenset(str(one[key]).casefold() for one in projects for key in ("id", "key", "name")),
            frozenset(str(one[key]).casefold() for one in self.statuses for key in ("id", "name")),
            frozenset(issue["id"] for issue in visible.values()),
            self.filters,
        )
        try:
            query = jira_jql.parse(str(jql or ""), site)
        except jira_jql.JqlError as error:
            raise _RefusedError(400, str(error)) from error
        found: list[Any] = [issue for issue in visible.values() if query.matches(issue)]
        query.order(found)
        return found

    def _search(self, request: Json, visible: Mapping[str, Json]) -> Json:
        size = request.get("maxResults", 50)
        if not isinstance(size, int) or not 1 <= size <= 5_000:
            raise _RefusedError(400, "The maxResults parameter must be between 1 and 5,000.")
        fields = request.get("fields") or ["id"]
        is_ids = set(fields) <= {"id", "key"}
        token = request.get("nextPageToken")
        reconciled = request.get("reconcileIssues") or []
        if len(reconciled) > 50:
            raise _RefusedError(400, "At most 50 issues can be reconciled.")
        if token:
            found, start = self._continued(token)
        else:
            indexed = self._indexed(visible, {str(one) for one in reconciled})
            found, start = self._matching(request.get("jql"), indexed), 0
        end = start + min(size, self.ids_page_size if is_ids else self.page_size)
        issues = [_projected(issue, fields) for issue in found[start:end]]
        if end >= len(found):
            return {"issues": issues, "isLast": True}
        return {"issues": issues, "isLast": False, "nextPageToken": self.page_token(found, end)}

    def _changelogs(self, request: Json, visible: Mapping[str, Json]) -> Json:
        names, fields = request.get("issueIdsOrKeys") or [], request.get("fieldIds") or []
        size = request.get("maxResults", 1_000)
        if not 1 <= len(names) <= 1_000:
            raise _RefusedError(400, "Between 1 and 1000 issue ids or keys are required.")
        if len(fields) > 10 or len(set(fields)) != len(fields):
            raise _RefusedError(400, "At most 10 different field ids can be given.")
        if not isinstance(size, int) or not 1 <= size <= 10_000:
            raise _RefusedError(400, "The maxResults parameter must be between 1 and 10,000.")
        token = request.get("nextPageToken")
        if token:
            found, start = self._continued(token)
        else:
            wanted = set(names)
            found, start = (
                sorted(
                    (
                        (jira_jql.moment(history["created"]), int(issue["id"]), history)
                        for issue in visible.values()
                        if issue["id"] in wanted or issue["key"] in wanted
                        for history in issue["changelog"]
                        if not fields or any(item.get("fieldId", item["field"]) in fields for item in history["items"])
                    ),
                    key=lambda change: change[:2],
                ),
                0,
            )
        end = start + min(size, self.changelog_page_size)
        logs: dict[str, list[Json]] = {}
        for at, issue_id, history in found[start:end]:
            # Numbers, as in the document's example of this resource; its schema says a string.
            created = int(at.timestamp()) * 1_000 + at.microsecond // 1_000
            logs.setdefault(str(issue_id), []).append({**history, "created": created})
        page: Json = {"issueChangeLogs": [{"issueId": id, "changeHistories": one} for id, one in logs.items()]}
        if end < len(found):
            page["nextPageToken"] = self.page_token(found, end)
        return page

    def _changelog(self, name: str, query: Mapping[str, str], visible: Mapping[str, Json]) -> Json:
        issue = next((one for one in visible.values() if name in (one["id"], one["key"])), None)
        if issue is None:
            raise _RefusedError(404, "Issue does not exist or you do not have permission to see it.")
        try:
            start, size = int(query.get("startAt", 0)), min(int(query.get("maxResults", 100)), 100)
        except ValueError as error:
            raise _RefusedError(400, "startAt and maxResults are integers.") from error
        values = issue["changelog"][start : start + size]
        is_last = start + size >= len(issue["changelog"])
        return {
            "startAt": start,
            "maxResults": size,
            "total": len(issue["changelog"]),
            "isLast": is_last,
            "values": values,
        }

    def page_token(self, found: list[Any], start: int = 0) -> str:
        """A token for the rest of `found`."""
        token = base64.urlsafe_b64encode(f"page-{len(self._tokens)}".encode()).decode()
        self._tokens[token] = (found, start)
        return token

    def _continued(self, token: Any) -> tuple[list[Any], int]:
        if token not in self._tokens:
            raise _RefusedError(400, "The provided nextPageToken is invalid or has expired.")
        return self._tokens[token]


def _project(issue: Json) -> Any:
    return issue["fields"]["project"]["key"]


def _bean(body: Any, keys: set[str]) -> Json:
    if not isinstance(body, dict) or not keys.issuperset(body):
        raise _RefusedError(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    return body


def _projected(issue: Json, fields: Sequence[str]) -> Json:
    if set(fields) == {"id"}:
        return {"id": issue["id"]}
    every = {"*all", "*navigable"} & set(fields)
    found = {name: value for name, value in issue["fields"].items() if every or name in fields}
    url = f"https://acme.atlassian.net{API}/issue/{issue['id']}"
    return {"id": issue["id"], "key": issue["key"], "self": url, "fields": found}


def main() -> None:
    """Serve a fake on loopback until it is stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--fluid", type=Path, help="the FLUID tracker's ndjson file")
    source.add_argument("--devlake", type=Path, help="the folder with DevLake's recorded tables")
    parser.add_argument("--email", default=EMAIL)
    parser.add_argument("--token", default=TOKEN)
    options = parser.parse_args()
    site = load_fluid(options.fluid) if options.fluid else load_devlake(options.devlake)
    fake = JiraCloudFake.of(site, email=options.email, token=options.token)
    server = uvicorn.Server(
        uvicorn.Config(fake, host="127.0.0.1", port=options.port, log_level="warning", lifespan="off")
    )
    asyncio.run(server.serve())


if __name__ == "__main__":
    main()
