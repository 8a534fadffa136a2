"""`/okr` in Slack: who may ask, what is answered, and checking in."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.api.application import Api
from app.api.context import ApiContext
from tests.api.conftest import TEAM_FILE, World
from tests.conftest import FakeClock
from tests.services.slack_signing import signed
from tests.services.telling import SECRETS, Outside

TOKEN = {"env": "SLACK_TOKEN"}
SIGNING = {"env": "SLACK_SIGNING"}
ALL = {"slack": {"channel": "C1", "token": TOKEN, "signing_secret": SIGNING}}


@pytest_asyncio.fixture
async def outside(clock: FakeClock) -> Outside:
    return Outside(clock)


@pytest_asyncio.fixture
async def slack(world: World, outside: Outside) -> AsyncIterator[World]:
    """The API of a team with a Slack app; what it asks of Slack is answered by `outside`."""
    from connectors.http import create_client, parse_policy, toolbox

    world.environ.update(SECRETS)
    client = create_client(parse_policy(""), transport=httpx.MockTransport(outside))
    services = replace(world.services, toolbox=lambda: toolbox(client, services.clock))

    @asynccontextmanager
    async def open_context() -> AsyncIterator[ApiContext]:
        yield ApiContext(services=services, seal=None)  # type: ignore[arg-type]

    api = Api(open_context)
    async with (
        api.lifespan(),
        httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://krsync.test") as http,
    ):
        opened = replace(world, api=api, http=http, services=services)
        await opened.apply(notify=ALL)
        yield opened
    await client.aclose()


async def post(world: World, kind: str, form: dict[str, str], **changes: Any) -> httpx.Response:
    secret = changes.pop("secret", SECRETS["SLACK_SIGNING"])
    at = world.services.clock() + changes.pop("late", timedelta())
    body, headers = signed(form, secret, at)
    team = changes.pop("team", "operations")
    return await world.http.post(f"/v1/slack/{team}/{kind}", content=changes.pop("body", body), headers=headers)


async def okr(world: World, text: str, **more: str) -> dict[str, Any]:
    form = {"command": "/okr", "text": text, "user_id": "U123", **more}
    response = await post(world, "commands", form)
    assert response.status_code == 200, response.text
    return response.json() if response.content else {}


async def press(world: World, payload: dict[str, Any]) -> dict[str, Any]:
    response = await post(world, "interactions", {"payload": json.dumps(payload)})
    assert response.status_code == 200, response.text
    return response.json() if response.content else {}


def shown(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "another"},
        {"secret": ""},
        {"late": timedelta(seconds=-301)},
        {"late": timedelta(seconds=301)},
        {"team": "nobody"},
        {"body": b"command=%2Fokr&text=why"},
    ],
    ids=str,
)
async def test_only_slack_itself_is_answered(slack: World, changes: dict[str, Any]) -> None:
    form = {"command": "/okr", "text": "list"}
    refused = await post(slack, "commands", form, **changes)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert "secret" not in refused.text


async def test_without_a_signing_secret_there_is_no_command(slack: World) -> None:
    await slack.apply(notify={"slack": {"channel": "C1", "token": TOKEN}})
    assert (await post(slack, "commands", {"text": "list"})).status_code == 401
    slack.environ.pop("SLACK_SIGNING")
    await slack.apply(notify=ALL)
    assert (await post(slack, "commands", {"text": "list"})).status_code == 401


async def test_it_takes_forms_that_can_be_read(slack: World) -> None:
    at = slack.services.clock()
    body, headers = signed({"text": "list"}, SECRETS["SLACK_SIGNING"], at)
    wrong = await slack.http.post(
        "/v1/slack/operations/commands", content=body, headers={**headers, "Content-Type": "application/json"}
    )
    assert wrong.status_code == 415
    assert (await post(slack, "commands", {"text": "a\0b"})).status_code == 422
    assert (await post(slack, "interactions", {"payload": "{nothing"})).status_code == 422
    assert (await post(slack, "interactions", {"payload": "[]"})).status_code == 422
    assert (await post(slack, "interactions", {})).status_code == 422
    payloads: tuple[dict[str, Any], ...] = (
        {},
        {"type": "block_actions"},
        {"type": "view_submission"},
        {"actions": [1]},
        {"view": {}},
    )
    for payload in payloads:
        assert await press(slack, payload) == {}


async def test_list_show_and_why(slack: World) -> None:
    headers = await slack.as_("write")
    await slack.http.put("/v1/metrics/operations/satisfaction/values/2026-11-20", json={"value": 7}, headers=headers)
    listed = await okr(slack, "")
    assert listed["response_type"] == "ephemeral"
    assert "*Satisfaction up* (`satisfaction_up`): " in shown(listed)
    assert ", 7 score, 50 %" in shown(listed)
    one = await okr(slack, "show satisfaction_up")
    assert "7 score now; from 6 to 8." in shown(one)
    assert [element["action_id"] for element in one["blocks"][-1]["elements"]] == ["okr_check_in", "okr_why"]
    why = shown(await okr(slack, "why operations/satisfaction_up"))
    assert "Why Satisfaction up" in why
    assert "revision 1" in why
    assert "Did you mean `satisfaction_up`?" in shown(await okr(slack, "show satisfactin_up"))
    assert "/okr list" in shown(await okr(slack, "dance"))


async def test_a_stale_value_is_never_listed_as_if_it_were_of_today(slack: World, clock: FakeClock) -> None:
    headers = await slack.as_("write")
    await slack.http.put("/v1/metrics/operations/satisfaction/values/2026-11-20", json={"value": 8}, headers=headers)
    clock.advance(timedelta(days=30))
    for text in ("list", "show satisfaction_up", "why satisfaction_up"):
        answer = shown(await okr(slack, text))
        assert "stale" in answer
        assert ": met" not in answer
        assert "on track" not in answer


async def test_checking_in_by_a_line(slack: World) -> None:
    assert "Checked in" in shown(await okr(slack, "check-in satisfaction_up 70% Going <well>"))
    headers = await slack.as_("read")
    found = (await slack.http.get("/v1/key-results/operations/satisfaction_up/check-ins", headers=headers)).json()
    (item,) = found["items"]
    assert (item["author"], item["note"], item["confidence"]) == ("slack:U123", "Going <well>", 0.7)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("check-in satisfaction_up 120% sure", "from 0 to 100"),
        ("check-in satisfaction_up -5 % sure", "from 0 to 100"),
        ("check-in satisfaction_up 70.5% sure", "from 0 to 100"),
        ("check-in satisfaction_up 70%sure", "from 0 to 100"),
        (f"check-in satisfaction_up {'x' * 2001}", "at most 2000 characters"),
    ],
)
async def test_what_would_be_kept_otherwise_than_it_was_said_is_not_kept(slack: World, said: str, answer: str) -> None:
    assert answer in shown(await okr(slack, said))
    headers = await slack.as_("read")
    found = await slack.http.get("/v1/key-results/operations/satisfaction_up/check-ins", headers=headers)
    assert found.json()["items"] == []


async def test_words_are_told_apart_by_any_white_space(slack: World) -> None:
    assert "Checked in" in shown(await okr(slack, "check-in\u00a0satisfaction_up\n70 % going\twell"))


async def test_numbers_are_as_long_as_it_takes_to_see_how_they_stand(slack: World) -> None:
    shares = {"share": {"unit": "score", "formula": "satisfaction / 3"}}
    key_results = {
        "third": {"metric": "share", "baseline": 0, "target": 3},
        "nearly": {
            "metric": "satisfaction",
            "baseline": 0,
            "target": 8,
            "guardrails": [{"metric": "share", "must": ">= 2.66667"}],
        },
    }
    objective = {"title": "Share", "cycle": "2026-Q4", "key_results": key_results}
    await slack.apply(notify=ALL, metrics=TEAM_FILE["metrics"] | shares, objectives={"share": objective})
    headers = await slack.as_("write")
    value = {"value": "7.999999"}
    await slack.http.put("/v1/metrics/operations/satisfaction/values/2026-11-20", json=value, headers=headers)
    listed = shown(await okr(slack, "list"))
    assert "2.6667 score" in listed
    assert "7.999999 score" in listed
    assert "must be &gt;= 2.66667, is 2.666666." in shown(await okr(slack, "show nearly"))
    assert "/ 3 = 2.6667 score" in shown(await okr(slack, "why third"))


async def test_checking_in_by_button_and_form(slack: World, outside: Outside) -> None:
    assert await okr(slack, "check-in satisfaction_up", trigger_id="T1") == {}
    press_button = {
        "type": "block_actions",
        "trigger_id": "T2",
        "user": {"id": "U9"},
        "actions": [{"action_id": "okr_check_in", "value": "satisfaction_up"}],
    }
    assert await press(slack, press_button) == {}
    assert [opened["trigger_id"] for opened in outside.views] == ["T1", "T2"]
    view = outside.views[1]["view"]
    assert (view["type"], view["private_metadata"]) == ("modal", "satisfaction_up")

    def filled(**fields: str) -> dict[str, Any]:
        values = {name: {"answer": {"type": "plain_text_input", "value": text}} for name, text in fields.items()}
        return {
            "type": "view_submission",
            "user": {"id": "U9"},
            "view": {
                "callback_id": view["callback_id"],
                "private_metadata": view["private_metadata"],
                "state": {"values": values},
            },
        }

    wrong = await press(slack, filled(confidence="maybe", value="1e5"))
    assert wrong["response_action"] == "errors"
    assert set(wrong["errors"]) == {"confidence", "value"}
    assert set((await press(slack, filled(confidence="101")))["errors"]) == {"confidence"}
    assert set((await press(slack, filled()))["errors"]) == {"note"}
    done = await press(slack, filled(note="Better", confidence="80", blockers="one\ntwo", value="7,5"))
    assert done == {"response_action": "clear"}
    headers = await slack.as_("read")
    found = (await slack.http.get("/v1/key-results/operations/satisfaction_up/check-ins", headers=headers)).json()
    (item,) = found["items"]
    assert (item["author"], item["blockers"], item["value"]) == ("slack:U9", ["one", "two"], "7.5")
    # A metric that reads its own value takes none: the form stays open, and says so.
    other = filled(value="3")
    other["view"]["private_metadata"] = "orders_up"
    refused = await press(slack, other)
    assert refused["response_action"] == "errors"
    assert "manual" in refused["errors"]["note"]


async def test_the_why_button_opens_a_window(slack: World, outside: Outside) -> None:
    action = {"action_id": "okr_why", "value": "satisfaction_up"}
    assert await press(slack, {"type": "block_actions", "trigger_id": "T1", "actions": [action]}) == {}
    assert "Why Satisfaction up" in shown(outside.views[0])
