"""What a connector has to know of a window that it is asked for. Pure."""

from datetime import datetime, timedelta

from connectors.contract import Window

# A window that ended longer ago than a pull may take is one of the past: what tells of now says nothing of it.
_PAST = timedelta(hours=1)


def is_past(window: Window, now: datetime) -> bool:
    """Whether the window ended, so that what a tool says of the present is no answer."""
    return window.end is not None and window.end < now - _PAST
