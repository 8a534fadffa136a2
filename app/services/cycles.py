"""The cycles that teams have objectives in, as readers get them: running, ended, closed, reopened."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from app.domain.cycle import Cycle
from app.services.definitions import team_cycle
from app.services.read.sealed import grade_view, restatement_views
from app.services.read.shown import cycle_state, cycle_view
from app.services.views import (
    CycleState,
    GradedKeyResultView,
    KeyResultView,
    SealedObjectiveView,
    TeamCycleView,
)
from app.store import closes
from app.store.closes import TeamCycle
from app.store.database import Session
from app.store.tables import CycleClose


async def list_cycles(
    session: Session,
    *,
    now: datetime,
    team: str | None = None,
    cycle: str | None = None,
    after: tuple[str, str] | None = None,
    limit: int = 100,
    hidden: Collection[str] = (),
) -> tuple[list[TeamCycleView], tuple[str, str] | None]:
    """A page of cycles by (team, name), and the pair to go on after."""
    found = await closes.team_cycles(session, team=team, cycle=cycle, after=after, limit=limit + 1, hidden=hidden)
    page = found[:limit]
    closed = await closes.closes_of(session, {item.team.id for item in page})
    views = [_view(item, closed.get((item.team.id, item.cycle)), now) for item in page]
    return views, (page[-1].team.name, page[-1].cycle) if len(found) > limit else None


async def get_cycle(session: Session, team: str, cycle: str, *, now: datetime) -> TeamCycleView | None:
    """One cycle; a closed one with its sealed objectives and the grades of its key results."""
    found = await closes.team_cycles(session, team=team, cycle=cycle, limit=1)
    if not found:
        return None
    item = found[0]
    close = (await closes.closes_of(session, [item.team.id])).get((item.team.id, cycle))
    view = _view(item, close, now)
    if close is None or close.reopened_at is not None:
        return view
    key_results = []
    for sealed, _ in await closes.sealed_of(session, close.id):
        shown = KeyResultView.model_validate(sealed.row.view)
        key_results.append(
            GradedKeyResultView(
                id=shown.id,
                objective=shown.objective,
                title=shown.title,
                value=shown.value,
                progress=shown.progress,
                status=shown.status,
                grade=grade_view(sealed),
                restatements=restatement_views(sealed),
            )
        )
    objectives = [SealedObjectiveView.model_validate(one) for one in close.objectives]
    return view.model_copy(update={"sealed_objectives": objectives, "sealed_key_results": key_results})


def _view(item: TeamCycle, close: CycleClose | None, now: datetime) -> TeamCycleView:
    span = team_cycle(item.team, item.cycle)
    dates = cycle_view(span, item.team)
    closing: dict[str, Any] = {}
    if close is not None:
        names = ("closed_at", "closed_by", "note", "digest", "reopened_at", "reopened_by", "reopened_because")
        closing = {name: getattr(close, name) for name in names}
    return TeamCycleView(
        id=f"{item.team.name}/{item.cycle}",
        team=item.team.name,
        name=item.cycle,
        start=dates.start,
        end=dates.end,
        state=_state(span, close, now),
        objectives=item.objectives,
        key_results=item.key_results,
        is_current=item.is_current,
        **closing,
    )


def _state(span: Cycle, close: CycleClose | None, now: datetime) -> CycleState:
    if close is None:
        return cycle_state(span, now)
    return "closed" if close.reopened_at is None else "reopened"
