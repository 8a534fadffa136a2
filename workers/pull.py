"""A claimed plan → one run of it."""

from typing import Any

from app.services.pull import pull_plan


async def pull(context: dict[str, Any], plan_id: int, fence: int) -> None:
    """Pull a plan under its fencing token. What goes wrong with the tool is kept in the run; a bug of ours raises."""
    try:
        await pull_plan(context["services"], plan_id, fence)
    finally:
        await context["services"].queue.changed()
