"""Each page: there for who may see it, the way to sign in for who is not signed in, not there for all others."""

import json
import re
from typing import Any

import pytest

from app.services.deliveries import apply_pending
from tests.api.conftest import TEAM_FILE
from tests.api.test_hooks import signed
from tests.web.conftest import Window, World, on_sqlite, window

PAGES = (
    "/",
    "/teams/operations",
    "/teams/operations?show=no_data",
    "/teams/operations/file",
    "/teams/operations/health-check",
    "/teams/operations/cycles",
    "/teams/operations/cycles/2026-Q4",
    "/key-results/operations/satisfaction_up",
    "/key-results/operations/satisfaction_up?cycle=2026-Q4",
    "/key-results/operations/satisfaction_up/why",
    "/key-results/operations/orders_up/why?since=week",
    "/fragments/key-results/operations/satisfaction_up",
    "/alignment",
    "/connections",
    "/connections/operations/erp",
    "/connections/operations/jira",
    "/connections/operations/erp/try",
    "/runs",
    "/runs?outcome=failed&connection=operations/jira",
    "/deliveries",
    "/deliveries?outcome=dead&connection=operations/erp",
)
_GROWS = {"baseline": 0, "target": 10}
OF_TEAM = [path for path in PAGES if "operations" in path and "?" not in path]


async def filled(world: World) -> None:
    """The operations team, with values of its manual metric, one of them mended."""
    await world.apply()
    headers = await world.as_("write")
    for day, value in (("2026-10-05", 6.2), ("2026-11-01", 6.9), ("2026-11-20", 7.3), ("2026-11-01", 7)):
        path = f"/v1/metrics/operations/satisfaction/values/{day}"
        assert (await world.http.put(path, json={"value": value}, headers=headers)).status_code == 200


async def test_every_page_is_there(world: World) -> None:
    await filled(world)
    reader, admin = await window(world, "read"), await window(world, "admin")
    for path in PAGES:
        for who in (reader, admin):
            page = await who.get(path)
            assert page.status_code == 200, path
            assert page.headers["content-type"] == "text/html; charset=utf-8"
    audit = await admin.get("/audit?object=operations/satisfaction")
    assert audit.status_code == 200
    assert "2026-11-20" in audit.text


async def test_an_empty_service_says_what_to_do(world: World) -> None:
    reader = await window(world, "read")
    assert "./krsync apply examples/first.yaml" in (await reader.get("/")).text
    for path in ("/alignment", "/connections", "/runs", "/deliveries"):
        page = await reader.get(path)
        assert page.status_code == 200, path
        assert "empty" in page.text, path


@on_sqlite
async def test_a_stranger_is_sent_to_sign_in_and_back(world: World) -> None:
    await filled(world)
    stranger = Window(world, None)
    for path in (*PAGES, "/audit"):
        page = await stranger.get(path)
        assert page.status_code == 303, path
        assert page.headers["location"].startswith("/login?next=%2F"), path
    fragment = await stranger.get("/fragments/key-results/operations/satisfaction_up", **{"HX-Request": "true"})
    assert (fragment.status_code, fragment.headers["hx-redirect"][:12]) == (401, "/login?next=")


@on_sqlite
async def test_a_token_of_another_team_finds_nothing(world: World) -> None:
    await filled(world)
    await world.apply(team="quiet", private=True, title="Quietly")
    other = await window(world, "read", "write", team="quiet")
    for path in OF_TEAM:
        assert (await other.get(path)).status_code == 404, path
    for path in ("/", "/alignment", "/connections", "/runs", "/deliveries"):
        page = await other.get(path)
        assert page.status_code == 200, path
        assert "operations/" not in page.text, path


@on_sqlite
async def test_a_private_team_is_hidden_from_all_but_its_own_and_admins(world: World) -> None:
    await filled(world)
    await world.apply(team="quiet", private=True, title="Quietly")
    reader, admin, own = await window(world, "read", "write"), await window(world, "admin"), None
    own = await window(world, "read", team="quiet")
    for path in (one.replace("operations", "quiet") for one in OF_TEAM):
        assert (await reader.get(path)).status_code == 404, path
        assert (await admin.get(path)).status_code == 200, path
        assert (await own.get(path)).status_code == 200, path
    for path in ("/", "/alignment", "/connections", "/runs", "/deliveries"):
        shown = (await reader.get(path)).text
        assert "quiet/" not in shown, path
        assert "Quietly" not in shown, path
    for path in ("/connections/quiet/erp/try", "/key-results/quiet/satisfaction_up/check-ins", "/teams/quiet/file"):
        assert (await reader.post(path, {"note": "x", "body": "{}", "file": ""})).status_code == 404, path


@on_sqlite
async def test_what_is_not_there_is_a_page_too(world: World) -> None:
    await filled(world)
    reader = await window(world, "read")
    for path in ("/teams/no", "/key-results/operations/no", "/connections/operations/no", "/nowhere", "/static/no.js"):
        page = await reader.get(path)
        assert page.status_code == 404, path
        assert "To the overview" in page.text, path


async def test_a_check_in_is_kept_with_its_value(world: World) -> None:
    await filled(world)
    lead = await window(world, "read", "write", team="operations")
    path = "/key-results/operations/satisfaction_up"
    sent = await lead.post(f"{path}/check-ins", {"note": "Asked <everybody>", "value": "7,4", "confidence": "60"})
    assert (sent.status_code, sent.headers["location"]) == (303, f"{path}#check-ins")
    page = (await lead.get(path)).text
    assert "Asked &lt;everybody&gt;" in page
    assert "7.4\u00a0score" in page
    assert "confidence 60\u202f%" in page
    for wrong in (
        {"note": "x", "value": "much"},
        {"note": "x", "value": "NaN"},
        {"note": "x", "value": "1,240"},
        {"note": "x", "confidence": "101"},
        {},
    ):
        assert (await lead.post(f"{path}/check-ins", wrong)).status_code == 422, wrong
    reader = await window(world, "read")
    assert (await reader.post(f"{path}/check-ins", {"note": "x"})).status_code == 403


async def test_the_chart_has_values_expectation_and_what_happened(world: World) -> None:
    await filled(world)
    lead = await window(world, "read", "write")
    await lead.post("/key-results/operations/satisfaction_up/check-ins", {"note": "</script><b>"})
    chart = await chart_of(lead, "/key-results/operations/satisfaction_up")
    value, expected, target, forecast, *_ = chart["series"]
    assert [number for _, number in zip(*value, strict=True)][:3] == [6.2, 7, 7.3]  # the mended one counts
    assert expected == [[chart["start"], chart["end"]], [6, 8]]
    assert target[1] == [8, 8]
    assert forecast == [[], []] or forecast[0][0] == chart["now"]
    assert [mark["kind"] for mark in chart["marks"]] == ["restated", "check_in"]
    assert chart["marks"][0]["text"].replace("\u00a0", " ") == "from 6.9 score to 7 score"
    assert chart["marks"][-1]["text"] == "</script><b>"


async def test_the_expectation_follows_the_pace_of_the_key_result(world: World) -> None:
    key_result = {"metric": "satisfaction", "baseline": 6, "target": 9, "steps": "month"}
    await world.apply(objectives={"a": {"title": "A", "cycle": "2026-Q4", "key_results": {"stepped": key_result}}})
    headers = await world.as_("write")
    await world.http.put("/v1/metrics/operations/satisfaction/values/2026-11-20", json={"value": 7}, headers=headers)
    chart = await chart_of(await window(world, "read"), "/key-results/operations/stepped")
    moments, values = chart["series"][1]
    assert len(moments) == 7
    assert values[0] == values[1] == 6
    assert values[2] == values[3] == pytest.approx(6 + 3 * 31 / 92, abs=0.01)
    assert values[4] == values[5] == pytest.approx(6 + 3 * 61 / 92, abs=0.01)
    assert values[-1] == 9


async def test_what_a_person_says_again_is_marked_and_what_is_current_stays(world: World) -> None:
    await filled(world)
    headers = await world.as_("read")
    current = (await world.http.get("/v1/metrics/operations/satisfaction", headers=headers)).json()
    assert current["value"] == "7.3"
    history = (await world.http.get("/v1/metrics/operations/satisfaction/history", headers=headers)).json()["items"]
    told = [(item["value"], item["quality"]) for item in history]
    assert told[1:] == [("6.2", "asserted"), ("6.9", "asserted"), ("7.3", "asserted"), ("7", "restated")]
    assert history[-1]["supersedes"] == history[2]["id"]
    path = "/v1/key-results/operations/satisfaction_up/explain"
    delta = (await world.http.get(path, headers=headers)).json()["delta"]
    assert delta["value_before"] == "6.9"  # as it was shown before the newest


async def test_a_number_is_shown_with_its_rule(world: World) -> None:
    await filled(world)
    why = (await (await window(world, "read")).get("/key-results/operations/orders_up/why")).text
    assert '<h2 id="rule">The rule</h2>' in why
    rule = why.partition('id="rule"')[2]
    assert "datasets:" in rule
    assert "metrics:" in rule
    assert "written by" in rule


async def test_what_a_number_is_made_of_is_counted_for_what_it_is(world: World) -> None:
    """Each side of a ratio has its records, a share of time its stretches; windows begin with the team's days."""
    orders: dict[str, Any] = {"dataset": "orders"}
    placed = orders | {"where": "record.event == 'placed'"}
    month = {"to_date": "month"}
    metrics = {
        "kept": {"ratio": {"good": {"records": placed}, "total": {"records": orders}}},
        "open": {"state_share": orders | {"of": "PO-1", "good": ["placed"]}},
    }
    objective = TEAM_FILE["objectives"]["happy_desk"] | {
        "key_results": {name: {"metric": name, "target": {"maintain": ">= 80"}} for name in metrics}
    }
    await world.apply(
        metrics={name: one | {"unit": "percent", "window": month} for name, one in metrics.items()},
        objectives={"happy_desk": objective},
    )
    world.environ["ERP_SECRET"] = secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    for number, event in enumerate(("placed", "lost", "placed"), 1):
        body = b'{"id": "PO-1", "event": "%s", "at": "2026-11-1%dT09:00:00Z"}' % (event.encode(), number)
        headers = signed(body, world.services.clock(), identity=f"m{number}", secret=secret)
        assert (await world.http.post("/v1/hooks/operations/erp", content=body, headers=headers)).status_code == 202
    await apply_pending(world.services)
    reader = await window(world, "read")
    of = "/key-results/operations"
    kept, opened = [(await reader.get(f"{of}/{name}/why")).text.replace("\u00a0", " ") for name in metrics]
    assert "Records: 2 in good, 3 in total; 1 is left out." in kept
    assert "In it: 2 in good, 3 in total" in kept
    assert "3 stretches are in it, 0 are left out." in opened
    assert "1 Nov 2026 00:00" in kept
    assert "Europe/Berlin" in kept


async def test_what_needs_somebody_is_said_first_with_the_reason(world: World) -> None:
    await filled(world)
    page = (await (await window(world, "read")).get("/")).text
    needed = page.partition('id="attention"')[2].partition("</section>")[0]
    assert "Needs you" in needed
    assert "Nothing has come from its source yet." in needed
    assert 'href="/connections/operations/' in needed
    assert 'id="attention"' not in (await (await window(world, "read")).get("/?show=no_data")).text


async def test_a_file_is_shown_with_its_state(world: World) -> None:
    await filled(world)
    admin = await window(world, "admin")
    shown = (await admin.get("/teams/operations/file")).text
    assert "As it stands" in shown
    assert "the file in Git is what runs" in shown
    headers = await world.as_("write")
    path = "/v1/key-results/operations/satisfaction_up"
    held = (await world.http.get(path, headers=await world.as_("read"))).json()
    body = {"objective": held["objective"], "metric": "satisfaction", "baseline": 6, "target": 9}
    changed = await world.http.put(path, json=body, headers=headers)
    assert changed.status_code == 200, changed.text
    assert "key result satisfaction_up" in (await admin.get("/teams/operations/file")).text


async def chart_of(who: Window, path: str) -> Any:
    found = re.search(r'id="chart-data">(.*?)</script>', (await who.get(path)).text)
    assert found is not None
    return json.loads(found[1])


async def test_a_file_is_planned_before_it_is_applied(world: World) -> None:
    await filled(world)
    lead = await window(world, "read", "write", team="operations")
    text = (await world.http.get("/v1/teams/operations/export", headers=await world.as_("read"))).text
    changed = text.replace("target: 8", "target: 7.5")
    assert changed != text
    assert 'value="apply"' not in (await lead.get("/teams/operations/file")).text
    planned = await lead.post("/teams/operations/file", {"file": changed, "do": "plan"})
    assert planned.status_code == 200
    assert "This is what an apply would do" in planned.text
    assert 'value="apply"' in planned.text
    goal = '6 <span aria-hidden="true">→</span><span class="visually-hidden">to</span> 7.5'
    assert goal not in (await lead.get("/key-results/operations/satisfaction_up")).text
    applied = await lead.post("/teams/operations/file", {"file": changed, "do": "apply"})
    assert "Applied." in applied.text
    assert goal in (await lead.get("/key-results/operations/satisfaction_up")).text
    wrong = await lead.post(
        "/teams/operations/file", {"file": "version: 1\nteam: operations\nmetric: 3\n", "do": "plan"}
    )
    assert wrong.status_code == 422
    assert "nothing was changed" in wrong.text


async def test_a_closed_cycle_shows_its_grades(world: World) -> None:
    await filled(world)
    admin = await window(world, "admin")
    headers = await world.as_("admin")
    closed = await world.http.post(
        "/v1/cycles/operations/2026-Q4/close", json={"early": True, "reason": "A trial"}, headers=headers
    )
    assert closed.status_code == 200, closed.text
    score = {"score": "0.9", "note": "Nearly there"}
    path = "/v1/cycles/operations/2026-Q4/grades/satisfaction_up"
    assert (await world.http.put(path, json=score, headers=headers)).status_code == 200
    page = (await admin.get("/teams/operations/cycles/2026-Q4")).text
    assert "Nearly there" in page
    assert closed.json()["digest"] in page
    assert "Closed" in (await admin.get("/teams/operations/cycles")).text
    own = (await admin.get("/key-results/operations/satisfaction_up?cycle=2026-Q4")).text
    assert "Graded <strong>scored 0.9</strong>" in own
    assert "graded" in (await admin.get("/teams/operations?cycle=2026-Q4")).text
    assert (await admin.get("/teams/operations?cycle=2020-Q1")).status_code == 404


async def test_a_cycle_is_shown_with_the_last_day_that_is_in_it(world: World) -> None:
    await filled(world)
    reader = await window(world, "read")
    for path, shown in (
        ("/teams/operations/cycles/2026-Q4", "1 Oct 2026 to 31 Dec 2026"),
        ("/teams/operations/cycles", "31 Dec 2026"),
        ("/key-results/operations/satisfaction_up", "through 31 Dec 2026"),
    ):
        page = (await reader.get(path)).text.replace("\u00a0", " ")
        assert shown in page, path
        assert "1 Jan 2027" not in page, path


async def test_a_health_check_is_made_and_kept(world: World) -> None:
    await filled(world)
    lead, reader = await window(world, "read", "write"), await window(world, "read")
    assert "as it stands now" in (await reader.get("/teams/operations/health-check")).text
    assert (await lead.post("/teams/operations/health-check")).status_code == 303
    assert "by token:read-write" in (await reader.get("/teams/operations/health-check")).text
    assert (await reader.post("/teams/operations/health-check")).status_code == 403


async def test_each_running_cycle_has_its_health_check_and_one_that_is_made_is_shown(world: World) -> None:
    month = {"title": "A month", "cycle": "2026-11", "key_results": {"placed": {"metric": "orders_placed"} | _GROWS}}
    await world.apply(objectives=TEAM_FILE["objectives"] | {"monthly": month})
    lead = await window(world, "read", "write", team="operations")
    of = "/teams/operations/health-check?cycle="
    assert 'href="?cycle=2026-Q4"' in (await lead.get(f"{of}2026-11")).text
    assert 'href="?cycle=2026-11"' in (await lead.get(f"{of}2026-Q4")).text
    for cycle in ("2026-11", "2026-Q4"):
        made = await lead.post(f"{of}{cycle}")
        assert made.headers["location"] == f"{of}{cycle}"
        assert f"{cycle}, " in (await lead.get(made.headers["location"])).text


async def test_a_delivery_is_tried_and_nothing_is_saved(world: World) -> None:
    await filled(world)
    world.environ["ERP_SECRET"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    lead = await window(world, "read", "write", team="operations")
    path = "/connections/operations/erp/try"
    body = '{"id": "PO-7", "event": "placed", "at": "2026-11-20T09:00:00Z"}'
    page = await lead.post(path, {"body": body, "headers": "webhook-id: msg_1"})
    assert page.status_code == 200
    assert "Signature fails" in page.text
    assert "PO-7" in page.text
    assert "operations/orders_placed" in page.text
    assert (await lead.post(path, {"body": body, "headers": "no colon"})).status_code == 422
    assert (await lead.post(path, {"delivery": "4711"})).status_code == 404
    listed = await world.http.get("/v1/deliveries", headers=await world.as_("read"))
    assert listed.json()["items"] == []


async def test_a_connection_says_what_came_of_what_was_sent_and_what_was_refused(world: World) -> None:
    await filled(world)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    world.environ["ERP_SECRET"] = secret
    path = "/connections/operations/erp"
    body = b'{"event": "po.<cancelled>", "note": "nothing names the order"}'
    now = world.services.clock()
    for number, key in enumerate((secret, secret, "whsec_" + "A" * 32)):
        headers = signed(body, now, identity=f"m{number}", secret=key)
        answer = await world.http.post("/v1/hooks/operations/erp", content=body, headers=headers)
        assert answer.status_code == (202 if key == secret else 401)
    await apply_pending(world.services)
    assert world.api.hooks.door is not None
    assert await world.api.hooks.door.refusals.write()
    lead = await window(world, "read", "write", team="operations")
    page = (await lead.get(path)).text
    came = page.partition('id="came"')[2].partition("</section>")[0]
    assert "po.&lt;cancelled&gt;" in came
    assert "no entity" in came
    assert '<td class="number">2</td>' in came
    assert "The signature does not hold" in page.partition('id="refused"')[2].partition("</section>")[0]
    (latest,) = re.findall(r'name="delivery" value="(\d+)"', came)
    tried = (await lead.post(f"{path}/try", {"delivery": latest})).text
    assert "&#34;note&#34;: &#34;nothing names the order&#34;" in tried
    assert "Try the latest" not in (await (await window(world, "read", team="operations")).get(path)).text


async def test_dead_letters_are_put_back_in_line(world: World) -> None:
    await filled(world)
    lead = await window(world, "read", "write", team="operations")
    world.bell.rings.clear()
    sent = await lead.post("/connections/operations/erp/replay")
    assert sent.status_code == 303
    assert world.bell.rings == ["deliveries"]
    assert (await lead.post("/deliveries/4711/replay")).status_code == 404
