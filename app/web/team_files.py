"""A team's file as the service has it: seen, planned in numbers, applied."""

from collections import Counter

from fastapi import APIRouter, Request, Response

from app.domain.document import DocumentError, read_yaml
from app.errors import AppError, NotFound
from app.services.apply import InvalidTeamFile, apply_team_file, plan_team_file
from app.services.export import export_team
from app.services.file_state import file_state
from app.services.inventory import get_team
from app.services.team_file import format_problem
from app.services.views import PlanView
from app.web.render import page
from app.web.session import Editor, Visitor, World, form_fields

router = APIRouter(include_in_schema=False)


@router.get("/teams/{team}/file")
async def file_page(request: Request, services: World, visitor: Visitor, team: str) -> Response:
    """The file that would make the team what it is."""
    text = None
    if visitor.may_see(team):
        async with services.database.reading() as session:
            text = await export_team(session, team)
    if text is None:
        raise NotFound
    return await _shown(request, services, visitor, team, text.decode())


@router.post("/teams/{team}/file")
async def change_file(request: Request, services: World, editor: Editor, team: str) -> Response:
    """Plan the file that was sent, or apply it."""
    fields = await form_fields(request)
    if not editor.may_see(team):
        raise NotFound
    text = fields.get("file", "").replace("\r\n", "\n")
    is_apply = fields.get("do") == "apply"
    problems: list[str] = []
    plan: PlanView | None = None
    try:
        document = read_yaml(text.encode())
        try:
            act = apply_team_file if is_apply else plan_team_file
            plan = await act(services, document.value, team=team, actor=editor.actor, hidden=editor.hidden)
        except InvalidTeamFile as error:
            problems = [format_problem("file", document, problem) for problem in error.problems]
    except DocumentError as error:
        problems = [str(error)]
    except AppError as error:
        problems = [error.detail or error.code]
    return await _shown(request, services, editor, team, text, plan=plan, problems=problems)


async def _shown(
    request: Request,
    services: World,
    visitor: Visitor,
    team: str,
    text: str,
    *,
    plan: PlanView | None = None,
    problems: list[str] | None = None,
) -> Response:
    async with services.database.reading() as session:
        owner = await get_team(session, team)
        state = await file_state(session, team)
    if owner is None or state is None:
        raise NotFound
    return page(
        request,
        "team_file.html",
        now=services.clock(),
        principal=visitor,
        status=422 if problems else 200,
        team=owner,
        state=state,
        counts=Counter(one.kind for one in state.objects),
        text=text,
        plan=plan,
        changes=[change for change in plan.changes if change.action != "unchanged"] if plan else [],
        problems=problems or [],
        can_apply=plan is not None and not plan.is_applied,
    )
