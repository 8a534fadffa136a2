"""Check-ins: a person's word on a key result, with how confident they are and what blocks it."""

from collections.abc import Sequence
from decimal import Decimal

from app.errors import FieldError, InvalidInput, NotFound
from app.services.assert_value import assert_within
from app.services.context import Services
from app.services.definitions import definition_of
from app.services.read import check_in_view
from app.services.views import CheckInView
from app.store import audit, organisation
from app.store import check_ins as store
from app.store.database import Session
from app.store.organisation import KeyResultFilter, KeyResultRow
from app.store.tables import CheckIn


async def check_in(
    services: Services,
    team: str,
    name: str,
    *,
    note: str | None = None,
    confidence: Decimal | None = None,
    blockers: Sequence[str] = (),
    value: Decimal | None = None,
    actor: str,
) -> CheckInView:
    """Say how a key result is doing. A value is for manual metrics of the team itself: it becomes the asserted value of
    today. InvalidInput where nothing is said, or a value is given to a metric that reads its own."""
    if note is None and confidence is None and not blockers and value is None:
        raise InvalidInput(errors=[FieldError("", "empty", "a note, a confidence, blockers or a value are expected")])
    async with services.database.writing() as session:
        now = services.clock()
        row = await _row(session, team, name, None)
        if row is None:
            raise NotFound
        if value is not None:
            _check_takes_values(row)
            await assert_within(session, team, row.metric.name, None, value, note=note, actor=actor, now=now)
        said = CheckIn(
            key_result_id=row.key_result.id,
            at=now,
            author=actor,
            note=note,
            confidence=confidence,
            blockers=list(blockers),
            value=value,
        )
        await store.append_check_in(session, said)
        view = check_in_view(said)
        await audit.append_audit(
            session,
            at=now,
            actor=actor,
            action="check_in",
            object_kind="key_result",
            object_id=f"{team}/{name}",
            after=view.model_dump(mode="json", include={"note", "confidence", "blockers", "value"}),
        )
        return view


async def list_check_ins(
    session: Session, team: str, name: str, *, cycle: str | None = None, before: int | None = None, limit: int = 100
) -> tuple[list[CheckInView], int | None] | None:
    """A page of a key result's check-ins, newest first, and the id to go on before; None where there is no such key
    result."""
    row = await _row(session, team, name, cycle)
    if row is None:
        return None
    found = await store.list_check_ins(session, row.key_result.id, before=before, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return [check_in_view(item) for item in found[:limit]], following


async def _row(session: Session, team: str, name: str, cycle: str | None) -> KeyResultRow | None:
    wanted = KeyResultFilter(team=team, name=name, cycle=cycle, current_only=cycle is None)
    rows = await organisation.key_result_rows(session, wanted)
    return rows[0] if rows else None


def _check_takes_values(row: KeyResultRow) -> None:
    is_manual = row.revision is not None and definition_of(row.revision).spec.manual is not None
    if not is_manual:
        raise InvalidInput(errors=[FieldError("/value", "not_manual", "only manual metrics take values")])
    if row.metric_team.id != row.team.id:
        where = f"{row.metric_team.name}/{row.metric.name}"
        raise InvalidInput(
            errors=[FieldError("/value", "not_own", f"this value is asserted where it is kept: {where}")]
        )
