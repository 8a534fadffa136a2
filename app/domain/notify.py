"""The team file's `notify` section: where a team is told, what of, and when not."""

import re
from datetime import time, timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, Tag, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from app.domain.scalars import Address, Span, one_of
from app.domain.shapes import Model, Objection, Weekday, refuse

Word = Literal[
    "not_started",
    "on_track",
    "behind",
    "at_risk",
    "met",
    "missed",
    "void",
    "unknown",
    "stale",
    "no_data",
    "error",
    "paused",
    "dropped",
    "guardrail",
]
"""The headline of a key result; `guardrail`: one of its guardrails broke or holds again."""

#: How long a change has to stand before it is told, unless the team says otherwise.
SETTLE = timedelta(minutes=5)
MOST_ADDRESSES = 50

_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS = re.compile(rf"({_TIME})-({_TIME})")
_URL_PATTERN = r"^https?://[^/\s@?#\\]{1,255}(/[^\s\\]{0,1500})?$"


class EnvironmentReference(Model):
    """A secret that an environment variable of the service holds."""

    env: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class FileReference(Model):
    """A secret that a file beside the service holds."""

    file: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


SecretSpec: TypeAlias = Annotated[
    Annotated[EnvironmentReference, Tag("<env>")] | Annotated[FileReference, Tag("<file>")],
    one_of(
        {"<env>": EnvironmentReference, "<file>": FileReference},
        "a secret is a reference, {env: NAME} or {file: /path}, never a literal",
    ),
]


def parse_quiet_hours(text: str) -> tuple[time, time]:
    """`20:00-07:00` as its two times of day; a pydantic error for anything else, or where they are the same."""
    match = _HOURS.fullmatch(text)
    if match is None:
        raise PydanticCustomError("hours", "hours such as 20:00-07:00 are expected")
    begin, end = time.fromisoformat(match[1]), time.fromisoformat(match[3])
    if begin == end:
        raise PydanticCustomError("hours", "quiet hours begin and end at different times")
    return begin, end


def _checked_hours(text: str) -> str:
    parse_quiet_hours(text)
    return text


QuietHours = Annotated[
    str,
    AfterValidator(_checked_hours),
    WithJsonSchema({"type": "string", "pattern": f"^{_TIME}-{_TIME}$", "examples": ["20:00-07:00"]}),
]


def _checked_time(text: str) -> str:
    if re.fullmatch(_TIME, text) is None:
        raise PydanticCustomError("time", "a time of day such as 09:00 is expected")
    return text


def _checked_url(text: str) -> str:
    if re.fullmatch(_URL_PATTERN, text) is None:
        raise PydanticCustomError("url", "an http:// or https:// address without credentials is expected")
    return text


TimeOfDay = Annotated[str, AfterValidator(_checked_time), WithJsonSchema({"type": "string", "pattern": f"^{_TIME}$"})]
Url = Annotated[str, AfterValidator(_checked_url), WithJsonSchema({"type": "string", "pattern": _URL_PATTERN})]


class SlackSpec(Model):
    """A Slack channel: by its incoming webhook, or by its name with a bot's token. With the app's signing secret, the
    team has the `/okr` command; with a token too, check-ins open a form."""

    webhook: SecretSpec | None = None
    channel: Annotated[str, StringConstraints(min_length=1, max_length=80)] | None = None
    token: SecretSpec | None = None
    signing_secret: SecretSpec | None = None
    api: Url = "https://slack.com/api"

    @model_validator(mode="after")
    def _one_way(self) -> "SlackSpec":
        objections = []
        if self.channel is not None and self.token is None:
            objections.append(Objection("slack", "a channel needs the bot's token beside it", "channel"))
        if self.channel is not None and self.webhook is not None:
            objections.append(Objection("slack", "either a webhook or a channel is expected", "webhook"))
        if self.webhook is None and self.channel is None and self.signing_secret is None:
            objections.append(Objection("slack", "a webhook, or a channel and a token, are expected"))
        refuse(objections)
        return self

    @property
    def is_told(self) -> bool:
        """Whether notices go there; a signing secret alone makes only the command."""
        return self.webhook is not None or self.channel is not None


class WebhookTargetSpec(Model):
    """Another program, told by signed webhooks (Standard Webhooks)."""

    url: Url
    secret: SecretSpec


class EmailSpec(Model):
    """People, told by e-mail through the operator's mail server."""

    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=MOST_ADDRESSES)]


class DigestSpec(Model):
    """The weekly digest: when, in the team's timezone."""

    weekday: Weekday = "mon"
    at: TimeOfDay = "09:00"


class NotifySpec(Model):
    """Where a team is told when a key result comes to stand otherwise, and what else it is told."""

    slack: SlackSpec | None = None
    webhook: WebhookTargetSpec | None = None
    email: EmailSpec | None = None
    quiet_hours: QuietHours | None = None
    digest: DigestSpec | None = None
    health_check: bool = True
    settle: Span = SETTLE
    only: Annotated[tuple[Word, ...], Field(min_length=1, max_length=20)] | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> "NotifySpec":
        objections = []
        if self.slack is None and self.webhook is None and self.email is None:
            objections.append(Objection("notify", "slack, webhook or email is expected: nobody would be told"))
        if self.settle > timedelta(days=1):
            objections.append(Objection("notify", "a change is told within a day: at most 1d", "settle"))
        refuse(objections)
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that notices go to."""
        told = {
            "slack": self.slack is not None and self.slack.is_told,
            "webhook": self.webhook is not None,
            "email": self.email is not None,
        }
        return tuple(channel for channel, is_told in told.items() if is_told)

    @property
    def secrets(self) -> dict[tuple[str, str], EnvironmentReference | FileReference]:
        """Every secret that is referred to, by its place in the section."""
        found = {}
        for name, part in (("slack", self.slack), ("webhook", self.webhook)):
            for key in ("webhook", "token", "signing_secret", "secret"):
                value = getattr(part, key, None)
                if isinstance(value, EnvironmentReference | FileReference):
                    found[(name, key)] = value
        return found
