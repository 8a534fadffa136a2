"""GitHub's REST API as far as it is read: lists in pages with their Link header, reviews, accounts, limits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

TOKEN = "github-token-41c7"
REPOSITORY = "acme/erp"
START = datetime(2026, 10, 1, tzinfo=UTC)


def rfc3339(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def pull(
    number: int, *, updated: datetime | None = None, merged: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """A pull request as the list has it, made so many hours after START."""
    created = START + timedelta(hours=number)
    return {
        "number": number,
        "title": f"Change {number}",
        "state": "open" if merged is None else "closed",
        "draft": False,
        "user": {"login": "dana", "id": 7},
        "labels": [{"name": "erp"}],
        "assignees": [],
        "milestone": None,
        "base": {"ref": "main"},
        "head": {"ref": f"change-{number}"},
        "created_at": rfc3339(created),
        "updated_at": rfc3339(updated or merged or created),
        "closed_at": rfc3339(merged),
        "merged_at": rfc3339(merged),
        "html_url": f"https://github.com/{REPOSITORY}/pull/{number}",
        **more,
    }


def issue(number: int, **more: Any) -> dict[str, Any]:
    """An issue as the list has it."""
    of_issues = {
        "state_reason": None,
        "comments": 0,
        "html_url": f"https://github.com/{REPOSITORY}/issues/{number}",
    }
    row = pull(number, **{**of_issues, **more})
    for name in ("merged_at", "draft", "base", "head"):
        del row[name]
    return row


@dataclass
class GitHubFake:
    """A repository. `before` is called ahead of each answer, and may change the rows or answer itself."""

    pulls: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    reviews: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
    requests: list[httpx.Request] = field(default_factory=list)
    page_size: int = 100

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.before(request)
        if answer is not None:
            return answer
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return httpx.Response(401, json={"message": "Bad credentials"})
        base = f"/repos/{REPOSITORY}"
        path = request.url.path
        if path == "/user":
            return httpx.Response(200, json={"login": "krsync-bot", "id": 1})
        if path == "/user/repos":
            return self._page(request, [{"full_name": REPOSITORY, "private": True}])
        if path == f"{base}/pulls":
            return self._page(request, self._ordered(request, self.pulls))
        if path == f"{base}/issues":
            rows = [*self.issues, *({**row, "pull_request": {}} for row in self.pulls)]
            since = request.url.params.get("since")
            rows = [row for row in rows if since is None or row["updated_at"] >= since]
            return self._page(request, self._ordered(request, rows))
        if path.startswith(f"{base}/pulls/") and path.endswith("/reviews"):
            return self._page(request, self.reviews.get(int(path.split("/")[-2]), []))
        return httpx.Response(404, json={"message": "Not Found"})

    @staticmethod
    def _ordered(request: httpx.Request, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked = request.url.params
        assert (asked["state"], asked["direction"]) == ("all", "desc")
        return sorted(rows, key=lambda row: (row[f"{asked['sort']}_at"], row["number"]), reverse=True)

    def _page(self, request: httpx.Request, rows: list[dict[str, Any]]) -> httpx.Response:
        size = min(int(request.url.params["per_page"]), self.page_size)
        page = int(request.url.params["page"])
        headers = {}
        if page * size < len(rows):
            headers["link"] = f'<{request.url.copy_set_param("page", str(page + 1))}>; rel="next", <x>; rel="last"'
        return httpx.Response(200, json=rows[(page - 1) * size : page * size], headers=headers)
