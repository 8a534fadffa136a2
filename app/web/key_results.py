"""A key result's own page: how it stands, how it came there, where it is heading; and why."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from markupsafe import Markup
from starlette.responses import RedirectResponse

from app.errors import InvalidInput, NotFound
from app.services.check_ins import check_in, list_check_ins
from app.services.explain import explain
from app.services.read import get_key_result, key_result_history
from app.services.views import KeyResultView, SampleView
from app.web.render import HEADERS, page
from app.web.session import Editor, Visitor, World, form_fields

router = APIRouter(include_in_schema=False)

_POINTS = 1000
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
        view = await get_key_result(session, team, name, now=now, cycle=cycle)
        if view is None:
            raise NotFound
        history = await key_result_history(session, team, name, now=now, cycle=cycle, limit=_POINTS) or []
        found = await list_check_ins(session, team, name, cycle=cycle, limit=20)
        check_ins = [] if found is None else found[0]
    return page(
        request,
        "key_result.html",
        now=now,
        principal=visitor,
        view=view,
        team=team,
        history=history,
        check_ins=check_ins,
        chart=_as_json(chart_of(view, history, now)),
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
        actor=editor.actor,
    )
    await services.queue.changed()
    return RedirectResponse(f"/key-results/{team}/{name}", status_code=303, headers=dict(HEADERS))


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
        if view is not None:
            found = await explain(session, team, name, now=now, cycle=cycle, limit=_RECORDS, since=asked)
    if view is None or found is None:
        raise NotFound
    return page(
        request, "why.html", now=now, principal=visitor, view=view, why=found, team=team, since=since, shown=_RECORDS
    )


def _as_json(value: Any) -> Markup:
    """JSON inside a script element of a page: nothing in it can end the element."""
    text = json.dumps(value, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704


def chart_of(view: KeyResultView, history: Sequence[SampleView], now: datetime) -> dict[str, Any]:
    """The columns of the chart (seconds, value, expected, target, forecast, its interval's ends) and its marks."""
    start, end = _midnight(view.cycle.start), _midnight(view.cycle.end)
    values: dict[float, float | None] = {
        sample.observed_at.timestamp(): None if sample.value is None else float(sample.value) for sample in history
    }
    last = max(values, default=None)
    is_running = start <= now.timestamp() < end
    if last is not None and is_running and now.timestamp() > last:
        values[now.timestamp()] = values[last]  # it still stands
    forecast = view.forecast if is_running else None
    moments = sorted({start, end, *values})
    anchor = now.timestamp() if forecast is not None else None
    if anchor is not None and anchor not in moments:
        moments = sorted({*moments, anchor})
    standing = None if last is None else values[last]

    def ahead(at: float, value: Decimal) -> float | None:
        if anchor is None:
            return None
        return standing if at == anchor else float(value) if at == end else None

    return {
        "start": min(moments),
        "end": max(moments),
        "columns": [
            moments,
            [values.get(at) for at in moments],
            [_expected(view, at, start, end) for at in moments],
            [None if view.target is None else float(view.target) for _ in moments],
            [None if forecast is None else ahead(at, forecast.value_at_end) for at in moments],
            [None if forecast is None else ahead(at, forecast.high) for at in moments],
            [None if forecast is None else ahead(at, forecast.low) for at in moments],
        ],
        "marks": _marks(view, history, now, is_running=is_running),
    }


def _expected(view: KeyResultView, at: float, start: float, end: float) -> float | None:
    """The straight way from baseline to target: shown at the cycle's ends, the chart joins them."""
    if view.baseline is None or view.target is None or at not in (start, end):
        return None
    return float(view.baseline if at == start else view.target)


def _marks(
    view: KeyResultView, history: Sequence[SampleView], now: datetime, *, is_running: bool
) -> list[dict[str, Any]]:
    marks: list[dict[str, Any]] = [{"at": now.timestamp(), "label": "now", "kind": "now"}] if is_running else []
    for before, after in pairwise(history):
        if after.revision != before.revision:
            marks.append({"at": after.observed_at.timestamp(), "label": f"rule {after.revision}", "kind": "rule"})
    marks += [
        {"at": sample.observed_at.timestamp(), "label": "restated", "kind": "restated"}
        for sample in history
        if sample.supersedes is not None and sample.quality == "restated"
    ]
    if view.check_in is not None:
        marks.append({"at": view.check_in.at.timestamp(), "label": "check-in", "kind": "check-in"})
    return marks


def _midnight(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()
