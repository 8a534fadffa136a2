"""Closing a cycle: what it ended with is sealed, with its evidence and its grades, under one digest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog

from app.domain.cycle import Cycle
from app.domain.grade import Grade, GradeOverride, Outcome, objective_score, recommended_grade
from app.domain.guardrail import Breach, breaches
from app.errors import Conflict, FieldError, InvalidInput, NotFound
from app.services.context import Services
from app.services.definitions import team_cycle
from app.services.explain import explain
from app.services.input_graph import needs_cycle
from app.services.kept_cycles import release_cycle
from app.services.objectives import list_objectives
from app.services.read.judged import Judged
from app.services.read.judging import judge_rows
from app.services.read.sealed import grade_view, judgement_evidence
from app.services.views import ExplainView, GradeView, GuardrailView, RecommendedGradeView, SealedObjectiveView
from app.store import audit, closes, organisation, samples
from app.store.database import Session
from app.store.organisation import KeyResultFilter
from app.store.tables import CycleClose, Objective, SealedKeyResult, Team

log = structlog.get_logger(__name__)

_JUST_BEFORE = timedelta(microseconds=1)
#: Records whose content the evidence's digest covers, at most, of each key result.
_MOST_RECORDS = 100_000


async def close_cycle(
    services: Services, team: str, cycle: str, *, actor: str, note: str | None = None, early: bool = False
) -> bool:
    """Seal a team's cycle; False where it is closed already. Before its end it takes `early`, and the reason as `note`.

    What is sealed is as at the cycle's end, or at this moment where it is closed early."""
    now = services.clock()
    async with services.database.writing() as session:
        owner, span = await _held(session, team, cycle)
        if await closes.standing_close(session, owner.id, cycle) is not None:
            return False
        if now < span.end:
            if not early:
                raise Conflict(
                    f"The cycle {cycle} ends on {span.end:%Y-%m-%d %H:%M} UTC: to close it before, say so with `early` "
                    "and the reason.",
                    code="cycle_not_ended",
                )
            if not note:
                raise InvalidInput.at("/reason", "required", "A cycle that is closed early needs the reason.")
        ids = await closes.key_results_of(session, owner.id, cycle)
        rows = await organisation.key_result_rows(session, KeyResultFilter(ids=ids, current_only=False))
        judged = await judge_rows(session, rows, now=now, is_closing=True)
        sealed = [await _sealed(session, one, span, now) for one in judged]
        close = CycleClose(
            team_id=owner.id, cycle=cycle, closed_at=now, closed_by=actor, note=note, digest="", objectives=[]
        )
        await closes.append_close(session, close, sealed)
        # From here on the key results read as sealed, and the objectives add up what is.
        close.objectives = await _objectives(session, owner, cycle, judged, sealed, now)
        close.digest = digest = seal_digest(sealed, close.objectives)
        await session.flush()
        await audit.append_audit(
            session,
            at=now,
            actor=actor,
            action="close",
            object_kind="cycle",
            object_id=f"{team}/{cycle}",
            after={"digest": digest, "key_results": len(sealed), "early": now < span.end},
            reason=note,
        )
    log.info("cycle.closed", team=team, cycle=cycle, key_results=len(sealed))
    return True


async def reopen_cycle(services: Services, team: str, cycle: str, *, actor: str, reason: str) -> None:
    """Lift a close: the cycle's values move again. What was sealed is kept, with who reopened it, when and why."""
    now = services.clock()
    async with services.database.writing() as session:
        owner, _ = await _held(session, team, cycle)
        close = await closes.standing_close(session, owner.id, cycle)
        if close is None:
            raise Conflict(f"The cycle {cycle} of {team} is not closed.", code="cycle_not_closed")
        close.reopened_at, close.reopened_by, close.reopened_because = now, actor, reason
        release_cycle(owner, cycle)
        await audit.append_audit(
            session,
            at=now,
            actor=actor,
            action="reopen",
            object_kind="cycle",
            object_id=f"{team}/{cycle}",
            before={"digest": close.digest, "closed_at": close.closed_at.isoformat(), "closed_by": close.closed_by},
            reason=reason,
        )
    log.info("cycle.reopened", team=team, cycle=cycle)


async def override_grade(
    services: Services,
    team: str,
    cycle: str,
    key_result: str,
    *,
    score: Decimal,
    outcome: Outcome,
    note: str,
    actor: str,
) -> GradeView:
    """A person's grade beside the recommended one; the newest word counts, every one is in the audit log."""
    now = services.clock()
    try:
        given = GradeOverride(score=score, note=note, by=actor, at=now, outcome=outcome)
    except ValueError as error:
        message = str(error)
        raise InvalidInput(errors=[FieldError("/score" if "score" in message else "/note", "grade", message)]) from None
    async with services.database.writing() as session:
        owner, _ = await _held(session, team, cycle)
        close = await closes.standing_close(session, owner.id, cycle)
        if close is None:
            raise Conflict(f"The cycle {cycle} of {team} is not closed: grades come with the close.", code="not_closed")
        found = [sealed for sealed, row in await closes.sealed_of(session, close.id) if row.name == key_result]
        if not found:
            raise NotFound
        sealed = found[0]
        before = sealed.row.grade
        sealed.row.grade = {
            "score": format(given.score, "f"),
            "outcome": given.outcome,
            "note": given.note,
            "by": given.by,
            "at": given.at.isoformat(),
        }
        sealed.row.graded_by, sealed.row.grade_note = actor, note
        await session.flush()
        await audit.append_audit(
            session,
            at=now,
            actor=actor,
            action="grade",
            object_kind="key_result",
            object_id=f"{team}/{key_result}",
            before=sealed.row.recommended if before is None else before,
            after={"cycle": cycle} | sealed.row.grade,
            reason=note,
        )
        return grade_view(sealed)


async def _held(session: Session, team: str, cycle: str) -> tuple[Team, Cycle]:
    """The team, held until the transaction ends, and its cycle; NotFound where it has no objective in it."""
    owner = await organisation.lock_team(session, team)
    if owner is None or not await closes.objectives_of(session, owner.id, cycle):
        raise NotFound
    return owner, team_cycle(owner, cycle)


# --- one key result --------------------------------------------------------------------------------------------------


async def _sealed(session: Session, judged: Judged, span: Cycle, now: datetime) -> SealedKeyResult:
    row = judged.row
    explained = await explain(
        session, row.team.name, row.key_result.name, now=now, cycle=row.key_result.cycle, limit=_MOST_RECORDS
    )
    broken = await _breaches(session, judged, span, min(now, span.end))
    grade = recommended_grade(judged.judgement, judged.spec.kind, broken)
    cycle = judged.view.cycle.model_copy(update={"state": "closed"})
    return SealedKeyResult(
        key_result_id=row.key_result.id,
        view=judged.view.model_copy(update={"cycle": cycle, "guardrails": _guardrails(judged, broken)}).model_dump(
            mode="json"
        ),
        evidence=_evidence(explained, judged, min(now, span.end - _JUST_BEFORE)),
        value=judged.view.value,
        recommended=_recommended(grade).model_dump(mode="json"),
    )


def _guardrails(judged: Judged, broken: Sequence[Breach]) -> list[GuardrailView]:
    """As they were served: with the moment since when one does not hold, and the value that broke it."""
    still = {(one.metric, one.must): one for one in broken if one.until is None}
    return [
        view.model_copy(update={"since": one.since, "value_then": one.value, "worst_value": one.worst})
        if view.holds is False and (one := still.get((view.metric, view.must))) is not None
        else view
        for view in judged.view.guardrails
    ]


def _evidence(explained: ExplainView | None, judged: Judged, as_of: datetime) -> dict[str, Any]:
    """The essence of the explanation: what was asked, how much went in, and a digest of all that did."""
    evidence: dict[str, Any] = {"as_of": as_of.isoformat(), "judgement": judgement_evidence(judged.judgement)}
    if explained is None:
        return evidence
    whole = explained.model_dump(mode="json")
    return evidence | {
        "formula": explained.formula,
        "window": whole["window"],
        "revision": whole["revision"],
        "baseline": whole["baseline"],
        "parts": whole["parts"],
        "inputs": whole["inputs"],
        "steps": whole["steps"],
        "included": explained.counts.get("included", 0),
        "excluded": explained.counts.get("excluded", 0),
        "included_digest": _digest(sorted(json.dumps(one, sort_keys=True) for one in whole["included"])),
    }


async def _breaches(session: Session, judged: Judged, span: Cycle, until: datetime) -> list[Breach]:
    """When guardrails were broken within the cycle, from their metrics' samples."""
    found: list[Breach] = []
    for item in judged.view.guardrails:
        team, _, name = item.metric.partition("/")
        metric = await organisation.get_metric(session, team, name)
        revised = None if metric is None else (await organisation.revised_metrics(session, [metric.id])).get(metric.id)
        if metric is None or revised is None:
            continue
        cycle = judged.row.key_result.cycle if await needs_cycle(session, revised) else ""
        rows = await samples.list_samples(session, metric.id, cycle, since=span.start, until=until, limit=100_000)
        history = sorted((row.observed_at, row.id, row.value) for row, _ in rows)
        found += breaches(item.metric, item.must, [(at, value) for at, _, value in history], item.baseline)
    return found


def _recommended(grade: Grade) -> RecommendedGradeView:
    return RecommendedGradeView.model_validate(asdict(grade))


# --- the whole -------------------------------------------------------------------------------------------------------


async def _objectives(
    session: Session,
    team: Team,
    cycle: str,
    judged: Sequence[Judged],
    sealed: Sequence[SealedKeyResult],
    now: datetime,
) -> list[dict[str, Any]]:
    """The cycle's objectives with their roll-up and score, as they are sealed."""
    rolled = {
        view.id: view.roll_up
        for view in (await list_objectives(session, now=now, team=team.name, cycle=cycle, limit=10_000))[0]
    }
    grades = {row.key_result_id: RecommendedGradeView.model_validate(row.recommended) for row in sealed}
    return [
        _objective(team, row, rolled, judged, grades).model_dump(mode="json")
        for row in await closes.objectives_of(session, team.id, cycle)
    ]


def _objective(
    team: Team,
    row: Objective,
    rolled: Mapping[str, Any],
    judged: Sequence[Judged],
    grades: Mapping[int, RecommendedGradeView],
) -> SealedObjectiveView:
    name = f"{team.name}/{row.name}"
    mine = [one for one in judged if one.row.objective.id == row.id]
    scores = [(grades[one.row.key_result.id].score, one.spec.weight) for one in mine]
    roll_up = rolled[name]
    return SealedObjectiveView(
        id=name,
        title=row.spec["title"],
        progress=roll_up.progress,
        status=roll_up.status,
        coverage=roll_up.coverage,
        score=objective_score(scores),
    )


def seal_digest(sealed: Sequence[SealedKeyResult], objectives: Sequence[Any]) -> str:
    """The digest over all that a close sealed: views, evidence and recommended grades, and the objectives."""
    every = sorted(sealed, key=lambda row: row.key_result_id)
    return _digest([[[row.view, row.evidence, row.recommended] for row in every], list(objectives)])


def _digest(value: Any) -> str:
    text = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """A JSON value whose numbers are texts: the same before it is stored, as floats, and after, as decimals."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float | Decimal):
        return format(Decimal(str(value)).normalize(), "f")
    return value
