"""A key result's own page: how it stands, how it came there, where it is heading; and why."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from app.domain.shown import typed_decimal
from app.errors import InvalidInput, NotFound
from app.services.check_ins import check_in, list_check_ins
from app.services.definitions import team_cycle
from app.services.expectation import expected_values
from app.services.explain import explain
from app.services.export import export_rule
from app.services.inventory import get_team
from app.services.read import (
    Judged,
    get_key_result,
    get_metric,
    judged_key_result,
    key_result_history,
    with_outlook,
)
from app.services.tokens import Principal
from app.services.views import ExplainView, MetricView, SampleView
from app.store.database import Session
from app.web.chart import as_json, chart_of, marks_of
from app.web.render import HEADERS, page
from app.web.session import Editor, Visitor, World, form_fields

router = APIRouter(include_in_schema=False)

_POINTS = 1000
_CHECK_INS = 50
_RECORDS = 200
_FINE, _COARSE = timedelta(hours=6), timedelta(days=1)
_LONG = timedelta(days=190)
_BEFORE = timedelta(days=31)
_SAID = ("asserted", "override", "restated")
OfCycle = Annotated[str | None, Query(max_length=70)]


@router.get("/key-results/{team}/{name}")
async def key_result_page(
    request: Request, services: World, visitor: Visitor, team: str, name: str, cycle: OfCycle = None
) -> Response:
    """One key result with its history."""
    now = services.clock()
    if not visitor.may_see(team):
        raise NotFound
    async with services.database.reading() as session:
        judged = await judged_key_result(session, team, name, now=now, cycle=cycle)
        owner = await get_team(session, team)
        if judged is None or owner is None:
            raise NotFound
        view = (await with_outlook(session, [judged], now=now))[0].view
        found = await list_check_ins(session, team, name, cycle=cycle, limit=_CHECK_INS)
        metric_team, _, metric_name = view.metric.id.partition("/")
        metric = await get_metric(session, metric_team, metric_name, now=now)
        history = await _history(session, judged, metric, now=now, asked=cycle)
    check_ins = [] if found is None else found[0]
    marks = marks_of(history, check_ins, view.restatements, view.metric.unit)
    expected = expected_values(judged)
    return page(
        request,
        "key_result.html",
        now=now,
        principal=visitor,
        view=view,
        team=owner,
        objective=judged.row.objective.spec["title"],
        history=sorted(history, key=lambda sample: (sample.observed_at, sample.id)),
        check_ins=check_ins,
        marks=marks,
        takes_values=metric is not None and metric.form == "manual" and metric_team == team,
        chart=as_json(chart_of(view, team_cycle(judged.row.team, view.cycle.name).span, history, expected, marks, now)),
        has_expected=bool(expected),
    )


async def _history(
    session: Session, judged: Judged, metric: MetricView | None, *, now: datetime, asked: str | None
) -> list[SampleView]:
    """What a chart of the cycle has room for, in the order of recording: the last word about each quarter of a day (of
    a long cycle, each day), and everything that people said, which may restate what they said before."""
    row = judged.row
    cycle = team_cycle(row.team, row.key_result.cycle)
    window = None if metric is None else metric.definition.get("window")
    # A window that begins anew with the cycle has nothing to do with what stood before it.
    since = cycle.start if isinstance(window, dict) and "to_date" in window else cycle.start - _BEFORE
    found: dict[int, SampleView] = {}
    for choice in (
        {"step": _FINE if cycle.end - cycle.start < _LONG else _COARSE},
        {"qualities": _SAID},
    ):
        part = await key_result_history(
            session, row.team.name, row.key_result.name, now=now, cycle=asked, since=since, limit=_POINTS, **choice
        )
        found |= {sample.id: sample for sample in part or ()}
    return [found[identity] for identity in sorted(found)]


@router.post("/key-results/{team}/{name}/check-ins")
async def add_check_in(request: Request, services: World, editor: Editor, team: str, name: str) -> Response:
    """Keep a person's word on a key result."""
    fields = await form_fields(request)
    if not editor.may_see(team):
        raise NotFound
    given = fields.get("confidence", "").strip()
    if given and not (given.isascii() and given.isdigit() and int(given) <= 100):
        raise InvalidInput.at("/confidence", "range", "A confidence is a whole number from 0 to 100.")
    await check_in(
        services,
        team,
        name,
        note=fields.get("note", "").strip() or None,
        confidence=Decimal(given) / 100 if given else None,
        blockers=[line.strip() for line in fields.get("blockers", "").split(",") if line.strip()],
        value=_number(fields.get("value", "").strip()),
        actor=editor.actor,
    )
    await services.queue.changed()
    return RedirectResponse(f"/key-results/{team}/{name}#check-ins", status_code=303, headers=dict(HEADERS))


def _number(text: str) -> Decimal | None:
    """The value that a person wrote; None where there is none."""
    if not text:
        return None
    value = typed_decimal(text)
    if value is None:
        raise InvalidInput.at(
            "/value", "number", "A value is a number such as 8.7 or 1240; 1,240 might mean 1.24 or 1240."
        )
    return value


@router.get("/key-results/{team}/{name}/why")
async def why_page(
    request: Request,
    services: World,
    visitor: Visitor,
    team: str,
    name: str,
    cycle: OfCycle = None,
    since: Annotated[str | None, Query(max_length=30)] = None,
) -> Response:
    """The number taken apart, and what changed: since a week ago, or since the sample before."""
    now = services.clock()
    if not visitor.may_see(team):
        raise NotFound
    asked = None if since == "before" else now - timedelta(days=7)
    async with services.database.reading() as session:
        view = await get_key_result(session, team, name, now=now, cycle=cycle)
        found = None
        owner = await get_team(session, team)
        if view is not None:
            found = await explain(session, team, name, now=now, cycle=cycle, limit=_RECORDS, since=asked)
        rule = await _rule(session, visitor, found)
    if view is None or found is None or owner is None:
        raise NotFound
    return page(
        request, "why.html", now=now, principal=visitor, view=view, why=found, team=owner, since=since, rule=rule
    )


async def _rule(session: Session, visitor: Principal, why: ExplainView | None) -> str | None:
    """The rule behind a number as the file has it; None where it is another one by now, or not for the visitor."""
    if why is None or why.revision.number != why.metric.revision:
        return None
    team, _, metric = why.metric.id.partition("/")
    if not visitor.may_see(team):
        return None
    datasets = {str(part.source["dataset"]) for part in why.parts if "dataset" in part.source}
    return await export_rule(session, team, metric, datasets)
