"""The evidence of what is measured with the clock: stretches in a state in seconds, and unfinished durations."""

from collections import Counter

from app.domain.aggregate import exact, rounded
from app.services.definitions import Definition, dump
from app.services.intervals import Cut, OpenDuration, cut_stretches, share
from app.services.views import ExplainedPart, ExplainedRecord
from app.store.database import Session
from app.store.facts import Window
from app.store.organisation import RevisedMetric


async def explain_share(
    session: Session, item: RevisedMetric, definition: Definition, part: str, bounds: Window, *, limit: int
) -> tuple[ExplainedPart, list[ExplainedRecord], list[ExplainedRecord]]:
    """A share of time with the stretches that were measured and those that were not, each list the latest `limit`."""
    cuts = await cut_stretches(session, item.revision.id, part, bounds)
    found = share(cuts, bounds)
    measured = [one for one in cuts if one.stretch.value is not None]
    left_out = [one for one in cuts if one.stretch.value is None]
    explained = ExplainedPart(
        part=part,
        source=dump(definition.spec.parts()[part]),
        aggregate="share",
        value=found.value,
        included=len(measured),
        excluded=len(left_out),
        excluded_reasons=dict(Counter(one.stretch.reason or "" for one in left_out).most_common()),
        open=sum(one.is_open for one in measured),
        coverage=None if found.coverage is None else float(found.coverage),
    )
    inside, outside = ([stretch_record(part, one) for one in many[-limit:]] for many in (measured, left_out))
    return explained, inside, outside


def stretch_record(part: str, one: Cut) -> ExplainedRecord:
    stretch = one.stretch
    return ExplainedRecord(
        part=part,
        entity=stretch.entity,
        label=stretch.label,
        at=one.end,
        value=one.seconds,
        reason=stretch.reason,
        link=stretch.link,
        since=one.start,
        state=stretch.state,
        is_good=None if stretch.value is None else bool(stretch.value),
        is_open=one.is_open,
    )


def open_record(part: str, one: OpenDuration, definition: Definition) -> ExplainedRecord:
    """An unfinished duration, in the metric's unit."""
    return ExplainedRecord(
        part=part,
        entity=one.fact.entity,
        label=one.fact.label,
        at=one.at,
        value=rounded(exact(one.seconds) / definition.divisor),
        reason=one.reason,
        link=one.fact.link,
        since=one.fact.since,
        is_open=True,
    )
