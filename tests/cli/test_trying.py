"""`krsync try`: what is sent of a file, and what is shown of the answer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.conftest import Krsync

Serving = Callable[[Callable[[httpx.Request], httpx.Response]], None]

TRIED: dict[str, Any] = {
    "signature": {"outcome": "ok", "reason": None},
    "parse": {"outcome": "ok", "reason": None},
    "kind": "event",
    "event": "po.approved",
    "dedupe_key": "id:msg_1",
    "is_duplicate": False,
    "headers": {},
    "body": {"po": {"id": "PO-7", "title": "Büro"}},
    "datasets": [
        {
            "dataset": "orders",
            "outcome": "applied",
            "reason": None,
            "events": [
                {
                    "entity": "PO-7",
                    "event": "po.approved",
                    "at": "2026-11-22T09:30:00Z",
                    "at_is_receipt": True,
                    "key": "id:msg_1",
                    "is_deletion": False,
                    "is_before_deletion": True,
                    "is_new": True,
                    "link": None,
                    "body": {},
                    "facts": [
                        {"metric": "operations/spend", "part": "value", "counts": True, "value": "120.5"},
                        {"metric": "operations/days", "part": "value", "counts": False, "reason": "not finished"},
                    ],
                }
            ],
        },
        {"dataset": "approvals", "outcome": "ignored", "reason": "where is false", "events": []},
    ],
}


@pytest.fixture
def seen(serving: Serving) -> list[tuple[str, Any]]:
    requests: list[tuple[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append((request.url.path, json.loads(request.content)))
        return httpx.Response(200, json=TRIED)

    serving(answer)
    return requests


def test_a_body_is_sent_as_it_is_and_every_step_is_shown(krsync: Krsync, seen: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "delivery.json"
    file.write_bytes(b'{"po": {"id": "PO-7"}}\n')
    ended = krsync("try", "operations/erp", file, "-H", "X-Event: po")
    assert ended.code == 0, ended.err
    assert seen == [
        (
            "/v1/connections/operations/erp/try",
            {"headers": {"X-Event": "po"}, "body": '{"po": {"id": "PO-7"}}\n'},
        )
    ]
    for line in (
        "signature  ok",
        "orders: applied",
        "its moment is the receipt, counts no more: it was deleted since",
        "operations/spend: 120.5",
        "operations/days: left out: not finished",
        "approvals: ignored: where is false",
    ):
        assert line in ended.out


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_headers_before_an_empty_line_are_headers(krsync: Krsync, seen: list[Any], tmp_path: Path, ending: str) -> None:
    file = tmp_path / "delivery.http"
    lines = ["POST /v1/hooks/operations/erp HTTP/1.1", "webhook-id: msg_1", "X-Note: a: b", "", '{"a": 1}']
    file.write_bytes(ending.join(lines).encode())
    assert krsync("try", "operations/erp", file, "--json").code == 0
    assert seen[0][1] == {"headers": {"webhook-id": "msg_1", "X-Note": "a: b"}, "body": '{"a": 1}'}


def test_a_stored_delivery_is_named_by_its_id(krsync: Krsync, seen: list[Any]) -> None:
    assert krsync("try", "operations/erp", "--delivery", 17).code == 0
    assert seen[0][1] == {"delivery": 17}


@pytest.mark.parametrize(
    "change", [{"signature": {"outcome": "failed", "reason": "no"}}, {"datasets": [{"outcome": "dead", "reason": "x"}]}]
)
def test_what_failed_on_the_way_is_exit_code_1(krsync: Krsync, serving: Serving, change: dict[str, Any]) -> None:
    serving(lambda _: httpx.Response(200, json={**TRIED, **change}))
    assert krsync("try", "operations/erp", "--delivery", 17).code == 1


def test_a_call_that_is_wrong_is_exit_code_2(krsync: Krsync, seen: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "d.json"
    file.write_text("{}")
    for arguments in (["erp", file], ["operations/erp"], ["operations/erp", file, "--delivery", 1]):
        assert krsync("try", *arguments).code == 2
    assert krsync("try", "operations/erp", tmp_path / "none.json").code == 2
    assert krsync("try", "operations/erp", file, "-H", "no colon").code == 2
    assert seen == []


def test_what_nothing_came_of_is_shown_as_the_rules_see_it(krsync: Krsync, serving: Serving, tmp_path: Path) -> None:
    shown: list[dict[str, Any]] = [
        {**TRIED, "datasets": TRIED["datasets"][1:]},
        {**TRIED, "datasets": [], "body": "<html>"},
        {**TRIED, "datasets": [], "body": {"lines": list(range(60))}},
    ]
    serving(lambda request: httpx.Response(200, json=shown[int(json.loads(request.content)["delivery"]) - 1]))
    first, second, third = (krsync("try", "operations/erp", "--delivery", str(number)).out for number in (1, 2, 3))
    assert 'what the rules see as body:\n  {\n    "po": {\n' in first
    assert '"title": "Büro"' in first
    assert "it begins:\n  <html>\n" in second
    assert third.count("\n") < 60
    assert "--json" in third
