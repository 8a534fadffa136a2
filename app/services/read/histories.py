"""The samples behind key results and metrics."""

from datetime import datetime, timedelta

from app.domain.progress import progress
from app.services.input_graph import needs_cycle
from app.services.read.key_results import judged_key_result
from app.services.read.shown import coverage_of, number
from app.services.terms import TermsHistory, terms_histories
from app.services.views import (
    SampleView,
    WindowView,
)
from app.store import organisation, samples
from app.store.database import Session
from app.store.organisation import RevisedMetric
from app.store.tables import FrozenBaseline, Sample


async def key_result_history(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    cycle: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    step: timedelta | None = None,
    after: int = 0,
    limit: int = 1000,
) -> list[SampleView] | None:
    """The samples behind a key result, oldest first, each with the progress it meant; None where there is none."""
    judged = await judged_key_result(session, team, name, now=now, cycle=cycle)
    if judged is None:
        return None
    row = judged.row
    asked = ""
    item = None if row.revision is None else RevisedMetric(row.metric, row.revision, row.metric_team, {})
    if item is not None and await needs_cycle(session, item):
        asked = row.key_result.cycle
    found = await samples.list_samples(
        session, row.metric.id, asked, since=since, until=until, step=step, after=after, limit=limit
    )
    history = (await terms_histories(session, [row.key_result]))[row.key_result.id]
    frozen = (await samples.frozen_baselines(session, [row.key_result.id])).get((row.key_result.id, ""))
    return [sample_view(sample, revision, _reached(sample, history, frozen)) for sample, revision in found]


def _reached(sample: Sample, history: TermsHistory, frozen: FrozenBaseline | None) -> float | None:
    """The progress that a value meant under the terms in force when it was true."""
    terms = history.at(sample.observed_at)
    baseline, target = terms.baseline(frozen), terms.target(frozen)
    if sample.value is None or baseline is None or target is None:
        return None
    return number(progress(sample.value, baseline, target))


async def metric_history(
    session: Session,
    team: str,
    name: str,
    *,
    cycle: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    step: timedelta | None = None,
    after: int = 0,
    limit: int = 1000,
) -> list[SampleView] | None:
    """A metric's samples, oldest first."""
    metric = await organisation.get_metric(session, team, name)
    if metric is None:
        return None
    found = await samples.list_samples(
        session, metric.id, cycle, since=since, until=until, step=step, after=after, limit=limit
    )
    return [sample_view(sample, revision) for sample, revision in found]


def sample_view(sample: Sample, revision: int, reached: float | None = None) -> SampleView:
    return SampleView(
        id=sample.id,
        value=sample.value,
        reason=sample.reason,
        sample_size=sample.sample_size,
        numerator=sample.numerator,
        denominator=sample.denominator,
        coverage=coverage_of(sample),
        quality=sample.quality,
        revision=revision,
        window=WindowView(start=sample.window_start, end=sample.window_end),
        observed_at=sample.observed_at,
        measured_at=sample.measured_at,
        recorded_at=sample.recorded_at,
        supersedes=sample.supersedes,
        progress=reached,
    )
