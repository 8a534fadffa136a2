"""What a key result was held to, when: a target that is changed at mid-cycle holds from then on, past points keep
theirs. So with its baseline, its guardrails and the metric that it asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.language import KeyResultSpec, MeasuredBaseline
from app.domain.progress import resolve_target
from app.store import samples
from app.store import terms as store
from app.store.database import Session
from app.store.tables import FrozenBaseline, KeyResult, KeyResultTerms

#: What a key result's file says of its terms.
TERMS = ("target", "baseline", "guardrails", "kind")


@dataclass(frozen=True, slots=True)
class Terms:
    """What held from `since` on (None: from the beginning): the spec as it was then, the metric's id, and the measured
    baseline where that has been replaced since."""

    since: datetime | None
    spec: KeyResultSpec
    metric_id: int
    measured: Decimal | None = None

    def baseline(self, frozen: FrozenBaseline | None) -> Decimal | None:
        """The baseline in force: its number, or what was measured for it."""
        rule = self.spec.baseline
        if not isinstance(rule, MeasuredBaseline):
            return rule
        if self.measured is not None:
            return self.measured
        return frozen.value if frozen is not None and frozen.rule == f"measure:{rule.measure}" else None

    def target(self, frozen: FrozenBaseline | None) -> Decimal | None:
        """The resolved target in force; None for a bound to hold, or while the baseline is not measured."""
        return resolve_target(self.spec.target, self.baseline(frozen))


@dataclass(frozen=True, slots=True)
class TermsHistory:
    """All the terms of a key result, oldest first; never empty."""

    terms: tuple[Terms, ...]

    def at(self, moment: datetime) -> Terms:
        """Those in force at a moment; the first ones before there were any."""
        found = self.terms[0]
        for one in self.terms[1:]:
            if one.since is not None and one.since <= moment:
                found = one
        return found


async def terms_histories(session: Session, rows: Sequence[KeyResult]) -> dict[int, TermsHistory]:
    """The terms of key results by id; the last ones are those of the row itself."""
    kept = await store.terms_of(session, [row.id for row in rows])
    return {row.id: TermsHistory(tuple(_terms(row, kept.get(row.id, ())))) for row in rows}


def _terms(row: KeyResult, kept: Sequence[KeyResultTerms]) -> list[Terms]:
    found = []
    for index, one in enumerate(kept):
        spec = {key: value for key, value in row.spec.items() if key not in TERMS} | {
            key: one.spec[key] for key in TERMS if key in one.spec
        }
        measured = one.spec.get("measured")
        found.append(
            Terms(
                one.since if index else None,
                KeyResultSpec.model_validate(spec),
                one.spec.get("metric_id", row.metric_id),
                None if measured is None else Decimal(measured),
            )
        )
    current = KeyResultSpec.model_validate(row.spec)
    if not found:
        return [Terms(None, current, row.metric_id)]
    found[-1] = Terms(found[-1].since, current, row.metric_id)
    return found


async def note_terms(
    session: Session,
    row: KeyResult,
    spec: Mapping[str, Any] | None = None,
    metric_id: int | None = None,
    *,
    author: str,
    now: datetime,
) -> None:
    """Keep the terms of a key result that was just made, or those that it is about to get (`spec` and `metric_id`);
    nothing where they stay the same."""
    old = _stored(row.spec, row.metric_id)
    if spec is None:
        await store.append_terms(session, row.id, since=now, spec=old, author=author)
        return
    new = _stored(spec, metric_id or row.metric_id)
    if old == new:
        return
    kept = (await store.terms_of(session, [row.id])).get(row.id, [])
    if not kept:
        # It was made before terms were kept.
        await store.append_terms(session, row.id, since=row.created_at, spec=old, author="")
        kept = (await store.terms_of(session, [row.id]))[row.id]
    frozen = (await samples.frozen_baselines(session, [row.id])).get((row.id, ""))
    rule = KeyResultSpec.model_validate(row.spec).baseline
    if frozen is not None and isinstance(rule, MeasuredBaseline) and frozen.rule == f"measure:{rule.measure}":
        # Another measured baseline will take its place: what it was stays with these terms.
        await store.amend_terms(session, kept[-1], measured=format(frozen.value, "f"))
    await store.append_terms(session, row.id, since=now, spec=new, author=author)


def _stored(spec: Mapping[str, Any], metric_id: int) -> dict[str, Any]:
    return {key: spec[key] for key in TERMS if key in spec} | {"metric_id": metric_id}
