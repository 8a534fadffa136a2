"""Reading the audit log."""

from app.services.paging import decode_id, encode_cursor
from app.services.views import AuditView
from app.store import audit as store
from app.store.database import Database


async def list_audit(
    database: Database, *, team: str | None, kind: str | None, after: str | None, limit: int
) -> tuple[list[AuditView], str | None]:
    """Entries newest first, of one team's objects or of all, with the cursor of the next page."""
    before = decode_id("audit", after)
    async with database.reading() as session:
        found = await store.list_audit(session, team=team, kind=kind, before=before, limit=limit + 1)
    following = encode_cursor("audit", found[limit - 1].id) if len(found) > limit else None
    views = [
        AuditView(
            id=entry.id,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            kind=entry.object_kind,
            object=entry.object_id,
            before=entry.before,
            after=entry.after,
        )
        for entry in found[:limit]
    ]
    return views, following
