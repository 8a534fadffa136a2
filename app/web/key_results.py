"""A key result's own page: how it stands, how it came there, where it is heading; and why."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from app.domain.strict_json import exact_decimal
from app.errors import InvalidInput, NotFound
from app.services.check_ins import check_in, list_check_ins
from app.services.expectation import expected_values
from app.services.explain import explain
from app.services.inventory import get_team
from app.services.read import get_key_result, get_metric, judged_key_result, key_result_history, with_outlook
from app.web.chart import as_json, chart_of, marks_of
from app.web.render import HEADERS, page
from app.web.session import Editor, Visitor, World, form_fields

router = APIRouter(include_in_schema=False)

_POINTS = 1000
_CHECK_INS = 50
_RECORDS = 200
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
        history = await key_result_history(session, team, name, now=now, cycle=cycle, limit=_POINTS) or []
        found = await list_check_ins(session, team, name, cycle=cycle, limit=_CHECK_INS)
        metric_team, _, metric_name = view.metric.id.partition("/")
        metric = await get_metric(session, metric_team, metric_name, now=now)
    check_ins = [] if found is None else found[0]
    marks = marks_of(history, check_ins)
    return page(
        request,
        "key_result.html",
        now=now,
        principal=visitor,
        view=view,
        team=owner,
        objective=judged.row.objective.spec["title"],
        history=history,
        check_ins=check_ins,
        marks=marks,
        takes_values=metric is not None and metric.form == "manual" and metric_team == team,
        chart=as_json(chart_of(view, history, expected_values(judged), marks, now)),
    )


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
    """The value that a person wrote, with a point or a comma before its decimals."""
    if not text:
        return None
    value = exact_decimal(text.replace(",", "."))
    if value is None:
        raise InvalidInput.at("/value", "number", "A value is a number such as 8.7.")
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
    """The number taken apart, and what changed: since the sample before, or since a week ago."""
    now = services.clock()
    if not visitor.may_see(team):
        raise NotFound
    asked = now - timedelta(days=7) if since == "week" else None
    async with services.database.reading() as session:
        view = await get_key_result(session, team, name, now=now, cycle=cycle)
        found = None
        owner = await get_team(session, team)
        if view is not None:
            found = await explain(session, team, name, now=now, cycle=cycle, limit=_RECORDS, since=asked)
    if view is None or found is None or owner is None:
        raise NotFound
    return page(request, "why.html", now=now, principal=visitor, view=view, why=found, team=owner, since=since)
