"""What one subject contributes, moment by moment, and the facts that say so in as few rows as possible."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from app.domain.records import Fact

STILL_TO_COME = "its moment is still to come"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule makes of a subject as it stands at one moment; `value` or `reason` is set, never both.

    Neither is for an unfinished duration, which counts from `since`.
    """

    at: datetime | None
    value: Decimal | None = None
    reason: str | None = None
    group: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The outcomes of one subject, each from its moment until the next one's; ascending. The first moment is when the
    subject comes into being, None where nobody knows."""

    subject: str
    entity: str
    label: str
    link: str | None
    steps: Iterable[tuple[datetime | None, Outcome]]

    def facts(self, part: str, horizon: datetime | None) -> Iterator[Fact]:
        """Facts that do not overlap and have no gap, the last one open, neighbours that say the same made one.

        What ended at or before `horizon` is left out.
        """
        steps = list(_compressed(_awaited(self.steps)))
        for index, (start, outcome) in enumerate(steps):
            end = steps[index + 1][0] if index + 1 < len(steps) else None
            if horizon is not None and end is not None and end <= horizon:
                continue
            yield Fact(
                part=part,
                subject=self.subject,
                entity=self.entity,
                at=outcome.at,
                value=outcome.value,
                reason=outcome.reason,
                valid_from=start,
                valid_to=end,
                label=self.label,
                link=self.link,
                group=outcome.group,
                since=outcome.since,
            )


def _awaited(
    steps: Iterable[tuple[datetime | None, Outcome]],
) -> Iterator[tuple[datetime | None, Outcome]]:
    """A contribution placed in the future counts from its moment on: nothing counts before it has happened.

    A stretch of time ends at its moment instead, and is cut at the moment of evaluation by whoever measures it.
    """
    planned: tuple[datetime, Outcome] | None = None
    for start, outcome in steps:
        if planned is not None and start is not None and planned[0] < start:
            yield planned
        planned = None
        is_ahead = outcome.at is not None and (start is None or start < outcome.at)
        if outcome.value is None or outcome.at is None or outcome.since is not None or not is_ahead:
            yield start, outcome
        else:
            yield start, replace(outcome, at=None, value=None, group=None, reason=STILL_TO_COME)
            planned = outcome.at, outcome
    if planned is not None:
        yield planned


def _compressed(
    steps: Iterable[tuple[datetime | None, Outcome]],
) -> Iterator[tuple[datetime | None, Outcome]]:
    last: Outcome | None = None
    for start, outcome in steps:
        if outcome != last:
            yield start, outcome
            last = outcome
