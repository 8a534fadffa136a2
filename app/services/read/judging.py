"""Rows from the store, judged at a moment.

Now is the fast way: the stored current samples, one query for the list. Another moment (`as_of`, `known_at`, or a cycle
that has ended) is computed from facts and measurements, metric by metric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from app.services.definitions import definition_of, split_reference, team_cycle
from app.services.evaluate import Computed, compute
from app.services.formula_sources import formula_sources
from app.services.input_graph import input_graph, needs_cycle
from app.services.overrides import OVERRIDE, override_views, stand_in
from app.services.read.judged import Judged, judged_row
from app.services.read.sealed import is_sealed_at, sealed_judged
from app.services.sources import sources_then
from app.services.terms import Terms, terms_histories
from app.store import closes, organisation, samples
from app.store.database import Session
from app.store.organisation import KeyResultRow, RevisedMetric
from app.store.overrides import Override, active_overrides, overrides_at
from app.store.tables import Team

_JUST_BEFORE = timedelta(microseconds=1)
T = TypeVar("T")


async def judge_rows(
    session: Session,
    rows: Sequence[KeyResultRow],
    *,
    now: datetime,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    is_closing: bool = False,
) -> list[Judged]:
    """Judge rows at `as_of` (None: now) as known at `known_at` (None: now). What is sealed is as it was sealed; with
    `is_closing` nothing is yet, and all is judged as at its cycle's end."""
    sealed = {} if is_closing else await _sealed(session, rows, as_of=as_of, known_at=known_at)
    every, rows = rows, [row for row in rows if row.key_result.id not in sealed]
    baselines = await samples.frozen_baselines(session, [row.key_result.id for row in rows if row.has_baselines])
    terms: dict[int, Terms] = {}
    if as_of is not None or known_at is not None:
        terms = await _terms_then(session, rows, min(as_of or now, known_at or now))
        rows = await _with_metrics_then(session, rows, terms)
    by_id = {row.key_result.id: row for row in rows}
    guarded = await _guardrail_values(session, rows, terms, now=now, as_of=as_of, known_at=known_at)
    formulas = await formula_sources(
        session,
        [
            RevisedMetric(row.metric, row.revision, row.metric_team, {})
            for row in rows
            if row.revision is not None and definition_of(row.revision).spec.formula is not None
        ],
    )
    then = None
    if as_of is not None or known_at is not None:
        fed = [source for row in rows for source in row.sources]
        fed += [] if formulas is None else formulas.rows()
        then = await sources_then(session, fed, as_of=as_of or now, known_at=known_at or now)
        formulas = None if formulas is None else replace(formulas, then=then)
    replaced = await _overrides(session, rows, now=now, as_of=as_of, known_at=known_at)
    shown = override_views(replaced)
    judged = []
    for given in every:
        if given.key_result.id in sealed:
            judged.append(sealed[given.key_result.id])
            continue
        row = by_id[given.key_result.id]
        cycle = team_cycle(row.team, row.key_result.cycle)
        moment = as_of or now
        computed: Computed | None = None
        if as_of is not None or known_at is not None or now >= cycle.end or is_closing:
            moment = min(moment, cycle.end)
            computed = await _computed_at(session, row, min(moment, cycle.end - _JUST_BEFORE), known_at)
            override = _override_of(replaced, row)
            if computed is not None and override is not None:
                computed = stand_in(computed, override)
        one = judged_row(
            row,
            computed,
            baselines,
            guarded,
            formulas,
            moment=moment,
            now=now,
            is_closing=is_closing,
            terms=terms.get(row.key_result.id),
            then=then,
        )
        override_view = _override_of(shown, row)
        if override_view is not None:
            one = replace(one, view=one.view.model_copy(update={"override": override_view}))
        judged.append(one)
    return judged


async def _overrides(
    session: Session, rows: Sequence[KeyResultRow], *, now: datetime, as_of: datetime | None, known_at: datetime | None
) -> dict[tuple[int, str], Override]:
    """What stands in the place of the rows' automated values; nothing is asked where nothing may."""
    if as_of is None and known_at is None:
        # Now it shows in the current sample; a cycle that has ended is told at its end, row by row.
        live = {row.metric.id for row in rows if row.sample is not None and row.sample.quality == OVERRIDE}
        ended = [row for row in rows if now >= team_cycle(row.team, row.key_result.cycle).end]
        found = await active_overrides(session, live) if live else {}
        for row in ended:
            end = team_cycle(row.team, row.key_result.cycle).end - _JUST_BEFORE
            found |= await overrides_at(session, [row.metric.id], as_of=end)
        return found
    return await overrides_at(session, {row.metric.id for row in rows}, as_of=as_of or now, known_at=known_at)


def _override_of(found: Mapping[tuple[int, str], T], row: KeyResultRow) -> T | None:
    return found.get((row.metric.id, row.key_result.cycle)) or found.get((row.metric.id, ""))


async def _sealed(
    session: Session, rows: Sequence[KeyResultRow], *, as_of: datetime | None, known_at: datetime | None
) -> dict[int, Judged]:
    """The rows whose cycle is closed, where the moment asked for is not within it."""
    by_id = {row.key_result.id: row for row in rows if row.is_sealed}
    found = await closes.sealed_key_results(session, by_id)
    return {
        identity: sealed_judged(by_id[identity], sealed)
        for identity, sealed in found.items()
        if is_sealed_at(sealed, as_of, known_at, team_cycle(by_id[identity].team, by_id[identity].key_result.cycle).end)
    }


async def _terms_then(session: Session, rows: Sequence[KeyResultRow], moment: datetime) -> dict[int, Terms]:
    """The terms in force at a moment, no later than each cycle's end."""
    histories = await terms_histories(session, [row.key_result for row in rows])
    return {
        row.key_result.id: histories[row.key_result.id].at(
            min(moment, team_cycle(row.team, row.key_result.cycle).end - _JUST_BEFORE)
        )
        for row in rows
    }


async def _with_metrics_then(
    session: Session, rows: Sequence[KeyResultRow], terms: Mapping[int, Terms]
) -> list[KeyResultRow]:
    """The rows with the metric that each asked for under its terms, where that was another one and is still there."""
    others = {terms[row.key_result.id].metric_id for row in rows} - {row.metric.id for row in rows}
    if not others:
        return list(rows)
    revised = await organisation.revised_metrics(session, others)
    sources = await organisation.metric_sources(session, [item.revision.id for item in revised.values()])
    found = []
    for row in rows:
        item = revised.get(terms[row.key_result.id].metric_id)
        if item is not None:
            row = replace(
                row,
                metric=item.metric,
                metric_team=item.team,
                revision=item.revision,
                sample=None,
                sources=sources.get(item.revision.id, []),
            )
        found.append(row)
    return found


async def _computed_at(
    session: Session, row: KeyResultRow, as_of: datetime, known_at: datetime | None
) -> Computed | None:
    revised = await organisation.revised_metrics(session, [row.metric.id])
    item = revised.get(row.metric.id)
    if item is None:
        return None
    if known_at is not None:
        # What was known then was known under the rule in force then.
        revision = await organisation.revision_at(session, row.metric.id, known_at)
        if revision is not None and revision.id != item.revision.id:
            item = await organisation.with_revision(session, item, revision)
    cycle = row.key_result.cycle if await needs_cycle(session, item) else ""
    return await compute(session, item, cycle=cycle, as_of=as_of, known_at=known_at)


async def _guardrail_values(
    session: Session,
    rows: Sequence[KeyResultRow],
    terms: Mapping[int, Terms],
    *,
    now: datetime,
    as_of: datetime | None,
    known_at: datetime | None,
) -> dict[tuple[int, str, str], tuple[Decimal | None, str | None]]:
    """(value, why it is unknown) of guardrails' metrics, by (team, metric, cycle)."""
    wanted: dict[tuple[int, str, str], Team] = {}
    named: dict[tuple[int, str], tuple[str, str]] = {}
    for row in rows:
        then = terms.get(row.key_result.id)
        live = row.key_result.spec.get("guardrails", ())
        watched = [item["metric"] for item in live] if then is None else [item.metric for item in then.spec.guardrails]
        for metric_name in watched:
            wanted[(row.team.id, metric_name, row.key_result.cycle)] = row.team
            named[(row.team.id, metric_name)] = split_reference(metric_name, row.team.name)
    if not wanted:
        return {}
    revised = await organisation.revised_named(session, set(named.values()))
    current = await samples.current_samples(session, list(revised))
    graph = await input_graph(session, revised.values())
    known = {(item.team.name, item.metric.name): item for item in revised.values()}
    values: dict[tuple[int, str, str], tuple[Decimal | None, str | None]] = {}
    for (team_id, name, cycle), team in wanted.items():
        item = known.get(named[(team_id, name)])
        if item is None:
            values[(team_id, name, cycle)] = (None, "it is being built")
            continue
        asked = cycle if graph.needs_cycle(item.metric.id) else ""
        end = team_cycle(team, cycle).end
        if as_of is not None or known_at is not None or now >= end:
            moment = min(as_of or now, end - _JUST_BEFORE)
            computed = await compute(session, item, cycle=asked, as_of=moment, known_at=known_at)
            values[(team_id, name, cycle)] = (computed.value, computed.reason)
        else:
            sample = current.get((item.metric.id, asked))
            values[(team_id, name, cycle)] = (
                (None, "it has no value yet") if sample is None else (sample.value, sample.reason)
            )
    return values
