"""`notify preview` and `notify log`: what is asked of the service, and what is shown of its answer."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.cli.conftest import Krsync

Serving = Callable[[Callable[[httpx.Request], httpx.Response]], None]

PREVIEW: dict[str, Any] = {
    "team": "operations",
    "destinations": {"slack": "Slack, C1", "email": "ops@acme.example"},
    "quiet_until": None,
    "changes": [
        {
            "key_result": "operations/happy",
            "summary": "Happy\x1b[31m: on track → at risk",
            "lines": ["Owner: dana."],
            "told_at": "2026-11-22T09:35:00Z",
        }
    ],
    "digest": {"at": "2026-11-23T08:00:00Z", "summary": "The week", "lines": ["People"]},
    "waiting": 2,
}


def test_a_preview_says_what_whom_and_when(krsync: Krsync, serving: Serving) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"items": [PREVIEW], "next": None})

    serving(answer)
    done = krsync("notify", "preview", "operations")
    assert done.code == 0
    assert [(one.method, str(one.url)) for one in asked] == [
        ("GET", "http://krsync.test/v1/notifications/preview?team=operations")
    ]
    for line in ("slack: Slack, C1", "email: ops@acme.example", "2 on their way", "Owner: dana.", "  People"):
        assert line in done.out
    assert "on track → at risk" in done.out
    assert "\x1b" not in done.out
    assert json.loads(krsync("notify", "preview", "--json").out)["items"] == [PREVIEW]


def test_a_team_that_is_told_nothing_is_said_so(krsync: Krsync, serving: Serving) -> None:
    serving(lambda _: httpx.Response(200, json={"items": [], "next": None}))
    assert "operations is not told anything" in krsync("notify", "preview", "operations").out


def test_the_log_has_a_line_for_each_channel(krsync: Krsync, serving: Serving) -> None:
    ways = [
        {"channel": "slack", "state": "sent", "error": None},
        {"channel": "webhook", "state": "dead", "error": "The receiver is not available (HTTP 500)."},
    ]
    notice = {"id": 7, "at": "2026-11-22T09:30:00Z", "team": "operations", "summary": "Happy: met", "channels": ways}
    serving(lambda _: httpx.Response(200, json={"items": [notice], "next": None}))
    lines = krsync("notify", "log").out.splitlines()
    assert lines[0].split("\t") == ["ID", "AT", "TEAM", "NOTICE", "CHANNEL", "STATE", "ERROR"]
    assert [line.split("\t")[4:6] for line in lines[1:]] == [["slack", "sent"], ["webhook", "dead"]]
