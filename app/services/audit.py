"""Reading the audit log: who changed what, when, from what to what, and why."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.services.paging import decode_id, encode_cursor
from app.services.views import AuditView
from app.store import audit as store
from app.store.audit import given_reason
from app.store.database import Database, Session
from app.store.tables import Audit

__all__ = ["MOST_EXPORTED", "AuditFilter", "export_audit", "given_reason", "list_audit"]

#: The most entries of one export.
MOST_EXPORTED = 20_000
_PAGE = 1000
_COLUMNS = ("id", "at", "actor", "action", "kind", "object", "before", "after", "reason")
#: What a spreadsheet takes for the start of a formula (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries; None means any. `team` is about one team's objects (`team` or `team/…`); `since` is included,
    `until` is not."""

    team: str | None = None
    kind: str | None = None
    object_id: str | None = None
    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def list_audit(
    database: Database, wanted: AuditFilter, *, after: str | None, limit: int
) -> tuple[list[AuditView], str | None]:
    """Entries newest first, with the cursor of the next page."""
    before = decode_id("audit", after)
    async with database.reading() as session:
        found = await _entries(session, wanted, before, limit + 1)
    following = encode_cursor("audit", found[limit - 1].id) if len(found) > limit else None
    return [_view(entry) for entry in found[:limit]], following


async def export_audit(database: Database, wanted: AuditFilter, *, after: str | None) -> bytes:
    """The newest entries, at most MOST_EXPORTED, as CSV (RFC 4180, UTF-8). No cell is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    async with database.reading() as session:
        before, written = decode_id("audit", after), 0
        while written < MOST_EXPORTED:
            page = await _write_page(session, writer.writerow, wanted, before)
            if not page:
                break
            before, written = page[-1].id, written + len(page)
    return text.getvalue().encode()


async def _write_page(
    session: Session, write: Callable[[list[str]], object], wanted: AuditFilter, before: int | None
) -> list[Audit]:
    page = await _entries(session, wanted, before, _PAGE)
    for entry in page:
        view = _view(entry)
        row = (
            str(view.id),
            view.at.isoformat().replace("+00:00", "Z"),
            view.actor,
            view.action,
            view.kind,
            view.object,
            _json(view.before),
            _json(view.after),
            view.reason or "",
        )
        write([_cell(text) for text in row])
    return page


async def _entries(session: Session, wanted: AuditFilter, before: int | None, limit: int) -> list[Audit]:
    return await store.list_audit(
        session,
        team=wanted.team,
        kind=wanted.kind,
        object_id=wanted.object_id,
        actor=wanted.actor,
        action=wanted.action,
        since=wanted.since,
        until=wanted.until,
        before=before,
        limit=limit,
    )


def _json(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _cell(text: str) -> str:
    """Text that a spreadsheet would run, made text again by an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _view(entry: Audit) -> AuditView:
    return AuditView(
        id=entry.id,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        kind=entry.object_kind,
        object=entry.object_id,
        before=entry.before,
        after=entry.after,
        reason=entry.reason,
    )
