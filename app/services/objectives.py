"""Objectives as readers get them: each with its roll-up, and all that went into it."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal

from app.services.alignment import (
    Cascade,
    Owned,
    cascade,
    contribution_views,
    contributions_of,
    roll_up_view,
)
from app.services.definitions import team_cycle
from app.services.read import cycle_view, with_outlook
from app.services.views import ContributesToView, KeyResultView, ObjectiveView
from app.store import organisation
from app.store.database import Session


async def list_objectives(
    session: Session,
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    team: str | None = None,
    name: str | None = None,
    cycle: str | None = None,
    focus: str | None = None,
    expand: bool = False,
    after: int = 0,
    limit: int = 100,
    hidden: Collection[str] = (),
) -> tuple[list[ObjectiveView], int | None]:
    """A page of objectives with their roll-up, and the id to go on after. `hidden` teams are not listed."""
    found = await organisation.list_objectives(
        session,
        team=team,
        name=name,
        cycle=cycle,
        focus=focus,
        after=after,
        limit=limit + 1,
        current_only=cycle is None,
        hidden=hidden,
    )
    page = found[:limit]
    known = await cascade(session, page, now=now, as_of=as_of, known_at=known_at)
    expanded: dict[int, KeyResultView] = {}
    if expand:
        listed = [item for objective, _ in page for item in known.judged.get(objective.id, ())]
        looked = await with_outlook(session, listed, now=now, as_of=as_of, known_at=known_at)
        expanded = {item.row.key_result.id: item.view for item in looked}
    views = [_view(one, known, expanded if expand else None, hidden, now) for one in page]
    return views, page[-1][0].id if len(found) > limit else None


async def get_objective(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    cycle: str | None = None,
    expand: bool = False,
    hidden: Collection[str] = (),
) -> ObjectiveView | None:
    """One objective with its roll-up: its current instance, or that of a cycle."""
    views, _ = await list_objectives(
        session,
        now=now,
        as_of=as_of,
        known_at=known_at,
        team=team,
        name=name,
        cycle=cycle,
        expand=expand,
        limit=1,
        hidden=hidden,
    )
    return views[0] if views else None


def _view(
    one: Owned,
    known: Cascade,
    expanded: dict[int, KeyResultView] | None,
    hidden: Collection[str],
    now: datetime,
) -> ObjectiveView:
    objective, owner = one
    spec, mine, below = objective.spec, known.judged.get(objective.id, ()), known.below[objective.id]
    names = {str(child.id): None if team.name in hidden else f"{team.name}/{child.name}" for (child, team), _ in below}
    lifecycle: Literal["active", "paused", "dropped"] = (
        "dropped" if spec.get("dropped") else "paused" if spec.get("paused") else "active"
    )
    return ObjectiveView(
        id=f"{owner.name}/{objective.name}",
        title=spec["title"],
        description=spec.get("description"),
        team=owner.name,
        cycle=cycle_view(team_cycle(owner, objective.cycle), owner, now),
        focus=spec.get("focus"),
        owner=spec.get("owner"),
        supports=list(spec.get("supports", ())),
        contributes_to=[
            ContributesToView(objective=target, weight=weight) for target, weight in contributions_of(spec)
        ],
        contributions=contribution_views(below, known.rolled, hidden),
        stand_alone=bool(spec.get("stand_alone")),
        lifecycle=lifecycle,
        lifecycle_reason=spec.get("dropped") or spec.get("paused"),
        roll_up=roll_up_view(known.rolled[objective.id], names),
        key_result_ids=[item.view.id for item in mine],
        key_results=None if expanded is None else [expanded[item.row.key_result.id] for item in mine],
        managed_by=objective.managed_by,
        version=objective.version,
    )
