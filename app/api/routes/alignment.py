"""The cascade of objectives as a graph."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.access import Hidden, Reader, narrowed
from app.api.answers import answer
from app.api.context import Context
from app.api.examples import CYCLE
from app.api.openapi import errors, shows
from app.api.parameters import AsOf, CycleText, KnownAt, NameText, StrictQuery, refuse_future
from app.services.alignment import alignment
from app.services.views import AlignmentView

router = APIRouter(prefix="/alignment", tags=["objectives"])

_NODE = {
    "id": "operations/fast_start",
    "title": "Scale internal infrastructure",
    "team": "operations",
    "cycle": CYCLE,
    "progress": 0.63,
    "status": "on_track",
    "coverage": 1.0,
    "key_results": 4,
    "stand_alone": False,
}
_GRAPH = {
    "nodes": [
        {**_NODE, "id": "company/market_expansion", "title": "Enter two markets", "team": "company", "key_results": 0},
        _NODE,
    ],
    "edges": [
        {"from": "operations/fast_start", "to": "company/market_expansion", "kind": "contributes_to", "weight": "2"}
    ],
}


class AlignmentQuery(StrictQuery):
    """Which objectives: with whatever they are tied to directly."""

    team: NameText | None = None
    cycle: CycleText | None = None
    as_of: AsOf = None
    known_at: KnownAt = None


@router.get(
    "",
    summary="Read the cascade as a graph",
    response_model=AlignmentView,
    responses={200: shows(_GRAPH), 304: {"description": "Unchanged."}, **errors()},
)
async def get_alignment(
    request: Request,
    context: Context,
    principal: Reader,
    hidden: Hidden,
    query: Annotated[AlignmentQuery, Query()],
) -> Response:
    """Objectives as nodes; `supports` (shown) and `contributes_to` (weighs) as edges to the objective above. A token
    for one team sees its own objectives."""
    now = context.clock()
    refuse_future(query.as_of, now)
    async with context.services.database.reading() as session:
        view = await alignment(
            session,
            now=now,
            as_of=query.as_of,
            known_at=query.known_at,
            team=narrowed(principal, query.team),
            cycle=query.cycle,
            hidden=hidden,
            within=principal.team,
        )
    return answer(request, view)
