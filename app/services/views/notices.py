"""What teams are told, as readers see it."""

from datetime import datetime
from typing import Any, Literal

from app.services.views.shared import View

Channel = Literal["slack", "webhook", "email"]


class NoticeWayView(View):
    """A notice on its way through one channel; `next_attempt_at` while it waits."""

    channel: Channel
    state: Literal["waiting", "sent", "dead"]
    failures: int
    next_attempt_at: datetime | None
    sent_at: datetime | None
    error_code: str | None
    error: str | None


class NoticeView(View):
    """Something that a team was told, or is about to be: in words, and as it was then. `resolves` is the message of the
    problem that it ends."""

    id: int
    message_id: str
    team: str
    kind: Literal["key_result.changed", "team.digest", "team.health_check", "connection.paused"]
    subject: str | None
    at: datetime
    summary: str
    resolves: str | None
    channels: list[NoticeWayView]
    data: dict[str, Any]


class PreviewedView(View):
    """What would be told of a key result, and when at the earliest, if it still stands then."""

    key_result: str
    summary: str
    lines: list[str]
    told_at: datetime


class DigestPreviewView(View):
    """The next weekly digest, as it would read now."""

    at: datetime
    summary: str
    lines: list[str]


class PreviewView(View):
    """What a team would be told, and where; nothing is sent. `waiting` notices are on their way already."""

    team: str
    destinations: dict[str, str]
    quiet_until: datetime | None
    changes: list[PreviewedView]
    digest: DigestPreviewView | None
    waiting: int
