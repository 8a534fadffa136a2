"""A team's `notify` section as it is stored, and its secrets."""

from typing import Any

import structlog
from pydantic import ValidationError

from app.domain.notify import EnvironmentReference, FileReference, NotifySpec
from app.services.context import Services
from app.store.tables import Team
from connectors.errors import AuthenticationError
from connectors.secrets import SecretReference

log = structlog.get_logger(__name__)


def reference_of(spec: EnvironmentReference | FileReference) -> SecretReference:
    """Where a secret of the section lies."""
    if isinstance(spec, EnvironmentReference):
        return SecretReference("env", spec.env)
    return SecretReference("file", spec.file)


def notify_spec(team: Team) -> NotifySpec | None:
    """What the team says of how it is told; None where it says nothing, or nothing that this version understands."""
    stored: dict[str, Any] | None = team.spec.get("notify")
    if stored is None:
        return None
    try:
        return NotifySpec.model_validate(stored)
    except ValidationError:
        log.warning("notify.not_understood", team=team.name)
        return None


async def secret_value(services: Services, team: str, spec: EnvironmentReference | FileReference) -> str:
    """The secret; AuthenticationError where it is not there, or the operator does not let the team use it."""
    reference = reference_of(spec)
    # No connection owns it: 0 is none's id.
    value = await services.secrets.resolve(services.database, team, 0, reference)
    if value is None:
        raise AuthenticationError(f"The secret {reference.kind}:{reference.name} is not available.")
    return value


def destinations(spec: NotifySpec) -> dict[str, str]:
    """Where each channel leads, for people; a secret is named, never shown."""
    found = {}
    if spec.slack is not None and spec.slack.is_told:
        if spec.slack.channel is not None:
            found["slack"] = f"Slack, {spec.slack.channel}"
        elif spec.slack.webhook is not None:
            reference = reference_of(spec.slack.webhook)
            found["slack"] = f"Slack, the webhook of {reference.kind}:{reference.name}"
    if spec.webhook is not None:
        scheme, _, rest = spec.webhook.url.partition("://")
        found["webhook"] = f"{scheme}://{rest.partition('/')[0]}"
    if spec.email is not None:
        found["email"] = ", ".join(spec.email.to)
    return found
