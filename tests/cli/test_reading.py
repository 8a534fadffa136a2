"""`status`, `explain` and `token`: what the service says, safe to show and easy to pipe."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from app.cli import output, reading
from tests.cli.conftest import Krsync

Serving = Callable[[Callable[[httpx.Request], httpx.Response]], None]

KEY_RESULT: dict[str, Any] = {
    "id": "operations/onboarding_time",
    "title": "Onboarding time",
    "metric": {"id": "operations/onboarding_days", "unit": "business_days", "revision": 3},
    "baseline": "15",
    "target": "5",
    "target_rule": {"value": "5"},
    "value": "8.7",
    "progress": 0.63,
    "expected_progress": 0.57,
    "status": "on_track",
    "freshness": {"level": "fresh", "age_seconds": 340, "fresh_within_seconds": 86400, "reason": None},
    "source": {"connection": "operations/jira", "health": "ok", "link": None},
}
ROW = "operations/onboarding_time\t8.7 business_days\t15 → 5\t63 %\t57 %\ton_track\tfresh 5 min\toperations/jira ok"


def listing(*items: dict[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(200, json={"items": list(items), "next": None})


def test_status_is_plain_lines_in_a_pipe(krsync: Krsync, serving: Serving) -> None:
    serving(listing(KEY_RESULT))
    outcome = krsync("status")
    assert outcome.code == 0
    assert outcome.out.splitlines()[1] == ROW


def test_status_asks_for_one_team(krsync: Krsync, serving: Serving) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json={"items": [], "next": None})

    serving(answer)
    assert krsync("status", "operations").code == 0
    assert asked[0].path == "/v1/key-results"
    assert asked[0].params["team"] == "operations"


def test_status_as_json_is_what_the_service_said(krsync: Krsync, serving: Serving) -> None:
    serving(listing(KEY_RESULT))
    assert json.loads(krsync("status", "--json").out) == [KEY_RESULT]


@pytest.mark.parametrize("item", [{}, {"id": "a/b", "freshness": None, "source": 3, "metric": [], "progress": "x"}])
def test_a_key_result_with_parts_missing_is_shown_all_the_same(
    krsync: Krsync, serving: Serving, item: dict[str, Any]
) -> None:
    serving(listing(item))
    outcome = krsync("status")
    assert outcome.code == 0
    assert len(outcome.out.splitlines()[1].split("\t")) == 8


def test_what_others_wrote_can_not_move_the_cursor(krsync: Krsync, serving: Serving) -> None:
    serving(listing(KEY_RESULT | {"status": "\x1b[2Jgone\n\x9b31m[red]"}))
    out = krsync("status").out
    assert "\x1b" not in out
    assert "\x9b" not in out
    assert "[red]" in out
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    ("level", "is_green"), [("fresh", True), ("stale", False), ("no_data", False), ("error", False)]
)
def test_nothing_is_green_while_it_is_stale(monkeypatch: pytest.MonkeyPatch, level: str, is_green: bool) -> None:
    terminal = Console(force_terminal=True, width=200, color_system="standard", highlight=False)
    monkeypatch.setattr(output, "console", terminal)
    item = KEY_RESULT | {"freshness": {"level": level, "age_seconds": 9e5}}
    with terminal.capture() as capture:
        output.show_table(reading._COLUMNS, [reading._status_row(item)])
    assert ("\x1b[32mon_track" in capture.get()) is is_green


def test_watching_needs_a_terminal(krsync: Krsync, serving: Serving) -> None:
    serving(listing(KEY_RESULT))
    assert krsync("status", "--watch").code == 2


def explanation() -> dict[str, Any]:
    record = {
        "part": "value",
        "entity": "10001",
        "label": "ONB-1",
        "at": "2026-11-02T10:00:00Z",
        "link": "https://j/ONB-1",
    }
    return {
        "id": "operations/onboarding_time",
        "metric": {"id": "operations/onboarding_days", "unit": "business_days"},
        "value": "8.7",
        "progress": 0.63,
        "status": "on_track",
        "formula": "avg of 2 = 8.7 business_days",
        "baseline": {"value": "15"},
        "target": "5",
        "window": {"start": "2026-10-23T22:00:00Z", "end": "2026-11-22T23:00:00Z"},
        "revision": {"number": 3, "author": "token:ci", "since": "2026-10-01T00:00:00Z"},
        "parts": [{"part": "value", "aggregate": "avg", "value": "8.7", "included": 25, "excluded": 1,
                   "excluded_reasons": {"not finished": 1}}],
        "counts": {"included": 25, "excluded": 1},
        "included": [record | {"label": f"ONB-{n}", "value": "8.5"} for n in range(25)],
        "excluded": [record | {"label": "ONB-99", "reason": "not finished"}],
        "delta": {"since": "2026-11-21T00:00:00Z", "value_before": "9", "value_now": "8.7",
                  "entered": [record], "left": [], "changed": []},
    }  # fmt: skip


def test_explain_takes_the_number_apart(krsync: Krsync, serving: Serving) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/key-results/operations/onboarding_time/explain"
        assert request.url.params["as_of"] == "2026-11-22T00:00:00Z"
        return httpx.Response(200, json=explanation())

    serving(answer)
    outcome = krsync("explain", "operations/onboarding_time", "--as-of", "2026-11-22T00:00:00Z")
    assert outcome.code == 0
    for line in (
        "Value:           8.7 business_days",
        "Progress:        63 %",
        "Revision:        3, token:ci, since 2026-10-01T00:00:00Z",
        "Value:           avg 8.7 over 25 in, 1 out (not finished: 1)",
        "Included: 25, the first 20",
        "Left out: 1",
        "ONB-99\t2026-11-02T10:00:00Z\tnot finished\thttps://j/ONB-1",
        "Since 2026-11-21T00:00:00Z: 9 → 8.7",
        "entered\tONB-1\t–",
    ):
        assert line in outcome.out.splitlines()


def test_explain_says_on_which_side_of_a_ratio_a_record_is(krsync: Krsync, serving: Serving) -> None:
    sides = [{"part": part, "label": "T-1", "value": "1"} for part in ("good", "total")]
    serving(lambda _: httpx.Response(200, json=explanation() | {"included": sides, "counts": {"included": 2}}))
    lines = krsync("explain", "a/b").out.splitlines()
    assert [line.split("\t")[:2] for line in lines if "\tT-1\t" in line] == [["good", "T-1"], ["total", "T-1"]]


def test_explain_shows_every_record_when_asked(krsync: Krsync, serving: Serving) -> None:
    serving(lambda request: httpx.Response(200, json=explanation()))
    assert krsync("explain", "a/b", "--all").out.count("\t8.5\t") == 25


def test_explain_names_states_and_says_what_is_still_open(krsync: Krsync, serving: Serving) -> None:
    stretch = {"label": "erp", "at": "2026-11-02T10:00:00Z", "value": "3600", "state": "up", "is_open": True}
    record = {"label": "ONB-1", "at": "2026-11-02T10:00:00Z", "value": "8.5", "is_open": True}
    body = {"id": "a/b", "included": [stretch, {**stretch, "is_open": False}, record]}
    serving(lambda request: httpx.Response(200, json=body))
    names = [line.split("\t")[0] for line in krsync("explain", "a/b").out.splitlines() if "\t" in line]
    assert names[-3:] == ["erp: up (open)", "erp: up", "ONB-1 (open)"]


@pytest.mark.parametrize("answer", [{}, {"id": "a/b", "included": None, "window": None, "parts": "x", "delta": None}])
def test_an_explanation_with_parts_missing_is_shown_all_the_same(
    krsync: Krsync, serving: Serving, answer: dict[str, Any]
) -> None:
    serving(lambda request: httpx.Response(200, json=answer))
    assert krsync("explain", "a/b").code == 0


@pytest.mark.parametrize("name", ["a", "/b", "a/"])
def test_a_key_result_has_a_team(krsync: Krsync, serving: Serving, name: str) -> None:
    serving(listing())
    assert krsync("explain", name).code == 2


def test_a_token_is_shown_once_or_written_for_its_owner_alone(krsync: Krsync, serving: Serving, tmp_path: Path) -> None:
    bodies: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(201, json={"id": 7, "name": "ci", "token": "okr_new"})

    serving(answer)
    assert krsync("token", "create", "ci", "--scope", "read", "--scope", "write", "--team", "ops").out == "okr_new\n"
    assert bodies == [{"name": "ci", "scopes": ["read", "write"], "team": "ops"}]
    file = tmp_path / "token"
    outcome = krsync("token", "create", "ci", "--scope", "read", "--out", file)
    assert "okr_new" not in outcome.out
    assert file.read_text() == "okr_new\n"
    assert file.stat().st_mode & 0o777 == 0o600
    again = krsync("token", "create", "ci", "--scope", "read", "--out", file)
    assert again.code == 2
    assert len(bodies) == 2  # none was made that could not be written down
    assert krsync("token", "create", "ci", "--scope", "root").code == 2


def test_tokens_are_listed_and_revoked(krsync: Krsync, serving: Serving) -> None:
    deleted: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            deleted.append(request.url.path)
            return httpx.Response(204)
        token = {"id": 7, "name": "ci", "scopes": ["read"], "team": None, "created_at": "2026-11-01T00:00:00Z"}
        return httpx.Response(200, json={"items": [token], "next": None})

    serving(answer)
    assert "7\tci\tread\tall\t2026-11-01T00:00:00Z\t–" in krsync("token", "list").out
    assert krsync("token", "revoke", "7").code == 0
    assert deleted == ["/v1/tokens/7"]
    assert krsync("token", "revoke", "seven").code == 2
