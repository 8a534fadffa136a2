"""Connections and their secrets, connectors, runs and deliveries."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from app.api.access import Hidden, Reader, Writer, narrowed
from app.api.answers import IF_MATCH, Items, answer, if_match, result
from app.api.body import JsonBody, NoBody, validated
from app.api.context import ApiContext, Context
from app.api.examples import CONNECTION, PLAN, RUN, page
from app.api.gone import gone
from app.api.openapi import Responses, errors, request_body, shows
from app.api.parameters import Flag, NameText, ObjectName, StrictQuery, TeamName, TeamPageQuery
from app.domain.language import ConnectionSpec, Model
from app.errors import AppError
from app.services.apply import delete_object, put_object
from app.services.connect import check_connection, discover, with_sealed_secret
from app.services.inventory import get_connection, list_connections, list_runs
from app.services.paging import decode_id, encode_cursor
from app.services.secrets import generate_webhook_secret, put_secret
from app.services.views import ConnectionView, PlanView, RunView
from connectors.contract import Connector
from connectors.errors import ConnectorError, TransientError

router = APIRouter(tags=["connections"])

_SECRET = {"env": "ERP_SECRET"}
_BODY = {"connector": "webhook", "verify": {"scheme": "standard-webhooks", "secret": _SECRET}}
_DONE: Responses = {200: shows(PLAN, description="What it changed.")}
SecretName = Annotated[NameText, Path(description="The name in `{sealed: name}`.", examples=["hook"])]


class CheckView(BaseModel):
    """What the tool said: whether the connection works, a sentence for its owner, and what to do where it does not."""

    is_working: bool
    summary: str
    details: dict[str, str] = {}
    error_code: str | None = None


class DiscoveredView(BaseModel):
    """One thing that could be read."""

    kind: str
    id: str
    name: str
    detail: str | None


class ConnectorView(BaseModel):
    """A kind of tool: what it can do and the JSON Schema of each thing a team writes about it."""

    key: str
    title: str
    capabilities: list[str]
    min_interval_seconds: int
    config: dict[str, Any]
    query: dict[str, Any] | None
    dataset: dict[str, Any] | None
    presets: list[str]


class SecretBody(Model):
    """A secret to seal: its value, or `generate` for a new webhook signing secret."""

    value: Annotated[str, Field(min_length=1, max_length=20_000)] | None = None
    generate: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _one(self) -> "SecretBody":
        if (self.value is None) is not self.generate:
            raise PydanticCustomError("secret", "either a value or generate: true is expected")
        return self


class PutQuery(StrictQuery):
    """Whether a webhook's signing secret is to be made."""

    generate_secret: Flag = False


class ConnectionPlanView(PlanView):
    """What it changed. `hook_url` is the path for webhooks and `paste` the whole address, as this request came in;
    `generated_secret` is shown this once."""

    hook_url: str | None = None
    paste: str | None = None
    generated_secret: str | None = None


class SecretView(BaseModel):
    """A sealed secret. `generated` is shown this once, and only where it was generated."""

    name: str
    generated: str | None


class RunsQuery(TeamPageQuery):
    """Which runs."""

    connection: NameText | None = None
    outcome: Literal["running", "succeeded", "failed", "crashed", "superseded"] | None = None


def _takes_webhooks(context: ApiContext) -> frozenset[str]:
    return frozenset(key for key, connector in context.services.connectors.items() if connector.verify is not None)


@router.get(
    "/connections",
    summary="List connections",
    response_model=Items[ConnectionView],
    responses={200: shows(page(CONNECTION)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_list(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[TeamPageQuery, Query()]
) -> Response:
    """Each with its health. Secrets appear as references only."""
    async with context.services.database.reading() as session:
        items, following = await list_connections(
            session,
            takes_webhooks=_takes_webhooks(context),
            now=context.services.clock(),
            team=narrowed(principal, query.team),
            after=decode_id("connections", query.after) or 0,
            limit=query.limit,
            hidden=hidden,
        )
    cursor = None if following is None else encode_cursor("connections", following)
    return answer(request, Items[ConnectionView](items=items, next=cursor))


@router.get(
    "/connections/{team}/{name}",
    summary="Read a connection",
    response_model=ConnectionView,
    responses={200: shows(CONNECTION), 304: {"description": "Unchanged."}, **errors(404)},
)
async def get_one(request: Request, context: Context, principal: Reader, team: TeamName, name: ObjectName) -> Response:
    """With its health and, where it takes webhooks, the path to paste into the tool."""
    async with context.services.database.reading() as session:
        now = context.services.clock()
        view = await get_connection(session, team, name, takes_webhooks=_takes_webhooks(context), now=now)
    if view is None:
        raise await gone(context, "connection", team, name)
    return answer(request, view, version=view.version)


@router.put(
    "/connections/{team}/{name}",
    summary="Create or replace a connection",
    response_model=ConnectionPlanView,
    responses={**_DONE, **errors(404, 409, 412, body=True)},
    openapi_extra={**request_body(ConnectionSpec, _BODY), "parameters": [IF_MATCH]},
)
async def put(
    request: Request,
    context: Context,
    principal: Writer,
    team: TeamName,
    name: ObjectName,
    body: JsonBody,
    query: Annotated[PutQuery, Query()],
) -> Response:
    """The team file's object as JSON: the connector and its own options. Secrets are references: `{env: NAME}`,
    `{file: /path}`, or `{sealed: name}` for one that is put under `secrets`.

    Answers the address to paste into a tool that sends webhooks and, with `generate_secret=true`, a new signing secret:
    it is sealed, and shown this once. Needs `write`."""
    version = if_match(request)
    secret = with_sealed_secret(body) if query.generate_secret else None
    plan = await put_object(
        context.services,
        team,
        "connection",
        name,
        body,
        actor=principal.actor,
        hidden=principal.hidden,
        if_match=version,
    )
    generated = None
    if secret is not None:
        generated = generate_webhook_secret()
        await put_secret(
            context.services.database,
            context.seal,
            team=team,
            connection=name,
            name=secret,
            value=generated,
            actor=principal.actor,
            now=context.clock(),
        )
    takes = isinstance(body, dict) and body.get("connector") in _takes_webhooks(context)
    path = f"/v1/hooks/{team}/{name}" if takes else None
    return result(
        ConnectionPlanView(
            **dict(plan),
            hook_url=path,
            paste=None if path is None else f"{str(request.base_url).rstrip('/')}{path}",
            generated_secret=generated,
        )
    )


@router.delete(
    "/connections/{team}/{name}",
    summary="Delete a connection",
    response_model=PlanView,
    responses={**_DONE, **errors(404, 409, 412, body=True)},
    openapi_extra={"parameters": [IF_MATCH]},
)
async def delete(
    request: Request, context: Context, principal: Writer, team: TeamName, name: ObjectName, body: NoBody
) -> Response:
    """Refused while a dataset or metric reads through it. Needs `write`."""
    version = if_match(request)
    return result(
        await delete_object(
            context.services, team, "connection", name, actor=principal.actor, hidden=principal.hidden, if_match=version
        )
    )


@router.put(
    "/connections/{team}/{name}/secrets/{secret}",
    summary="Seal a secret of a connection",
    response_model=SecretView,
    responses={
        200: shows({"name": "hook", "generated": "whsec_…"}, description="It is sealed; it never comes back out."),
        **errors(404, body=True),
    },
    openapi_extra=request_body(SecretBody, {"generate": True}),
)
async def put_sealed(
    context: Context, principal: Writer, team: TeamName, name: ObjectName, secret: SecretName, body: JsonBody
) -> Response:
    """What `{sealed: name}` in the connection refers to. Needs `write`."""
    given = validated(SecretBody, body)
    value = given.value if given.value is not None else generate_webhook_secret()
    await put_secret(
        context.services.database,
        context.seal,
        team=team,
        connection=name,
        name=secret,
        value=value,
        actor=principal.actor,
        now=context.clock(),
    )
    return result(SecretView(name=secret, generated=value if given.generate else None))


@router.post(
    "/connections/{team}/{name}/check",
    summary="Check that a connection works",
    response_model=CheckView,
    responses={
        200: shows(
            {"is_working": True, "summary": "Reads acme.atlassian.net as KRSync.", "details": {}, "error_code": None}
        ),
        **errors(404, body=True),
    },
)
async def check(context: Context, principal: Writer, team: TeamName, name: ObjectName, body: NoBody) -> Response:
    """Asks the tool. That it does not work is an answer, not an error. Needs `write`."""
    try:
        checked = await check_connection(context.services, team, name)
    except ConnectorError as error:
        return result(CheckView(is_working=False, summary=str(error), error_code=error.code))
    return result(CheckView(is_working=True, summary=checked.summary, details=dict(checked.details)))


@router.get(
    "/connections/{team}/{name}/discover",
    summary="See what could be read through a connection",
    response_model=Items[DiscoveredView],
    responses={
        200: shows(page({"kind": "project", "id": "10000", "name": "Onboarding", "detail": "ONB"})),
        **errors(404, 502),
    },
)
async def get_discovered(context: Context, principal: Writer, team: TeamName, name: ObjectName) -> Response:
    """Projects, fields, statuses and the like, in the tool's words. Needs `write`: it asks the tool."""
    try:
        found = await discover(context.services, team, name)
    except ConnectorError as error:
        raise _tool_failed(error) from error
    items = [DiscoveredView(kind=item.kind, id=item.id, name=item.name, detail=item.detail) for item in found]
    return result(Items[DiscoveredView](items=items))


def _tool_failed(error: ConnectorError) -> AppError:
    wait = error.retry_after if isinstance(error, TransientError) else None
    headers = {} if wait is None else {"Retry-After": str(max(1, -(-wait // timedelta(seconds=1))))}
    return AppError(str(error), status=502, code=error.code, title="The tool did not answer as hoped", headers=headers)


@router.get(
    "/connectors",
    tags=["connectors"],
    summary="List connectors",
    response_model=Items[ConnectorView],
    responses={
        200: shows(
            page(
                {
                    "key": "jira",
                    "title": "Jira",
                    "capabilities": ["check", "discover", "measure", "read"],
                    "min_interval_seconds": 60,
                    "config": {"type": "object"},
                    "query": {"type": "object"},
                    "dataset": {"type": "object"},
                    "presets": [],
                }
            )
        ),
        304: {"description": "Unchanged."},
        **errors(),
    },
)
async def get_connectors(request: Request, context: Context, principal: Reader) -> Response:
    """Every kind of tool that can be connected, with its JSON Schemas and capabilities."""
    items = [_connector_view(connector) for connector in context.services.connectors.values()]
    return answer(request, Items[ConnectorView](items=items))


def _connector_view(connector: Connector) -> ConnectorView:
    return ConnectorView(
        key=connector.key,
        title=connector.title,
        capabilities=list(connector.capabilities),
        min_interval_seconds=connector.min_interval // timedelta(seconds=1),
        config=connector.config.model_json_schema(),
        query=None if connector.query is None else connector.query.model_json_schema(),
        dataset=None if connector.dataset is None else connector.dataset.model_json_schema(),
        presets=sorted(connector.presets),
    )


@router.get(
    "/runs",
    tags=["runs"],
    summary="List runs",
    response_model=Items[RunView],
    responses={200: shows(page(RUN)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_runs(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[RunsQuery, Query()]
) -> Response:
    """Pulls, newest first: when, how long, how many calls and records, and what went wrong."""
    async with context.services.database.reading() as session:
        items, following = await list_runs(
            session,
            team=narrowed(principal, query.team),
            connection=query.connection,
            outcome=query.outcome,
            before=decode_id("runs", query.after),
            limit=query.limit,
            hidden=hidden,
        )
    cursor = None if following is None else encode_cursor("runs", following)
    return answer(request, Items[RunView](items=items, next=cursor))
