"""Old deliveries, and words of what was touched → the services that drop them."""

from typing import Any

import structlog

from app.services.retention import Retention, purge, purge_words
from app.store.database import is_unavailable

log = structlog.get_logger(__name__)


async def drop_old_deliveries(context: dict[str, Any]) -> None:
    """Drop what is beyond the limits that the operator set."""
    settings = context["settings"]
    try:
        await purge_words(context["services"])
        await purge(context["services"], Retention(settings.deliveries_keep_days, settings.deliveries_keep_mb))
    except Exception as error:
        if not is_unavailable(error):
            raise
        log.warning("retention.store_away", error=type(error).__name__)
