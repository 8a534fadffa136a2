"""New revisions → the service that builds them."""

from typing import Any

from app.services import build


async def build_revisions(context: dict[str, Any]) -> None:
    """Someone rang: build what waits, one at a time in this process."""
    building = context["errands"].building
    if building.locked():
        return
    async with building:
        await build.build_revisions(context["services"])
        await context["services"].queue.changed()
