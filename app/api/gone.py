"""What is said of an object that is not there (any more) under a name."""

from app.api.context import Context
from app.errors import NotFound
from app.services.renames import renamed_to


async def gone(context: Context, kind: str, team: str, name: str) -> NotFound:
    """The 404 for an object of a team that the caller may read; it names what the object is called now, if it was
    renamed."""
    async with context.services.database.reading() as session:
        found = await renamed_to(session, kind, team, name)
    return NotFound() if found is None else NotFound(f"It was renamed: it is {found} now.", code="renamed")
