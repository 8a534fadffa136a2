"""What an apply does, in numbers: key results, records, requests and baselines before and after it.

Everything before is noted at the start of the transaction, as the rows themselves change under way.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from app.domain.aggregate import exact, rounded
from app.services.definitions import Definition, definition_of, team_cycle
from app.services.input_graph import asked_by
from app.services.intervals import open_starts
from app.services.plans import UNUSED
from app.services.queries import query_text
from app.services.read import judge_rows
from app.services.views import KeyResultEffect, KeyResultView
from app.services.views.plans import (
    BaselineEffect,
    BuildView,
    ChangeView,
    PlannedRecord,
    RecordsEffect,
    RequestsEffect,
    ToolQuestion,
)
from app.store import organisation, pulls, record_changes, records, samples
from app.store.database import Session
from app.store.facts import Window
from app.store.organisation import KeyResultFilter, RevisedMetric
from app.store.pulls import Pull
from app.store.record_changes import Moved, Numbered
from app.store.tables import Team

#: So many of the records that enter or leave a number are named.
MOST_NAMED = 20
_TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Before:
    """What was so before an apply: key results as they were shown, the revisions that metrics were served under, the
    plans, and the last fact."""

    views: dict[str, KeyResultView]
    served: dict[int, RevisedMetric]
    pulls: dict[str, Pull]
    newest_fact: int


async def note_before(session: Session, team: Team | None, read: Collection[int], *, now: datetime) -> Before:
    """Note what an apply to a team (None: a new one) may change; `read` has the teams whose metrics it reads."""
    if team is None:
        return Before({}, {}, {}, 0)
    rows = await organisation.load_team(session, team)
    metrics = [row.id for row in (*rows.metrics.values(), *rows.inline_metrics.values())]
    return Before(
        views=await shown(session, team.name, now=now),
        served=await organisation.revised_metrics(session, metrics),
        pulls=await pulls.pulls_of(session, {team.id, *read}, unused=UNUSED),
        newest_fact=await record_changes.newest_fact(session),
    )


# --- key results -----------------------------------------------------------------------------------------------------


async def shown(session: Session, team: str, *, now: datetime) -> dict[str, KeyResultView]:
    """A team's key results as readers get them, by `team/name`."""
    rows = await organisation.key_result_rows(session, KeyResultFilter(team=team))
    return {judged.view.id: judged.view for judged in await judge_rows(session, rows, now=now)}


def effects(
    before: Mapping[str, KeyResultView], after: Mapping[str, KeyResultView], changes: list[ChangeView]
) -> list[KeyResultEffect]:
    """The key results whose numbers move; one that is renamed is the same."""
    was = {
        change.id: str(change.reason).removeprefix("was ")
        for change in changes
        if change.kind == "key_result" and change.action == "rename"
    }
    names = (before.keys() - was.values()) | after.keys()
    found = []
    for name in sorted(names):
        old, new = before.get(was.get(name, name)), after.get(name)
        if _numbers(old) != _numbers(new):
            found.append(_effect(name, old, new))
    return found


def _numbers(view: KeyResultView | None) -> tuple[Any, ...] | None:
    return None if view is None else (view.value, view.baseline, view.target, view.progress, view.status)


def _effect(name: str, before: KeyResultView | None, after: KeyResultView | None) -> KeyResultEffect:
    either = after or before
    assert either is not None
    return KeyResultEffect(
        id=name,
        unit=either.metric.unit,
        value_before=None if before is None else before.value,
        value_after=None if after is None else after.value,
        progress_before=None if before is None else before.progress,
        progress_after=None if after is None else after.progress,
        status_before=None if before is None else before.status,
        status_after=None if after is None else after.status,
    )


# --- records ---------------------------------------------------------------------------------------------------------


async def records_moved(
    session: Session, before: Before, metric_ids: Collection[int], *, now: datetime
) -> list[RecordsEffect]:
    """What new rules do to the records in each metric's number; the metrics are built."""
    served = await organisation.revised_metrics(session, metric_ids)
    asked = await asked_by(session, metric_ids)
    # Key results of other teams may want it as well.
    teams = {team.id: team.name for team in await organisation.list_teams(session, limit=100_000)}
    found = []
    for metric_id, item in sorted(served.items(), key=lambda one: one[1].metric.name):
        old = before.served.get(metric_id)
        if old is not None and old.revision.id == item.revision.id:
            continue
        asking = [one for one in asked.get(metric_id, ()) if not one.is_guardrail]
        names = sorted({f"{teams[one.key_result.team_id]}/{one.key_result.name}" for one in asking})
        new_rule = definition_of(item.revision)
        old_rule = None if old is None else definition_of(old.revision)
        needs_cycle = new_rule.spec.needs_cycle or (old_rule is not None and old_rule.spec.needs_cycle)
        cycles = sorted({one.key_result.cycle for one in asking}) if needs_cycle else [""]
        for cycle in cycles:
            after_side = _numbered(item, new_rule, cycle, now, None)
            before_side = (
                None if old is None or old_rule is None else _numbered(old, old_rule, cycle, now, before.newest_fact)
            )
            effect = await _moved(session, item, cycle, old_rule, new_rule, before_side, after_side, names)
            if effect is not None:
                found.append(effect)
    return found


def _numbered(item: RevisedMetric, rule: Definition, cycle: str, now: datetime, newest: int | None) -> Numbered:
    span = team_cycle(item.team, cycle).span if cycle else None
    window = rule.window(now, span if rule.spec.needs_cycle else None)
    measures: Literal["moments", "stretches", "open_durations"] = "moments"
    since = until = None
    if rule.spec.state_share is not None:
        measures = "stretches"
    elif rule.spec.duration is not None and rule.spec.duration.open == "include":
        measures = "open_durations"
        since, until = open_starts(rule.spec.duration, Window(window.start, window.end, now))
    return Numbered(item.revision.id, window.start, window.end, now, measures, newest, since, until)


async def _moved(
    session: Session,
    item: RevisedMetric,
    cycle: str,
    old_rule: Definition | None,
    new_rule: Definition,
    before: Numbered | None,
    after: Numbered,
    key_results: list[str],
) -> RecordsEffect | None:
    entering = await record_changes.count_moved(session, after, before)
    leaving = 0 if before is None else await record_changes.count_moved(session, before, after)
    changing = 0 if before is None else await record_changes.count_changed(session, before, after)
    if not entering and not leaving and not changing:
        return None
    entered = await record_changes.first_moved(session, after, before, MOST_NAMED) if entering else []
    left = await record_changes.first_moved(session, before, after, MOST_NAMED) if leaving and before else []
    return RecordsEffect(
        metric=f"{item.team.name}/{item.metric.name}",
        cycle=cycle or None,
        is_new=before is None,
        entering=entering,
        leaving=leaving,
        changing=changing,
        entered=[_record(one, new_rule, None if before is None else "it was not in the dataset") for one in entered],
        left=[_record(one, old_rule or new_rule, "it is not in the dataset any more") for one in left],
        key_results=key_results,
    )


def _record(moved: Moved, rule: Definition, unknown: str | None) -> PlannedRecord:
    value = moved.value
    if rule.spec.state_share is not None:
        value = None  # whether the stretch is good is no amount
    elif value is not None and rule.divisor != 1:
        value = rounded(exact(value) / rule.divisor)
    reason = moved.reason or ("outside the window" if moved.is_elsewhere else unknown)
    return PlannedRecord(part=moved.part, label=moved.label, at=moved.at, value=value, reason=reason, link=moved.link)


# --- requests --------------------------------------------------------------------------------------------------------


def requests_moved(before: Mapping[str, Pull], after: Mapping[str, Pull]) -> list[RequestsEffect]:
    """The connections that are asked more or less often, in requests an hour."""
    old, new = connections_per_hour(before), connections_per_hour(after)
    found = [
        RequestsEffect(
            connection=name,
            per_hour_before=_tenths(old.get(name, Fraction(0))),
            per_hour_after=_tenths(new.get(name, Fraction(0))),
        )
        for name in sorted(old.keys() | new.keys())
    ]
    return [one for one in found if one.per_hour_before != one.per_hour_after]


def connections_per_hour(plans: Mapping[str, Pull]) -> dict[str, Fraction]:
    """Requests an hour by connection, as `team/name`."""
    sums: dict[str, Fraction] = {}
    for plan in plans.values():
        sums[plan.connection] = sums.get(plan.connection, Fraction(0)) + plan.per_hour
    return sums


def _tenths(number: Fraction) -> Decimal:
    return rounded(number).quantize(_TENTH)


def questions(before: Mapping[str, Pull], after: Mapping[str, Pull]) -> list[ToolQuestion]:
    """What only the tools can say: what is read whole, and what was never asked."""
    found = []
    for key, plan in after.items():
        old = before.get(key)
        if old is not None and (not old.has_cursor or plan.has_cursor or plan.dataset is None):
            continue
        reason, fields = "it was never asked", []
        if plan.dataset is not None:
            reason = "it is new: all of it is read"
            if old is not None:
                fields = sorted(_fields(plan) - _fields(old))
                reason = (
                    "fields that were never fetched" if fields else "what it takes in has changed: it is read whole"
                )
        found.append(
            ToolQuestion(
                connection=plan.connection,
                dataset=plan.dataset,
                query=None if plan.dataset is not None else query_text(plan.query),
                reason=reason,
                fields=fields,
                requests=plan.full_requests if plan.dataset is not None else 1,
            )
        )
    return found


def _fields(plan: Pull) -> set[str]:
    return set((plan.query or {}).get("fields", ()))


# --- baselines -------------------------------------------------------------------------------------------------------


async def baselines(session: Session, team: Team, frozen: Collection[int]) -> list[BaselineEffect]:
    """The baselines that are frozen now, with their values, and those that still wait to be measured."""
    rows = await organisation.load_team(session, team)
    values = await samples.frozen_baselines(session, frozen)
    found = [
        BaselineEffect(key_result=f"{team.name}/{row.name}", guardrail=guardrail or None, value=known.value)
        for row in rows.key_results.values()
        for (key_result_id, guardrail), known in sorted(values.items())
        if key_result_id == row.id
    ]
    waiting = [row for row, owner in await organisation.awaiting_baselines(session, team.id) if owner.id == team.id]
    return found + [BaselineEffect(key_result=f"{team.name}/{row.name}", guardrail=None, value=None) for row in waiting]


# --- what goes on afterwards -----------------------------------------------------------------------------------------


async def building(session: Session, metric_ids: Collection[int]) -> list[BuildView]:
    """The metrics whose new rules have still to be applied to what is stored, in entities done and in all."""
    items = await organisation.revised_metrics(session, metric_ids, building=True)
    found = []
    for item in sorted(items.values(), key=lambda one: one.metric.name):
        read = {part.dataset_id for part in item.parts.values() if part.dataset_id is not None}
        total = sum((await records.count_entities(session, read)).values())
        found.append(BuildView(metric=f"{item.team.name}/{item.metric.name}", done=0, total=total))
    return found
