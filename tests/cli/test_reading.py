"""`status`, `explain` and `token`: what the service says, safe to show and easy to pipe."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from app.cli import output, reading
from app.cli.moments import past_moment
from app.cli.shown import rounded
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
    "headline": {"word": "on_track", "tone": "good"},
    "freshness": {"level": "fresh", "age_seconds": 340, "fresh_within_seconds": 86400, "reason": None},
    "source": {"connection": "operations/jira", "health": "ok", "link": None},
}
ROW = "operations/onboarding_time\t8.7 business_days\t15 → 5\t63 %\t57 %\ton_track\tfresh 5 min\toperations/jira ok\t–"


def listing(*items: dict[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(200, json={"items": list(items), "next": None})


def test_status_is_plain_lines_in_a_pipe(krsync: Krsync, serving: Serving) -> None:
    serving(listing(KEY_RESULT))
    outcome = krsync("status")
    assert outcome.code == 0
    assert outcome.out.splitlines()[1] == ROW


def test_what_is_nearly_reached_does_not_look_reached(krsync: Krsync, serving: Serving) -> None:
    held = {"baseline": None, "target": None, "target_rule": {"maintain": ">= 96"}, "value": "95.996"}
    nearly = {"value": "5.0004", "progress": 0.99996}
    below = {"value": "15.01", "progress": -0.001}
    serving(listing(*(KEY_RESULT | one for one in (held, nearly, below))))
    shown = [line.split("\t")[1:4] for line in krsync("status").out.splitlines()[1:]]
    assert shown == [
        ["95.996 business_days", "– → >= 96", "63 %"],
        ["5.0004 business_days", "15 → 5", "99 %"],
        ["15.01 business_days", "15 → 5", "0 %"],
    ]


def test_status_asks_for_one_team(krsync: Krsync, serving: Serving) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json={"items": [], "next": None})

    serving(answer)
    assert krsync("status", "operations").code == 0
    assert asked[0].path == "/v1/key-results"
    assert asked[0].params["team"] == "operations"


def test_a_team_that_is_not_there_is_no_empty_table(krsync: Krsync, serving: Serving) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/teams/nobody":
            return httpx.Response(404, json={"title": "Not found", "status": 404})
        return httpx.Response(200, json={"items": [], "next": None})

    serving(answer)
    outcome = krsync("status", "nobody")
    assert outcome.code == 2
    assert "Not found" in outcome.err
    assert "krsync status" in outcome.err


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
    assert len(outcome.out.splitlines()[1].split("\t")) == 9


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


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"value": None, "status": "unknown", "reason": "3 of at least 5 samples"}, "3 of at least 5 samples"),
        ({"projected_value": "1234.5678"}, "projected 1234.57"),
        (
            {"forecast": {"value_at_end": "5.9", "low": "4.8", "high": "7.4", "chance_of_target": 0.31}},
            "forecast 5.9 (4.8 … 7.4), target 31 % likely",
        ),
        (
            {"freshness": {"level": "stale", "age_seconds": 200_000, "reason": "the last read is older than 1d"}},
            "nothing new for 2 d; the last read is older than 1d",
        ),
    ],
)
def test_status_notes_what_the_columns_leave_open(
    krsync: Krsync, serving: Serving, more: dict[str, Any], note: str
) -> None:
    serving(listing(KEY_RESULT | more))
    assert krsync("status").out.splitlines()[1].split("\t")[-1] == note


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("last week", "2026-11-15T09:30:00Z"),
        ("3 days ago", "2026-11-19T09:30:00Z"),
        ("12h", "2026-11-21T21:30:00Z"),
        ("2w", "2026-11-08T09:30:00Z"),
        ("last month", "2026-10-22T09:30:00Z"),
        ("9 months ago", "2026-02-22T09:30:00Z"),
        ("yesterday", "2026-11-20T23:00:00Z"),
        ("Today", "2026-11-21T23:00:00Z"),
        ("2026-11-15", "2026-11-14T23:00:00Z"),
        ("2026-11-15T08:00:00Z", "2026-11-15T08:00:00Z"),
        ("2026-11-15T08:00", "2026-11-15T07:00:00Z"),
        ("41", "41"),
    ],
)
def test_people_say_moments_in_words(said: str, moment: str) -> None:
    now = datetime(2026, 11, 22, 10, 30, tzinfo=timezone(timedelta(hours=1)))
    assert past_moment(said, now) == moment


def test_the_last_day_of_a_longer_month_is_the_last_of_a_shorter_one() -> None:
    assert past_moment("last month", datetime(2026, 3, 31, tzinfo=UTC)) == "2026-02-28T00:00:00Z"
    assert past_moment("1 month", datetime(2026, 1, 31, tzinfo=UTC)) == "2025-12-31T00:00:00Z"


@pytest.mark.parametrize("said", ["", "soon", "last", "2026-02-30", "3 fortnights", "-1d", "9" * 5 + "d"])
def test_what_is_no_moment_is_refused(krsync: Krsync, serving: Serving, said: str) -> None:
    serving(listing())
    outcome = krsync("explain", "a/b", "--since", said)
    assert (outcome.code, outcome.out) == (2, "")


def test_explain_asks_since_when(krsync: Krsync, serving: Serving) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["since"])
        return httpx.Response(200, json=explanation())

    serving(answer)
    assert krsync("explain", "a/b", "--since", "2026-11-15T08:00:00Z").code == 0
    assert krsync("explain", "a/b", "--since", "17").code == 0
    assert asked == ["2026-11-15T08:00:00Z", "17"]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("8.743902439024390243902439024", "8.74"),
        ("-0.000123456", "-0.00012"),
        ("0.025", "0.025"),
        ("120", "120"),
        ("1.5", "1.5"),
        ("0.000", "0"),
        ("n/a", "n/a"),
    ],
)
def test_numbers_are_rounded_for_people(number: str, shown: str) -> None:
    assert rounded(number) == shown


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
                  "progress_before": 0.6, "rule_changed": False,
                  "causes": [
                      {"cause": "late_data", "contribution": "-0.5", "value_after": "8.5", "count": 1,
                       "records": [{"change": "changed", "label": "ONB-1", "at": record["at"],
                                    "value_before": "9.125", "value_now": "8.62512345"}]},
                      {"cause": "entered", "contribution": "0.2", "value_after": "8.7", "count": 7,
                       "records": [{"change": "entered", "label": f"ONB-{n}", "value_before": None,
                                    "value_now": "8.25"} for n in range(7)]}]},
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
        "Revision:        3, token:ci, since 2026-10-01 00:00Z",
        "Value:           avg 8.7 over 25 in, 1 out (not finished: 1)",
        "Included: 25, the first 20",
        "Left out: 1",
        "ONB-99\t2026-11-02 10:00Z\tnot finished\thttps://j/ONB-1",
        "Since 2026-11-21 00:00Z: 9 → 8.7 business_days, from 60 % of the way",
        "late data\t-0.5\t8.5\t1 record",
        "entered\t+0.2\t8.7\t7 records",
        "late data: changed\tONB-1\t9.12\t8.63\t2026-11-02 10:00Z",
        "entered\tONB-4\t–\t8.25\t–",
        "entered\t… and 2 more\t\t\t",
    ):
        assert line in outcome.out.splitlines()


def test_explain_says_on_which_side_of_a_ratio_a_record_is(krsync: Krsync, serving: Serving) -> None:
    sides = [{"part": part, "label": "T-1", "value": "1"} for part in ("good", "total")]
    serving(lambda _: httpx.Response(200, json=explanation() | {"included": sides, "counts": {"included": 2}}))
    lines = krsync("explain", "a/b").out.splitlines()
    assert [line.split("\t")[:2] for line in lines if "\tT-1\t" in line] == [["good", "T-1"], ["total", "T-1"]]
    many = [*(sides[:1] * 30), *sides[1:]]
    serving(lambda _: httpx.Response(200, json=explanation() | {"included": many, "counts": {"included": 31}}))
    lines = krsync("explain", "a/b").out.splitlines()
    assert {line.split("\t")[0] for line in lines if "\tT-1\t" in line} == {"good"}, "though only one side is shown"


def test_explain_shows_every_record_when_asked(krsync: Krsync, serving: Serving) -> None:
    serving(lambda request: httpx.Response(200, json=explanation()))
    assert krsync("explain", "a/b", "--all").out.count("\t8.5\thttps:") == 25


def test_explain_names_states_and_says_what_is_still_open(krsync: Krsync, serving: Serving) -> None:
    stretch = {"label": "erp", "at": "2026-11-02T10:00:00Z", "value": "3600", "state": "up", "is_open": True}
    record = {"label": "ONB-1", "at": "2026-11-02T10:00:00Z", "value": "8.5", "is_open": True}
    body = {"id": "a/b", "included": [stretch, {**stretch, "is_open": False}, record]}
    serving(lambda request: httpx.Response(200, json=body))
    rows = [line.split("\t") for line in krsync("explain", "a/b").out.splitlines() if "\t" in line]
    assert [row[0] for row in rows[-3:]] == ["erp: up (open)", "erp: up", "ONB-1 (open)"]
    assert [row[2] for row in rows[-3:]] == ["3600 s", "3600 s", "8.5"]


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
    serving(lambda request: httpx.Response(422, json={"title": "There is no such team."}))
    missing = tmp_path / "missing"
    assert krsync("token", "create", "ci", "--scope", "read", "--team", "oops", "--out", missing).code != 0
    assert not missing.exists()
    serving(answer)
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
