"""`/okr` in Slack: slash commands, buttons and forms, each proven by Slack's signature over the raw bytes."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from fastapi import APIRouter, Request, Response

from app.api.answers import JSON
from app.api.body import content_type, parse_json, raw_body
from app.api.context import Context
from app.api.openapi import problem, shows
from app.api.parameters import TeamName
from app.errors import InvalidInput, Unauthenticated, UnsupportedMedia
from app.services.notify.commands import Workspace, command, interaction, workspace
from connectors.contract import InboundDelivery
from connectors.errors import SignatureError
from connectors.signatures import PROVIDERS, verify

router = APIRouter(tags=["slack"], prefix="/v1/slack")

FORM = "application/x-www-form-urlencoded"
#: Slack waits three seconds: https://api.slack.com/interactivity/slash-commands#responding_to_commands
ANSWER_SECONDS = 2.5
_MOST_FIELDS = 60
_LATE: dict[str, Any] = {"response_type": "ephemeral", "text": "This takes longer than Slack waits. Try again soon."}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: problem(status) for status in (400, 401, 408, 413, 415, 422, 503)
}


def _body(example: str) -> dict[str, Any]:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "requestBody": {"required": True, "content": {FORM: {"schema": schema, "example": example}}},
        "security": [],
    }


@router.post(
    "/{team}/commands",
    summary="Take a slash command from Slack",
    responses={200: shows({"response_type": "ephemeral", "text": "Key results of operations"}), **_RESPONSES},
    openapi_extra=_body("command=%2Fokr&text=list"),
)
async def post_command(request: Request, context: Context, team: TeamName) -> Response:
    """`/okr list`, `show NAME`, `why NAME`, `check-in NAME …`. No token: Slack's signature with the team's signing
    secret is the proof."""
    at, form = await _proven(request, context, team)
    return await _in_time(command(context.services, at, form))


@router.post(
    "/{team}/interactions",
    summary="Take a button or a form from Slack",
    responses={200: shows({}), **_RESPONSES},
    openapi_extra=_body("payload=%7B%7D"),
)
async def post_interaction(request: Request, context: Context, team: TeamName) -> Response:
    """What is pressed or filled in under an answer of ours. Proven as commands are."""
    at, form = await _proven(request, context, team)
    payload = parse_json(form.get("payload", "").encode("utf-8", "surrogatepass"))
    if not isinstance(payload, dict):
        raise InvalidInput.at("/payload", "payload", "A JSON object is expected.", "body")
    return await _in_time(interaction(context.services, at, payload))


async def _proven(request: Request, context: Context, team: str) -> tuple[Workspace, Mapping[str, str]]:
    """The team's command and the form, once the signature holds; Unauthenticated for anything else, whether there is
    such a team or not."""
    if content_type(request.scope["headers"]) != FORM:
        raise UnsupportedMedia(f"Send {FORM}.")
    body = await raw_body(request)
    at = await workspace(context.services, team)
    if at is None:
        raise Unauthenticated("This is not signed by this team's Slack app.")
    delivery = InboundDelivery(
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"]],
        body=body,
        received_at=context.clock(),
    )
    try:
        verify(PROVIDERS["slack"].scheme, [at.signing_secret], delivery)
    except SignatureError as error:
        raise Unauthenticated("This is not signed by this team's Slack app.") from error
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise InvalidInput("The form can not be read.") from error
    if any("\0" in value for _, value in pairs):
        raise InvalidInput("The form can not be read.")
    return at, dict(pairs)


async def _in_time(answering: Awaitable[dict[str, Any]]) -> Response:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await answering
    except TimeoutError:
        answer = _LATE
    # An empty answer acknowledges, and shows nothing.
    return Response(
        msgspec.json.encode(answer) if answer else b"", media_type=JSON, headers={"Cache-Control": "no-store"}
    )
