"""Who changed what, when, from what to what, and why."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.errors import InvalidInput
from app.services.audit import AuditFilter, list_audit
from app.services.views import AuditView
from app.web.render import page
from app.web.session import Administrator, World

router = APIRouter(include_in_schema=False)

_ENTRIES = 100
_MOST_CHANGES = 8
_MOST_LETTERS = 80
Word = Annotated[str | None, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of an object and its texts before and after; None where it was not there."""

    field: str
    before: str | None
    after: str | None


def changes_of(entry: AuditView) -> list[FieldChange]:
    """The fields that an entry changed."""
    before, after = dict(_leaves("", entry.before)), dict(_leaves("", entry.after))
    fields = dict.fromkeys([*before, *after])
    return [
        FieldChange(field or "value", before.get(field), after.get(field))
        for field in fields
        if before.get(field) != after.get(field)
    ]


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), inner)
    elif value is not None:
        is_plain = not isinstance(value, list) or all(isinstance(item, str) for item in value)
        text = str(value) if not isinstance(value, list) else ", ".join(value) if is_plain else json.dumps(value)
        yield path, text if len(text) <= _MOST_LETTERS else text[:_MOST_LETTERS] + "…"


@router.get("/audit")
async def audit_page(
    request: Request,
    services: World,
    administrator: Administrator,
    kind: Word = None,
    object: Word = None,
    actor: Word = None,
    after: Word = None,
) -> Response:
    """The audit log, newest first; a team's admin sees its team's entries."""
    wanted = AuditFilter(team=administrator.team, kind=kind or None, object_id=object or None, actor=actor or None)
    try:
        entries, older = await list_audit(services.database, wanted, after=after, limit=_ENTRIES)
    except InvalidInput:
        entries, older = await list_audit(services.database, wanted, after=None, limit=_ENTRIES)
    return page(
        request,
        "audit.html",
        now=services.clock(),
        principal=administrator,
        entries=[(entry, changes_of(entry)) for entry in entries],
        most=_MOST_CHANGES,
        older=older,
        kind=kind,
        object=object,
        actor=actor,
    )
