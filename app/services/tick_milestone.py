"""Ticking a milestone: a person or a script says that a step is done, or that it is not."""

from datetime import datetime

from app.domain.language import MetricSpec
from app.errors import InvalidInput, NotFound
from app.services.baselines import freeze_due
from app.services.context import Services
from app.services.evaluate import evaluate
from app.services.read import sample_view
from app.services.views import SampleView
from app.store import audit, milestones, organisation, samples
from app.store.database import Session
from app.store.tables import MilestoneTick


async def tick_milestone(
    services: Services,
    team: str,
    metric: str,
    step: str,
    *,
    is_done: bool,
    note: str | None = None,
    actor: str,
) -> SampleView:
    """Say from now on whether a step is done; the metric's value afterwards. Saying the same again changes nothing.
    Steps that a query decides can not be ticked."""
    now = services.clock()
    async with services.database.writing() as session:
        row = await organisation.get_metric(session, team, metric)
        item = None if row is None else (await organisation.revised_metrics(session, [row.id])).get(row.id)
        if row is None or item is None:
            raise NotFound
        spec = MetricSpec.model_validate(row.spec)
        found = next((one for one in spec.milestones or () if one.name == step), None)
        if found is None:
            raise NotFound("There is no such milestone.")
        if found.done != "manual":
            raise InvalidInput.at("/step", "not_manual", "This step is decided by its query.", "path")
        await _append(session, row.id, f"{team}/{metric}", step, is_done, note, actor, now)
        await evaluate(session, [row.id], now=now)
        await freeze_due(session, now=now, team_id=item.team.id)
        current = (await samples.current_samples(session, [row.id]))[(row.id, "")]
        return sample_view(current, item.revision.number)


async def _append(
    session: Session, metric_id: int, name: str, step: str, is_done: bool, note: str | None, actor: str, now: datetime
) -> None:
    known = (await milestones.latest_ticks(session, metric_id, as_of=now)).get(step)
    if known is not None and (known.is_done, known.note) == (is_done, note):
        return
    tick = MilestoneTick(
        metric_id=metric_id, step=step, is_done=is_done, effective_at=now, note=note, author=actor, recorded_at=now
    )
    await milestones.append_tick(session, tick)
    await audit.append_audit(
        session,
        at=now,
        actor=actor,
        action="tick",
        object_kind="metric",
        object_id=name,
        before=None if known is None else {"step": step, "done": known.is_done, "note": known.note},
        after={"step": step, "done": is_done, "note": note},
    )
