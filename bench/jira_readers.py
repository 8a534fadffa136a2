"""The readers that `bench.jira` compares, each a process of its own: `python -m bench.jira_readers NAME URL`.

The last line of its output is JSON: issues read, wall and CPU seconds and the peak of memory over what the process held
when it had imported everything.
"""

import asyncio
import gzip
import http.client
import json
import re
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

JQL = "project = ERP"
SEARCH = "/rest/api/3/search/jql"


def _peak() -> float:
    """The most memory this process held so far, in MiB (not that of the process it was forked from)."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 1024  # type: ignore[index]


def raw(url: str) -> dict[str, Any]:
    """Every page with every field, one after the other; nothing is parsed but the token of the next one."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def page(body: str) -> bytes:
        connection.request("POST", SEARCH, body, {"Content-Type": "application/json", "Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        is_gzip = answer.headers.get("Content-Encoding") == "gzip"
        return gzip.decompress(answer.read()) if is_gzip else answer.read()

    return _measured(lambda: _pages(page))


def with_requests(url: str) -> dict[str, Any]:
    """As `raw`, with `requests`."""
    import requests

    session = requests.Session()
    headers = {"Content-Type": "application/json"}

    def page(body: str) -> bytes:
        return session.post(url + SEARCH, body, headers=headers, auth=("bot@acme.example", "token")).content

    return _measured(lambda: _pages(page))


def _pages(page_of: Callable[[str], bytes]) -> int:
    count, token = 0, None
    while True:
        asked: dict[str, Any] = {"jql": JQL, "fields": ["*all"], "expand": "changelog", "maxResults": 100}
        page = page_of(json.dumps(asked | ({"nextPageToken": token} if token else {})))
        count += page.count(b'"changelog":')
        found = re.search(rb'"nextPageToken":"(\d+)"}$', page[-60:])
        if found is None:
            return count
        token = found[1].decode()


def ours(url: str, *, incremental: bool = False) -> dict[str, Any]:
    """KRSync's connector through its guarded client, every record with its history, in a process set as a worker is."""
    from app.collector import settle
    from connectors.http import create_client, parse_policy, toolbox
    from connectors.jira import JiraConfig, JiraDataset
    from connectors.jira.reading import read_issues
    from connectors.jira.session import JiraSession
    from connectors.secrets import bind

    given = {"url": url, "email": "bot@acme.example", "token": {"env": "TOKEN"}}
    settle()
    config = bind(JiraConfig.model_validate(given), lambda reference: "token")

    async def read_all() -> dict[str, Any]:
        async with create_client(parse_policy("127.0.0.1")) as client:
            box = toolbox(client, lambda: datetime(2026, 11, 22, tzinfo=UTC))
            async with box.http:
                session = JiraSession(config, box)
                cursor = None
                if incremental:
                    async for page in read_issues(session, JiraDataset(jql=JQL), None):
                        cursor = page.cursor or cursor
                    _get(url, "/stats")

                async def read() -> int:
                    count = 0
                    async for page in read_issues(session, JiraDataset(jql=JQL), cursor):
                        assert all(len(change.transitions) in (5, 6) for change in page.changes)
                        count += len(page.changes)
                    return count

                idle, wall, cpu = _peak(), time.perf_counter(), time.process_time()
                count = await read()
                return _result(count, wall, cpu, idle)

    return asyncio.run(read_all())


def changes(url: str) -> dict[str, Any]:
    """As `ours`, of the hundredth that changed since the last read."""
    return ours(url, incremental=True)


def package(url: str) -> dict[str, Any]:
    """The `jira` package, every field."""
    from jira import JIRA

    client = JIRA(url, basic_auth=("bot@acme.example", "token"), options={"rest_api_version": "3"})

    def read() -> int:
        found = client.enhanced_search_issues(JQL, maxResults=0, fields="*all", expand="changelog")
        return sum(1 for issue in found if issue.changelog.histories)

    return _measured(read)


def _measured(read: Callable[[], int]) -> dict[str, Any]:
    idle, wall, cpu = _peak(), time.perf_counter(), time.process_time()
    return _result(read(), wall, cpu, idle)


def _result(count: int, wall: float, cpu: float, idle: float) -> dict[str, Any]:
    return {
        "issues": count,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "memory": _peak() - idle,
    }


def _get(url: str, path: str) -> Any:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "raw": raw,
    "requests": with_requests,
    "ours": ours,
    "changes": changes,
    "jira package": package,
}

if __name__ == "__main__":
    print(json.dumps(READERS[sys.argv[1]](sys.argv[2])))
