"""A person's value in the place of an automated one: visible, with a note, until the automated value changes."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import structlog

from app.domain.window import UNBOUNDED
from app.errors import FieldError, InvalidInput
from app.services.computed import Computed
from app.services.views.key_results import OverrideView
from app.store import audit, samples
from app.store import overrides as store
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.overrides import Override
from app.store.tables import AssertedValue, Sample

log = structlog.get_logger(__name__)

#: The quality of a sample that holds a person's value in the place of an automated one.
OVERRIDE = "override"


async def settle(session: Session, before: Sample | None, computed: Computed, now: datetime) -> Computed:
    """What counts, where `before` is a metric's current sample: the person's value while the automated one is what it
    was, and from its first change on the automated one."""
    if before is None or before.quality != OVERRIDE:
        return computed
    found = (await store.active_overrides(session, [before.metric_id])).get((before.metric_id, before.cycle))
    if found is None:
        return computed
    if computed.value == found.sample.value:
        return stand_in(computed, found)
    await store.expire_override(session, found.row.id, now)
    log.info("override.expired", metric=before.metric_id, override=found.row.id)
    return computed


def stand_in(computed: Computed, override: Override) -> Computed:
    """The automated value with the person's in its place."""
    return replace(
        computed,
        value=override.row.value,
        reason=None,
        numerator=None,
        denominator=None,
        quality=OVERRIDE,
        observed_at=override.row.effective_at,
    )


async def overridden_inputs(session: Session, metric_ids: Collection[int]) -> dict[tuple[int, str], Computed]:
    """The metrics whose automated value is overridden now, by (metric, cycle): for the formulas that read them."""
    return {
        key: Computed(one.row.value, None, UNBOUNDED, one.row.effective_at, quality=OVERRIDE)
        for key, one in (await store.active_overrides(session, metric_ids)).items()
    }


def override_views(found: Mapping[tuple[int, str], Override]) -> dict[tuple[int, str], OverrideView]:
    """Who overrode what, when and why."""
    return {
        key: OverrideView(
            by=one.row.author, at=one.row.recorded_at, note=one.row.note, automated_value=one.sample.value
        )
        for key, one in found.items()
    }


async def override_value(
    session: Session,
    item: RevisedMetric,
    value: Decimal,
    *,
    note: str | None,
    link: str | None,
    day: str,
    actor: str,
    now: datetime,
) -> Sample:
    """Put a value in the place of a metric's current one; the new current sample. Saying the same again changes
    nothing."""
    if not note:
        raise InvalidInput(errors=[FieldError("/note", "required", "an override needs a note that says why")])
    current = [one for (_, _), one in (await samples.current_samples(session, [item.metric.id])).items()]
    if not current:
        raise InvalidInput(errors=[FieldError("/override", "no_value", "there is no value yet to override")])
    before = max(current, key=lambda one: one.id)  # the newest cycle's, where the metric has one each
    active = (await store.active_overrides(session, [item.metric.id])).get((item.metric.id, before.cycle))
    if active is not None:
        if (active.row.value, active.row.note, active.row.link) == (value, note, link):
            return before
        await store.expire_override(session, active.row.id, now)
    automated = before if active is None else active.sample
    await samples.append_asserted(
        session,
        AssertedValue(
            metric_id=item.metric.id,
            day=day,
            effective_at=now,
            value=value,
            note=note,
            link=link,
            author=actor,
            recorded_at=now,
            is_override=True,
            overridden_sample_id=automated.id,
        ),
    )
    await audit.append_audit(
        session,
        at=now,
        actor=actor,
        action="override",
        object_kind="metric",
        object_id=f"{item.team.name}/{item.metric.name}",
        before={"value": None if before.value is None else format(before.value, "f")},
        after={"value": format(value, "f"), "note": note},
        reason=note,
    )
    sample = Sample(
        metric_id=item.metric.id,
        revision_id=item.revision.id,
        cycle=before.cycle,
        window_start=before.window_start,
        window_end=before.window_end,
        value=value,
        reason=None,
        sample_size=before.sample_size,
        quality=OVERRIDE,
        observed_at=now,
        measured_at=now,
        recorded_at=now,
        supersedes=before.id,
    )
    await samples.append_sample(session, sample)
    return sample
