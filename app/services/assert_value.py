"""Asserted values: a person or a script says what a manual metric was at the end of a local day."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from app.domain.language import MetricSpec
from app.domain.window import start_of_day
from app.errors import FieldError, InvalidInput, NotFound
from app.services.baselines import freeze_due
from app.services.context import Services
from app.services.definitions import team_zone
from app.services.evaluate import evaluate
from app.services.overrides import override_value
from app.services.read import sample_view
from app.services.views import SampleView
from app.store import audit, inputs, organisation, samples
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.tables import AssertedValue, Sample

_NOT_MANUAL = "only manual metrics take asserted values; another one takes an override, with a note"


async def assert_value(
    services: Services,
    team: str,
    metric: str,
    day: date,
    value: Decimal,
    *,
    note: str | None = None,
    link: str | None = None,
    override: bool = False,
    actor: str,
) -> SampleView:
    """Assert a manual metric's value for a day. Saying the same again changes nothing; another value for the same day
    is a new word, the newest counts. Days to come are refused.

    With `override`, put a value in the place of an automated one: from now on, until that changes."""
    async with services.database.writing() as session:
        now = services.clock()
        if override:
            return await _override_within(session, team, metric, day, value, note, link, actor=actor, now=now)
        return await assert_within(session, team, metric, day, value, note=note, link=link, actor=actor, now=now)


async def _override_within(
    session: Session,
    team: str,
    metric: str,
    day: date,
    value: Decimal,
    note: str | None,
    link: str | None,
    *,
    actor: str,
    now: datetime,
) -> SampleView:
    row = await organisation.get_metric(session, team, metric)
    item = None if row is None else (await organisation.revised_metrics(session, [row.id])).get(row.id)
    if row is None or item is None:
        raise NotFound
    if MetricSpec.model_validate(row.spec).manual is not None:
        message = "a manual metric has nothing to override: assert its value"
        raise InvalidInput(errors=[FieldError("/override", "manual", message)])
    if day != now.astimezone(team_zone(item.team)).date():
        raise InvalidInput(errors=[FieldError("/date", "today", "an override holds from today on", "path")])
    sample = await override_value(session, item, value, note=note, link=link, day=day.isoformat(), actor=actor, now=now)
    # Its readers by name: to the evaluation the sample is no news any more.
    await evaluate(session, {row.id, *await inputs.readers_of(session, [row.id])}, now=now)
    return sample_view(sample, item.revision.number)


async def assert_within(
    session: Session,
    team: str,
    metric: str,
    day: date | None,
    value: Decimal,
    *,
    note: str | None = None,
    link: str | None = None,
    actor: str,
    now: datetime,
) -> SampleView:
    """The same inside the caller's transaction; without a day, for today."""
    row = await organisation.get_metric(session, team, metric)
    item = None if row is None else (await organisation.revised_metrics(session, [row.id])).get(row.id)
    if row is None or item is None:
        raise NotFound
    if MetricSpec.model_validate(row.spec).manual is None:
        raise InvalidInput(errors=[FieldError("", "not_manual", _NOT_MANUAL)])
    zone = team_zone(item.team)
    today = now.astimezone(zone).date()
    day = today if day is None else day
    if day > today:
        raise InvalidInput(errors=[FieldError("/date", "future", "a day to come has no value yet")])
    end_of_day = start_of_day(day + timedelta(days=1), zone)
    known = await samples.asserted_for_day(session, row.id, day.isoformat())
    if known is None or (known.value, known.note, known.link) != (value, note, link):
        await samples.append_asserted(
            session,
            AssertedValue(
                metric_id=row.id,
                day=day.isoformat(),
                effective_at=min(end_of_day, now) if day == today else end_of_day,
                value=value,
                note=note,
                link=link,
                author=actor,
                recorded_at=now,
            ),
        )
        await audit.append_audit(
            session,
            at=now,
            actor=actor,
            action="assert",
            object_kind="metric",
            object_id=f"{team}/{metric}",
            before=None if known is None else {"day": known.day, "value": format(known.value, "f")},
            after={"day": day.isoformat(), "value": format(value, "f"), "note": note},
        )
        await evaluate(session, [row.id], now=now)
        await _keep_past(session, item, value, end_of_day, now)
        await freeze_due(session, now=now, team_id=item.team.id)
    current = (await samples.current_samples(session, [row.id])).values()
    return sample_view(next(iter(current)), item.revision.number)


async def _keep_past(session: Session, item: RevisedMetric, value: Decimal, moment: datetime, now: datetime) -> None:
    """Keep what is said of a past moment where something newer stays current: a history shows both words about it."""
    current = (await samples.current_samples(session, [item.metric.id])).get((item.metric.id, ""))
    if current is None or current.observed_at <= moment:
        return
    before = await samples.sample_before(session, item.metric.id, "", as_of=moment)
    if before is not None and before.value == value:
        return
    sample = Sample(
        metric_id=item.metric.id,
        revision_id=item.revision.id,
        cycle="",
        value=value,
        quality=samples.RESTATED,
        observed_at=moment,
        measured_at=now,
        recorded_at=now,
        supersedes=None if before is None else before.id,
    )
    await samples.append_past_sample(session, sample)


def parse_day(text: str) -> date:
    """`2026-11-22` as a date; InvalidInput for anything else."""
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise InvalidInput(errors=[FieldError("/date", "date", "a date such as 2026-11-22 is expected", "path")])
    return found
