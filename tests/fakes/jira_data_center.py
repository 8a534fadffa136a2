"""A small Jira Data Center 8.20 over the issues of `JiraCloudFake`: REST API version 2, pages by number, exact totals.

A search cuts histories where `inline_histories` says so; an issue alone has its whole history unless `issue_histories`
cuts that too. `on_page` is called before each page of a search, to move issues while they are read.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.fakes.jira_cloud import AGILE, JiraCloudFake, _project, _projected, _RefusedError
from tests.fakes.jira_issues import Json

API = "/rest/api/2"
TOKEN = "fake-personal-access-token"


class JiraDataCenterFake(JiraCloudFake):
    """The server. `most_rows` is what its administrator allows a page."""

    def __init__(self, issues: Sequence[Json], *rest: Any, most_rows: int = 1_000, **options: Any) -> None:
        super().__init__(issues, *rest, **options)
        self._credential = f"Bearer {TOKEN}"
        self.most_rows = most_rows
        self.inline_histories: int | None = None
        self.issue_histories: int | None = None
        self.knows_changelogs = True
        self.on_page: Callable[[], None] = lambda: None
        self.version = [8, 20, 8]

    def _resource(self, method: str, path: str, query: dict[str, str], body: Any, is_known: bool) -> Any:
        if path.startswith(AGILE) and is_known:
            return self._board(path.removeprefix(AGILE), query)
        if not path.startswith(API):
            raise _RefusedError(404, "No such resource.")
        if not is_known and not path.endswith("/serverInfo"):
            raise _RefusedError(401, "You are not authenticated. Authentication required to perform this operation.")
        match method, path.removeprefix(API).split("/")[1:]:
            case "GET", ["serverInfo"]:
                return {
                    "baseUrl": "https://jira.acme.example",
                    "version": ".".join(map(str, self.version)),
                    "versionNumbers": self.version,
                    "deploymentType": "Server",
                    "serverTitle": "Acme Jira",
                }
            case "GET", ["myself"]:
                return {"name": "bot", "key": "JIRAUSER10100", "displayName": "Bot", "timeZone": self.zone}
            case "GET", ["field" | "status" | "project", *_]:
                return super()._resource(method, f"/rest/api/3{path.removeprefix(API)}", query, body, is_known)
            case "GET", ["search"]:
                return self._numbered(query, query.get("fields", "").split(","), query.get("expand", ""))
            case "POST", ["search"]:
                return self._numbered(body, body.get("fields", []), ",".join(body.get("expand", [])))
            case "GET", ["issue", name]:
                issue = self._issue(name)
                found = _projected(issue, query.get("fields", "").split(",")) | {"fields": self._fields(issue, query)}
                return found | {"changelog": self._log(issue, self.issue_histories)}
            case "GET", ["issue", name, "changelog"] if self.knows_changelogs:
                issue, start = self._issue(name), int(query.get("startAt", 0))
                values = issue["changelog"][start : start + int(query.get("maxResults", 100))]
                return {"startAt": start, "total": len(issue["changelog"]), "values": values}
            case _, ["worklog", *_] | ["issue", _, "worklog"]:
                visible = {id: one for id, one in self.issues.items() if _project(one) not in self.hidden_projects}
                return self._worklogs(path, query, body, visible)
        raise _RefusedError(404, "No such resource.")

    def _issue(self, name: str) -> Json:
        found = next((one for one in self.issues.values() if name in (one["id"], one["key"])), None)
        if found is None or found["fields"]["project"]["key"] in self.hidden_projects:
            raise _RefusedError(404, "Issue Does Not Exist")
        return found

    def _fields(self, issue: Json, query: Mapping[str, str]) -> Json:
        names = query.get("fields", "").split(",")
        return {name: value for name, value in issue["fields"].items() if name in names}

    def _log(self, issue: Json, most: int | None) -> Json:
        histories = issue["changelog"]
        kept = histories if most is None else histories[-most:]
        return {"startAt": 0, "maxResults": len(kept), "total": len(histories), "histories": kept}

    def _numbered(self, request: Mapping[str, Any], fields: Sequence[str], expand: str) -> Json:
        self.on_page()
        visible = {
            id: one for id, one in self.issues.items() if one["fields"]["project"]["key"] not in self.hidden_projects
        }
        found = self._matching(request.get("jql"), visible)
        start, size = int(request.get("startAt", 0)), min(int(request.get("maxResults", 50)), self.most_rows)
        rows = []
        for issue in found[start : start + size]:
            kept = {name: value for name, value in issue["fields"].items() if name in fields}
            row: Json = {"id": issue["id"], "key": issue["key"], "fields": kept}
            if "changelog" in expand:
                row["changelog"] = self._log(issue, self.inline_histories)
            rows.append(row)
        return {"startAt": start, "maxResults": size, "total": len(found), "issues": rows}
