"""Slack's Web API and incoming webhooks, through the guarded client; Slack's words as errors by remedy."""

from typing import Any

import msgspec

from app.domain.notify import SlackSpec
from connectors.contract import Toolbox
from connectors.errors import (
    AccessDeniedError,
    AuthenticationError,
    QueryError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.http import decode_json, raise_for_status

# https://api.slack.com/methods/chat.postMessage#errors
_CREDENTIAL = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "two_factor_setup_required"}
)
_ACCESS = frozenset(
    {"missing_scope", "not_in_channel", "restricted_action", "no_permission", "ekm_access_denied", "access_denied"}
)
_TRANSIENT = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_HISTORY = 50


async def call_slack(
    toolbox: Toolbox, api: str, method: str, token: str, arguments: dict[str, Any], *, is_form: bool = False
) -> dict[str, Any]:
    """One call of the Web API; its answer, or the ConnectorError that Slack's word for what is wrong means. Methods
    that read take forms (`is_form`), those that write JSON too."""
    if not (token.isascii() and token.isprintable()):
        raise AuthenticationError("The secret of the Slack token is not a token.")
    url, headers = f"{api.rstrip('/')}/{method}", {"Authorization": f"Bearer {token}"}
    if is_form:
        response = await toolbox.http.post(url, data=arguments, headers=headers)
    else:
        headers["Content-Type"] = "application/json; charset=utf-8"
        response = await toolbox.http.post(url, content=msgspec.json.encode(arguments), headers=headers)
    raise_for_status(response, tool="Slack", now=toolbox.now())
    answer = decode_json(response, tool="Slack")
    if not isinstance(answer, dict):
        raise UnexpectedResponseError("Slack answered with something that is no object.")
    if answer.get("ok") is True:
        return dict(answer)
    word = answer.get("error")
    shown = word if isinstance(word, str) and word.replace("_", "").isalnum() and len(word) <= 60 else "an error"
    if shown in _CREDENTIAL:
        raise AuthenticationError(f"Slack refused the token: {shown}.")
    if shown in _ACCESS:
        raise AccessDeniedError(f"Slack refused {method}: {shown}.")
    if shown in _TRANSIENT:
        raise UnavailableError(f"Slack is not available: {shown}.")
    if shown in ("ratelimited", "rate_limited"):
        raise RateLimitedError("Slack asks for fewer requests.")
    raise QueryError(f"Slack did not take {method}: {shown}.")


async def post_webhook(toolbox: Toolbox, url: str, content: dict[str, Any]) -> None:
    """Post to an incoming webhook, whose address is a secret: no message of an error holds it.

    https://api.slack.com/messaging/webhooks#handling_errors
    """
    if not url.startswith(("https://", "http://")):
        raise AuthenticationError("The secret of the Slack webhook is not its address.")
    response = await toolbox.http.post(url, json=content)
    raise_for_status(response, tool="Slack", now=toolbox.now())


async def find_posted(toolbox: Toolbox, spec: SlackSpec, token: str, event_type: str, uid: str) -> str | None:
    """The stamp of a message that was posted already with this id in its metadata; None where there is none, or where
    the token may not look (`channels:history`)."""
    arguments = {"channel": spec.channel, "limit": str(_HISTORY), "include_all_metadata": "true"}
    try:
        answer = await call_slack(toolbox, spec.api, "conversations.history", token, arguments, is_form=True)
    except (AccessDeniedError, QueryError):
        return None
    found = answer.get("messages")
    for item in found if isinstance(found, list) else []:
        metadata = item.get("metadata") if isinstance(item, dict) else None
        if isinstance(metadata, dict) and metadata.get("event_type") == event_type:
            payload = metadata.get("event_payload")
            if isinstance(payload, dict) and payload.get("id") == uid and isinstance(item.get("ts"), str):
                return str(item["ts"])
    return None
