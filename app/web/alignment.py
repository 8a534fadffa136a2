"""The cascade of all teams, drawn."""

from fastapi import APIRouter, Request, Response

from app.domain.status import headline
from app.services.alignment import alignment
from app.services.inventory import list_teams
from app.web import graph
from app.web.render import page
from app.web.session import Visitor, World

router = APIRouter(include_in_schema=False)


@router.get("/alignment")
async def alignment_page(request: Request, services: World, visitor: Visitor) -> Response:
    """Which objective serves which, and how each stands."""
    now = services.clock()
    async with services.database.reading() as session:
        view = await alignment(session, now=now, team=visitor.team, hidden=visitor.hidden, within=visitor.team)
        teams, _ = await list_teams(session, limit=1000, hidden=visitor.hidden)
    return page(
        request,
        "alignment.html",
        now=now,
        principal=visitor,
        view=view,
        drawing=graph.draw(view),
        box=(graph.BOX_WIDTH, graph.BOX_HEIGHT),
        titles={node.id: node.title for node in view.nodes},
        teams={team.id: team.title for team in teams},
        tones={node.id: headline(node.status, "fresh") for node in view.nodes},
    )
