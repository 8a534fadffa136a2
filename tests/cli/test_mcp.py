"""An assistant's questions over the Model Context Protocol: what is asked of the service, and what comes back."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.cli.client import Service, Target
from app.cli.mcp import TOOLS, serve
from tests.cli.test_reading import KEY_RESULT

Answer = Callable[[httpx.Request], httpx.Response]


def ask(answer: Answer, *messages: Any) -> list[dict[str, Any]]:
    """The answers to some messages; one that is text is sent as it is."""
    lines = "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in messages)
    out = io.StringIO()
    with Service(Target("http://krsync.test", "okr_test"), transport=httpx.MockTransport(answer)) as service:
        serve(service, io.StringIO(lines), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    parameters = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters}


def nobody(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"nothing is to be asked: {request.url}")


def test_a_client_is_welcomed_and_told_the_tools() -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answers = ask(
        nobody,
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "p", "method": "ping"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    )
    welcome, ping, listed = answers
    assert welcome["result"]["protocolVersion"] == "2025-06-18"
    assert welcome["result"]["capabilities"] == {"tools": {"listChanged": False}}
    assert (ping["id"], ping["result"]) == ("p", {})
    tools = {tool["name"]: tool for tool in listed["result"]["tools"]}
    assert (
        set(tools) == {"list_key_results", "get_key_result", "explain", "health_check", "list_objectives"} == set(TOOLS)
    )
    assert all(tool["annotations"]["readOnlyHint"] for tool in tools.values())
    assert tools["explain"]["inputSchema"]["required"] == ["team", "name"]


def test_an_unknown_version_is_answered_with_ours() -> None:
    (welcome,) = ask(nobody, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "1999"}})
    assert welcome["result"]["protocolVersion"] == "2025-06-18"


@pytest.mark.parametrize(
    ("question", "path", "parameters"),
    [
        (call("list_key_results", team="it", status="behind"), "/v1/key-results", {"team": "it", "status": "behind"}),
        (call("get_key_result", team="it", name="help_time"), "/v1/key-results/it/help_time", {}),
        (
            call("explain", team="it", name="help_time", since="2026-11-15T09:00:00Z"),
            "/v1/key-results/it/help_time/explain",
            {"since": "2026-11-15T09:00:00Z"},
        ),
        (call("health_check", team="it"), "/v1/teams/it/health-check", {}),
        (call("health_check", team="it", cycle="2026-Q4"), "/v1/teams/it/health-check", {"cycle": "2026-Q4"}),
        (call("list_objectives", cycle="2026-Q4"), "/v1/objectives", {"cycle": "2026-Q4"}),
    ],
)
def test_each_tool_is_one_read(question: dict[str, Any], path: str, parameters: dict[str, str]) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"items": [KEY_RESULT], "next": None})

    (told,) = ask(answer, question)
    assert told["result"]["isError"] is False
    assert json.loads(told["result"]["content"][0]["text"]) == told["result"]["structuredContent"]
    (request,) = asked
    assert (request.method, request.url.path) == ("GET", path)
    assert parameters.items() <= dict(request.url.params).items()


def test_a_list_has_values_with_what_they_are_worth() -> None:
    (told,) = ask(
        lambda request: httpx.Response(200, json={"items": [KEY_RESULT], "next": "x"}), call("list_key_results")
    )
    found = told["result"]["structuredContent"]
    assert found["is_complete"] is False
    (item,) = found["key_results"]
    assert (item["value"], item["metric"]["unit"]) == ("8.7", "business_days")
    assert (item["headline"]["word"], item["status"], item["freshness"]["level"]) == ("on_track", "on_track", "fresh")


@pytest.mark.parametrize(
    "question",
    [
        call("explain", team="it"),
        call("explain", team="it", name="help_time", token="x"),
        call("health_check", team=7),
    ],
)
def test_wrong_arguments_are_told_to_the_model(question: dict[str, Any]) -> None:
    (told,) = ask(nobody, question)
    assert told["result"]["isError"] is True


def test_what_the_service_refuses_is_told_to_the_model() -> None:
    problem = {"title": "Not found", "detail": "There is nothing under this name."}
    (told,) = ask(lambda request: httpx.Response(404, json=problem), call("get_key_result", team="it", name="nothing"))
    assert told["result"]["isError"] is True
    assert "There is nothing under this name." in told["result"]["content"][0]["text"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", -32700),
        ("[" * 100_000, -32700),
        ("[]", -32600),
        ('{"id": 1, "method": "ping"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "resources/list"}', -32601),
        ('{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "delete"}}', -32602),
        ('{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": 7}', -32602),
    ],
)
def test_what_is_no_question_is_an_error_and_the_next_one_is_answered(line: str, code: int) -> None:
    wrong, ping = ask(nobody, line, {"jsonrpc": "2.0", "id": 9, "method": "ping"})
    assert wrong["error"]["code"] == code
    assert ping["id"] == 9
