"""Every template, from `krsync template show` to a value: it is applied as it is printed, its tool sends what the
template's comment says it has to, and the key result shows the number that was worked out by hand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import pytest

from app.domain.document import read_yaml
from app.services.team_file import check_team_file
from app.services.templates import TemplateError, filled, names, settable, template
from connectors.registry import connectors
from tests.conftest import FakeClock
from tests.fakes.jira_cloud import TOKEN, JiraCloudFake
from tests.fakes.jira_issues import Json, SiteData, issue, status, status_change
from tests.journeys.support import HOOK_SECRET, LocalService, exact, local_service, signed

AREAS = {"process_efficiency", "cost_management", "quality_control", "service_levels"}
MONITOR_TOKEN = "only-the-monitor-has-this-token"


def at(text: str) -> str:
    """`11-02 08:00` of 2026 in UTC, as senders write moments. Berlin is an hour ahead from 25 October."""
    return f"2026-{text.replace(' ', 'T')}:00Z"


@dataclass(frozen=True)
class Told:
    """What is sent (by connection), said by people (by metric) and kept by Jira, and what then is the value."""

    value: Fraction
    progress: Fraction | None
    sent: dict[str, list[Json]] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    issues: list[Json] = field(default_factory=list)


def steps(key: str, entities: dict[str, tuple[tuple[str, str], ...]], **more: str) -> list[Json]:
    """An event for every step (event, moment) of every entity."""
    return [
        {key: entity, "event": event, "at": at(moment), **more}
        for entity, happened in entities.items()
        for event, moment in happened
    ]


def orders() -> list[Json]:
    happened = {
        "1": (("po.requested", "11-02 08:00"), ("po.approved", "11-11 08:00")),
        "2": (("po.requested", "11-02 08:00"), ("po.approved", "11-04 08:00"), ("po.approved", "11-13 08:00")),
        "3": (("po.requested", "11-02 08:00"), ("po.approved", "11-19 08:00")),
    }
    sent = [
        {"event": event, "occurred_at": at(moment), "po": {"id": order}}
        for order, events in happened.items()
        for event, moment in events
    ]
    return [*sent, {"event": "stock.moved", "occurred_at": at("11-03 08:00")}]


TO_DO, DOING, DONE = status("1", "Open", "new"), status("2", "Doing", "indeterminate"), status("3", "Done", "done")


def jira_issue(number: int, project: str, kind: str, created: str, done: str, started: str | None = None) -> Json:
    """A finished issue."""
    moments = [(TO_DO, DOING, started)] if started else []
    changes = [*moments, (DOING if started else TO_DO, DONE, done)]
    histories = [status_change(number * 10 + i, at(moment), *pair) for i, (*pair, moment) in enumerate(changes)]
    fields = {
        "summary": f"{kind} {number}",
        "project": {"id": "1", "key": project, "name": project},
        "issuetype": {"name": kind},
        "status": DONE,
        "resolution": {"name": "Done"},
        "labels": [],
        "created": at(created),
        "updated": at(done),
        "resolutiondate": at(done),
    }
    return issue(10_000 + number, f"{project}-{number}", fields, histories)


def states() -> list[Json]:
    happened = (
        ("up", "2026-09-30T22:00:00Z"),  # the quarter begins at midnight in Berlin
        ("down", at("11-10 10:00")),
        ("degraded", at("11-10 10:30")),
        ("maintenance", at("11-15 00:00")),
        ("up", at("11-15 06:00")),
    )
    return [{"service": "erp", "state": state, "ts": moment} for state, moment in happened] + [
        {"service": "wiki", "state": "down", "ts": at("11-01 00:00")}
    ]


def uptime() -> Fraction:
    measured = datetime(2026, 11, 22, 9, 30, tzinfo=UTC) - datetime(2026, 9, 30, 22, tzinfo=UTC) - timedelta(hours=6)
    return 100 * (1 - Fraction(timedelta(minutes=30) // timedelta(seconds=1), measured // timedelta(seconds=1)))


STORY: dict[str, Told] = {
    "onboarding_time": Told(  # 5, 8 and 11 working days
        value=Fraction(8),
        progress=Fraction(7, 10),
        issues=[
            jira_issue(1, "ONB", "Onboarding", "11-01 08:00", "11-09 08:00", "11-02 08:00"),
            jira_issue(2, "ONB", "Onboarding", "11-01 08:00", "11-12 16:00", "11-03 08:00"),
            jira_issue(3, "ONB", "Onboarding", "11-01 08:00", "11-18 16:00", "11-04 08:00"),
            jira_issue(4, "ONB", "Task", "11-01 08:00", "11-18 16:00", "11-04 08:00"),
        ],
    ),
    "procurement_time": Told(value=Fraction(9), progress=Fraction(1), sent={"erp": orders()}),  # 7, 9 and 13
    "erp_availability": Told(value=uptime(), progress=None, sent={"monitor": states()}),
    "overhead": Told(
        value=Fraction(160_000),
        progress=None,  # by where it is heading: it is not the value that is judged
        sent={
            "ledger": [
                {"entry": "1", "class": "overhead", "amount": 60_000.25, "booked_at": at("10-12 10:00")},
                {"entry": "2", "class": "overhead", "amount": 99_999.75, "booked_at": at("11-12 10:00")},
                {"entry": "3", "class": "wages", "amount": 80_000, "booked_at": at("11-12 10:00")},
                {"entry": "0", "class": "overhead", "amount": 70_000, "booked_at": "2026-09-28T10:00:00Z"},
            ]
        },
        said={"headcount": "210"},
    ),
    "first_response": Told(  # 2, 4 and 6 working hours
        value=Fraction("5.6"),
        progress=Fraction(92, 100),
        sent={
            "desk": steps(
                "ticket",
                {
                    "T-1": (("opened", "11-09 08:00"), ("replied", "11-09 10:00"), ("replied", "11-09 15:00")),
                    "T-2": (("opened", "11-10 15:00"), ("replied", "11-11 11:00")),
                    "T-3": (("opened", "11-13 12:00"), ("replied", "11-16 10:00")),
                },
            )
        },
    ),
    "error_rate": Told(
        value=Fraction(2),
        progress=Fraction(2, 3),
        sent={
            "orders": [
                {"order": f"A-{n}", "outcome": "lost" if n == 7 else "ok", "at": at("11-12 10:00")} for n in range(50)
            ]
        },
    ),
    "cost_per_ticket": Told(
        value=Fraction(12),
        progress=Fraction(2, 5),
        sent={
            "support_costs": [
                {"entry": "1", "amount": 100.50, "booked_at": at("10-31 16:00")},
                {"entry": "2", "amount": 19.50, "booked_at": at("11-03 16:00")},
            ],
            "support_desk": steps("ticket", {f"T-{n}": (("resolved", "11-12 10:00"),) for n in range(10)})
            + steps("ticket", {"T-1": (("reopened", "11-12 11:00"), ("resolved", "11-12 12:00"))}),
        },
        said={"support_satisfaction": "4.5"},
    ),
    "incident_recovery": Told(  # 90, 120 and 600 minutes
        value=Fraction(120),
        progress=Fraction(2, 3),
        sent={
            "incidents": steps(
                "incident",
                {
                    "1": (("triggered", "11-03 22:00"), ("resolved", "11-03 23:30")),
                    "2": (("triggered", "11-04 08:00"), ("resolved", "11-04 09:00"), ("resolved", "11-04 10:00")),
                    "3": (("triggered", "11-05 08:00"), ("resolved", "11-05 18:00")),
                },
                severity="high",
            )
            + steps("incident", {"4": (("triggered", "11-06 08:00"), ("resolved", "11-06 08:01"))}, severity="low")
        },
    ),
    "invoice_cycle": Told(  # 5 and 15 working days
        value=Fraction(14),
        progress=Fraction(7, 13),
        sent={
            "invoices": steps(
                "invoice",
                {
                    "R-1": (("received", "11-02 08:00"), ("approved", "11-03 08:00"), ("paid", "11-09 08:00")),
                    "R-2": (("received", "11-02 08:00"), ("paid", "11-20 16:00")),
                    "R-3": (("received", "11-03 08:00"), ("approved", "11-04 08:00")),
                },
            )
        },
    ),
    "inventory_accuracy": Told(
        value=Fraction(95),
        progress=Fraction(1, 5),
        sent={
            "stock": [
                {"count": f"C-{n}", "bin": "A", "booked": 12, "counted": 12 - (n == 3), "at": at("11-12 10:00")}
                for n in range(20)
            ]
        },
    ),
    "sla_attainment": Told(
        value=Fraction(90),
        progress=Fraction(8, 13),
        issues=[
            jira_issue(n, "SUP", "Request", "11-10 08:00", "11-12 08:00" if n else "11-12 08:01") for n in range(10)
        ],
    ),
    "automation_share": Told(
        value=Fraction(60),
        progress=Fraction(5, 7),
        sent={
            "workflow": steps(
                "case",
                {
                    **{f"V-{n}": (("started", "11-12 08:00"), ("finished", "11-12 09:00")) for n in range(3)},
                    **{
                        f"M-{n}": (("started", "11-12 08:00"), ("manual", "11-12 08:30"), ("finished", "11-12 09:00"))
                        for n in range(2)
                    },
                    "open": (("started", "11-12 08:00"),),
                },
            )
        },
        said={"case_errors": "1.5"},
    ),
}


def test_there_is_a_story_for_every_template() -> None:
    assert sorted(STORY) == names()
    assert len(names()) == 12
    assert {area for name in names() for area in template(name).focus} == AREAS


@pytest.mark.parametrize("name", names())
async def test_a_template_comes_to_a_value(name: str, database_url: str, clock: FakeClock) -> None:
    told, text = STORY[name], template(name).text
    value: Any = read_yaml(text.encode()).value
    environ = dict(secret_names(value["connections"]))
    site = JiraCloudFake.of(SiteData(told.issues, [TO_DO, DOING, DONE]), now=clock)
    async with local_service(database_url, clock, environ, httpx.ASGITransport(site)) as service:
        outcome = await service.apply("operations", text)
        assert outcome["warnings"] == [] or {one["code"] for one in outcome["warnings"]} <= {"never_seen"}
        await send_all(service, told)
        await service.work()

        (shown,) = await service.items("/v1/key-results")
        assert Decimal(shown["value"]) == exact(told.value)
        assert shown["freshness"]["level"] == "fresh", shown["freshness"]
        if told.progress is not None:
            assert shown["progress"] == pytest.approx(float(told.progress))
        assert shown["status"] not in ("unknown", "not_started", "void")
        assert [one["holds"] for one in shown["guardrails"]] == [True] * len(shown["guardrails"])
        (objective,) = await service.items("/v1/objectives", focus=template(name).focus[0])
        assert objective["key_result_ids"] == [shown["id"]]

        again = await service.apply("operations", text)
        assert {change["action"] for change in again["changes"]} == {"unchanged"}


async def send_all(service: LocalService, told: Told) -> None:
    """Everything that is pushed, newest first: the order of arrival is nobody's promise."""
    for connection, bodies in told.sent.items():
        for number, body in enumerate(reversed(bodies)):
            data = json.dumps(body).encode()
            headers = signed(f"msg_{number}", data, service.clock())
            if connection == "monitor":
                headers = {"content-type": "application/json", "authorization": f"Bearer {MONITOR_TOKEN}"}
            status_code, _ = await service.deliver(f"/v1/hooks/operations/{connection}", data, headers)
            assert status_code == 202
    for metric, value in told.said.items():
        path = f"/v1/metrics/operations/{metric}/values/2026-11-20"
        answer = await service.http.put(path, json={"value": value}, headers=await service.headers("write"))
        assert answer.status_code == 200, answer.text


def secret_names(connections: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for spec in connections.values():
        if spec["connector"] == "jira":
            yield spec["token"]["env"], TOKEN
        else:
            is_bearer = spec["verify"]["scheme"] == "bearer"
            yield spec["verify"]["secret"]["env"], MONITOR_TOKEN if is_bearer else HOOK_SECRET


# --- without a service -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_a_template_is_sound_without_a_warning(name: str) -> None:
    text = template(name).text
    assert text.startswith("# yaml-language-server: $schema=krsync.schema.json\n")
    assert text.endswith("\n")
    assert "\r" not in text
    assert "${" not in text
    checked = check_team_file(read_yaml(text.encode()).value, connectors=connectors())
    assert (checked.problems, checked.warnings, checked.silenced) == ([], [], [])


def test_all_templates_fit_into_one_team_file() -> None:
    whole: dict[str, Any] = {}
    for name in names():
        value: Any = read_yaml(template(name).text.encode()).value
        for key, section in value.items():
            if isinstance(section, dict) and key != "calendar":
                known = whole.setdefault(key, {})
                assert not known.keys() & section.keys(), f"{name} shares a name in {key}"
                known.update(section)
            else:
                assert whole.setdefault(key, section) == section
    checked = check_team_file(whole, connectors=connectors())
    assert checked.problems == []
    assert checked.file is not None
    assert len(checked.file.objectives) == 12


@pytest.mark.parametrize("name", names())
def test_every_value_can_be_set_and_nothing_else_changes(name: str) -> None:
    one = template(name)
    before = flat(read_yaml(one.text.encode()).value)
    for path in settable(one):
        text = filled(one, {path: 'Zoë\'s: "#1" - {x}'})
        after = flat(read_yaml(text.encode()).value)
        assert {key for key in before if before[key] != after[key]} == {path}
        assert after[path] == 'Zoë\'s: "#1" - {x}'
        assert [line.partition("#")[2] for line in one.text.splitlines() if line.startswith("#")] == [
            line.partition("#")[2] for line in text.splitlines() if line.startswith("#")
        ]


def flat(value: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: one for name, item in value.items() for key, one in flat(item, (*path, name)).items()}
    if isinstance(value, list):
        return {key: one for index, item in enumerate(value) for key, one in flat(item, (*path, str(index))).items()}
    return {".".join(path): value}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("5", 5),
        ("0.5", Decimal("0.5")),
        ("-3", -3),
        ("2027-Q1", "2027-Q1"),
        ("no", "no"),
        ("true", "true"),
        ("null", "null"),
        ("dana@acme.example", "dana@acme.example"),
        ("https://jira.acme.example:8443/x", "https://jira.acme.example:8443/x"),
        ("0x1F", "0x1F"),
        ("1e5", "1e5"),
        ("a: b", "a: b"),
        ("- x", "- x"),
        ("*x", "*x"),
        ("x # y", "x # y"),
    ],
)
def test_a_value_is_a_number_or_the_text_that_was_given(given: str, read: object) -> None:
    text = filled(template("onboarding_time"), {"title": given})
    value: Any = read_yaml(text.encode()).value
    assert value["objectives"]["fast_start"]["title"] == read


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"cicle": "2027-Q1"}, "nothing is called 'cicle' here; there are "),
        ({"env": ""}, "is not empty"),
        ({"title": "a\nb"}, "a line of text"),
        ({"unit": "EUR"}, "say which"),
        ({"cycle": "2027-Q1", "lean_overhead.cycle": "2027-Q2"}, "two settings change"),
    ],
)
def test_a_setting_that_is_not_clear_is_refused(values: dict[str, str], said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        filled(template("overhead"), values)


@pytest.mark.parametrize("name", ["nothing", "../templates/overhead", "", "OVERHEAD"])
def test_there_is_no_template_beside_those_listed(name: str) -> None:
    with pytest.raises(TemplateError, match="there are automation_share, "):
        template(name)
