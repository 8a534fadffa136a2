"""History from before there were samples: what a metric was at the end of every local day, computed from the records'
transitions and the stored deliveries, which tell of the past as well as of now. A query that can look back is asked.

Each batch of days is a transaction that also notes how far the job has come, so a job goes on where a killed worker
left it. A sample that was measured is never replaced, and the same day is never reconstructed twice.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import structlog

from app.domain.window import TimeSpan, local_day, start_of_day
from app.services.backfill_queries import Day, Question, ask, asked_of
from app.services.context import Services
from app.services.definitions import definition_of, team_cycle, team_zone
from app.services.evaluate import Computed, compute
from app.services.input_graph import InputGraph, input_graph
from app.store import backfills as store
from app.store import organisation
from app.store.database import Session, is_unavailable
from app.store.organisation import RevisedMetric
from app.store.samples import append_past_sample
from app.store.tables import BackfillJob, Sample, Team
from connectors.contract import Measurement
from connectors.errors import ConnectorError

log = structlog.get_logger(__name__)

#: Days that one transaction reconstructs.
BATCH = 7
_LAST_MOMENT = timedelta(microseconds=1)
_DAY = timedelta(days=1)


async def work_backfills(services: Services) -> int:
    """One batch of every job that is open; returns how many batches were done."""
    async with services.database.reading() as session:
        waiting = [job.id for job in await store.open_jobs(session)]
    done = 0
    for job_id in waiting:
        try:
            async with services.database.reading() as session:
                question = await _question(session, job_id)
            answers = None if question is None else await ask(services, question)
            async with services.database.writing() as session:
                if question is None or answers is None:
                    done += await _step(session, job_id, services.clock())
                else:
                    done += await _take(session, job_id, question, answers, services.clock())
        except ConnectorError as error:
            async with services.database.writing() as session:
                await _skip(session, job_id, f"the tool did not tell: {error}", services.clock())
            done += 1
        except Exception as error:
            if is_unavailable(error):
                raise
            log.exception("backfill.failed", job=job_id)
            async with services.database.writing() as session:
                await _skip(session, job_id, f"it failed ({type(error).__name__})", services.clock())
            done += 1
    return done


# --- one batch -------------------------------------------------------------------------------------------------------


async def _step(session: Session, job_id: int, now: datetime) -> bool:
    """Reconstruct the next days of the job's first metric; whether anything was done."""
    held = await store.hold_job(session, job_id)
    if held is None:
        return False
    job, team = held
    days = _Days(job, team)
    metric_id = job.metrics[0]
    item = (await organisation.revised_metrics(session, [metric_id])).get(metric_id)
    if item is None or item.metric.building_revision_id is not None:
        building = await organisation.revised_metrics(session, [metric_id], building=True)
        if not building:
            _next_metric(job, days, None, now)  # it is no more
        return not building
    graph = await input_graph(session, [item])
    unread = await _unread(session, graph)
    stopped = next(((name, reason) for name, reason in unread.items() if reason is not None), None)
    if stopped is not None:
        _next_metric(job, days, f"{_name(item)}: nothing is known of {stopped[0]} yet: {stopped[1]}", now)
        await session.flush()
        return True
    if unread:
        return False  # the tool's complete read comes first
    job.state = "running"
    earliest, note = await _reach(session, graph, metric_id, start_of_day(days.since, days.zone))
    if earliest is None:
        _next_metric(job, days, note, now)
        return True
    day = max(days.since if job.day is None else date.fromisoformat(job.day), local_day(earliest, days.zone))
    last = min(day + BATCH * _DAY, days.until)
    cycles = await _cycles(session, graph, item)
    while day < last:
        job.samples += await _reconstruct(session, item, graph, cycles, day, now)
        day += _DAY
    job.day = day.isoformat()
    job.done = job.total - len(job.metrics) * days.count + (day - days.since).days
    if day >= days.until:
        _next_metric(job, days, note, now)
    await session.flush()
    return True


async def _question(session: Session, job_id: int) -> Question | None:
    """What a tool is to be asked next, where the job's first metric is a query that can look back."""
    job, team = await store.read_job(session, job_id)
    if job is None or team is None or not job.metrics:
        return None
    item = (await organisation.revised_metrics(session, job.metrics[:1])).get(job.metrics[0])
    asked = None if item is None else await asked_of(session, item)
    if item is None or asked is None:
        return None
    days, definition = _Days(job, team), definition_of(item.revision)
    cycles = await _cycles(session, await input_graph(session, [item]), item)
    first = days.since if job.day is None else date.fromisoformat(job.day)
    wanted = []
    for day in (first + number * _DAY for number in range(min(BATCH, (days.until - first).days))):
        start, end = start_of_day(day, days.zone), start_of_day(day + _DAY, days.zone)
        for cycle, (begins, ends) in cycles.items():
            if not begins <= end - _LAST_MOMENT < ends:
                continue
            if await store.observed(session, item.metric.id, cycle, start, end - _LAST_MOMENT):
                continue
            window = definition.window(end - _LAST_MOMENT, TimeSpan(begins, ends) if cycle else None)
            # What came afterwards, in a longer window, was not known then.
            cut = TimeSpan(window.start, end if window.end is None else min(window.end, end))
            wanted.append(Day(day, cycle, end - _LAST_MOMENT, cut))
    return Question(item, *asked, tuple(wanted))


async def _take(
    session: Session, job_id: int, question: Question, answers: Sequence[tuple[Day, Measurement]], now: datetime
) -> bool:
    """Keep what a tool answered for the job's next days."""
    held = await store.hold_job(session, job_id)
    if held is None or held[0].metrics[:1] != [question.item.metric.id]:
        return False
    job, team = held
    days = _Days(job, team)
    job.state = "running"
    for day, measured in answers:
        start = start_of_day(day.day, days.zone)
        if measured.value is None or await store.observed(
            session, question.item.metric.id, day.cycle, start, day.moment
        ):
            continue
        computed = Computed(measured.value, None, day.window, day.moment)
        await append_past_sample(session, _sample(question.item, day.cycle, computed, day.moment, now))
        job.samples += 1
    first = days.since if job.day is None else date.fromisoformat(job.day)
    following = min(first + BATCH * _DAY, days.until)
    job.day = following.isoformat()
    job.done = job.total - len(job.metrics) * days.count + (following - days.since).days
    if following >= days.until:
        _next_metric(job, days, None, now)
    await session.flush()
    return True


class _Days:
    """The local days of a job: from `since` until the day that it was asked for on, which is not over yet."""

    def __init__(self, job: BackfillJob, team: Team) -> None:
        self.zone = team_zone(team)
        self.since = date.fromisoformat(job.since)
        self.until = local_day(job.created_at, self.zone)
        self.count = (self.until - self.since).days


def _next_metric(job: BackfillJob, days: _Days, note: str | None, now: datetime) -> None:
    job.metrics, job.day = job.metrics[1:], None
    job.done = job.total - len(job.metrics) * days.count
    if note is not None:
        job.notes = [*job.notes, note]
    if not job.metrics:
        job.state, job.finished_at = "done", now
        log.info("backfill.done", job=job.id, samples=job.samples)


async def _skip(session: Session, job_id: int, why: str, now: datetime) -> None:
    """A metric that can not be computed holds up no other."""
    held = await store.hold_job(session, job_id)
    if held is not None and held[0].metrics:
        job, team = held
        found = await organisation.revised_metrics(session, job.metrics[:1])
        name = next((_name(item) for item in found.values()), "a metric")
        _next_metric(job, _Days(job, team), f"{name}: {why}", now)
        await session.flush()


async def _unread(session: Session, graph: InputGraph) -> Mapping[str, str | None]:
    datasets = {
        part.dataset_id for item in graph.items.values() for part in item.parts.values() if part.dataset_id is not None
    }
    return await store.unread_datasets(session, datasets)


async def _reach(
    session: Session, graph: InputGraph, metric_id: int, since: datetime
) -> tuple[datetime | None, str | None]:
    """From when on a metric can be told, and a sentence where that is later than was asked for. None: not at all."""
    name = _name(graph.items[metric_id])
    found = since
    for leaf in graph.leaves(metric_id):
        item = graph.items[leaf]
        definition = definition_of(item.revision)
        if any(part.query_digest for part in item.parts.values()):
            first = await store.earliest_sample(session, leaf)
            said = "" if first is None else f" {first:%Y-%m-%d}"
            return None, f"{name}: no history before{said or ' now'}: the tool tells of {_name(item)} as it is today"
        if not definition.extractions:
            continue
        first = await store.earliest_fact(session, item.revision.id)
        if first is None:
            return None, f"{name}: nothing is kept that {_name(item)} could be told from"
        found = max(found, first)
    note = None if found == since else f"{name}: no history before {found:%Y-%m-%d}, where what is kept begins"
    return found, note


def _name(item: RevisedMetric) -> str:
    return f"{item.team.name}/{item.metric.name}"


async def _cycles(session: Session, graph: InputGraph, item: RevisedMetric) -> dict[str, tuple[datetime, datetime]]:
    """The cycles whose windows the metric is asked for, with their spans; "" alone where it needs none."""
    if not graph.needs_cycle(item.metric.id):
        return {"": (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))}
    spans = {}
    for name in await store.cycles_of_metric(session, [item.metric.id]):
        span = team_cycle(item.team, name)
        spans[name] = (span.start, span.end)
    return spans


async def _reconstruct(
    session: Session,
    item: RevisedMetric,
    graph: InputGraph,
    cycles: Mapping[str, tuple[datetime, datetime]],
    day: date,
    now: datetime,
) -> int:
    """Add what the metric was at the end of a local day, for each cycle that was running; how many samples."""
    zone = team_zone(item.team)
    start, moment = start_of_day(day, zone), start_of_day(day + _DAY, zone) - _LAST_MOMENT
    added = 0
    for cycle, (begins, ends) in cycles.items():
        if not begins <= moment < ends:
            continue
        if await store.observed(session, item.metric.id, cycle, start, moment):
            continue  # it was measured on that day, or reconstructed before
        computed = await compute(session, item, cycle=cycle, as_of=moment, graph=graph)
        before = await store.measured_before(session, item.metric.id, cycle, moment)
        if computed.value is None or (before is not None and before.value == computed.value):
            continue  # nothing is known, or nothing had moved since it was measured
        await append_past_sample(session, _sample(item, cycle, computed, moment, now))
        added += 1
    return added


def _sample(item: RevisedMetric, cycle: str, computed: Computed, moment: datetime, now: datetime) -> Sample:
    return Sample(
        metric_id=item.metric.id,
        revision_id=item.revision.id,
        cycle=cycle,
        window_start=computed.window.start,
        window_end=computed.window.end,
        value=computed.value,
        reason=None,
        sample_size=computed.sample_size,
        numerator=computed.numerator,
        denominator=computed.denominator,
        quality=store.RECONSTRUCTED,
        coverage=computed.coverage,
        observed_at=moment,
        measured_at=now,
        recorded_at=now,
    )
