"""Deliveries: what was received and what became of it, replays, and trying one before trusting it."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, Field, model_validator
from pydantic_core import PydanticCustomError

from app.api.access import Hidden, Reader, Writer, narrowed, see
from app.api.answers import Items, answer, result
from app.api.body import JsonBody, NoBody, raw_body, validated
from app.api.context import Context
from app.api.examples import DELIVERY, page
from app.api.once import IDEMPOTENCY_KEY, once
from app.api.openapi import errors, request_body, shows
from app.api.parameters import IdPath, Limit, NameText, ObjectName, StrictQuery, TeamName, TeamPageQuery
from app.domain.language import Model
from app.errors import NotFound
from app.services.deliveries import delivery_views, replay
from app.services.paging import decode_id, encode_cursor
from app.services.replays import outcome_counts, replay_many
from app.services.try_delivery import Sample, try_delivery
from app.services.views import DeliveryView
from app.services.views.deliveries import OutcomeCountView, ReplayedView, TriedView

router = APIRouter(tags=["deliveries"])

_HEADER_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
_encode = msgspec.json.Encoder(decimal_format="number").encode

_TRIED = {
    "signature": {"outcome": "ok", "reason": None},
    "parse": {"outcome": "ok", "reason": None},
    "kind": "event",
    "event": "po.approved",
    "dedupe_key": "id:msg_1",
    "is_duplicate": False,
    "headers": {"content-type": "application/json", "webhook-id": "msg_1"},
    "body": {"event": "po.approved", "po": {"id": "PO-7", "total": 120.5}},
    "datasets": [
        {
            "dataset": "purchase_orders",
            "outcome": "applied",
            "reason": None,
            "events": [
                {
                    "entity": "PO-7",
                    "event": "po.approved",
                    "at": "2026-11-22T09:30:00Z",
                    "at_is_receipt": False,
                    "key": "id:msg_1",
                    "is_deletion": False,
                    "is_before_deletion": False,
                    "is_new": True,
                    "link": None,
                    "body": {"event": "po.approved", "po": {"id": "PO-7", "total": 120.5}},
                    "facts": [
                        {
                            "metric": "operations/approved_spend",
                            "part": "value",
                            "counts": True,
                            "value": "120.5",
                            "at": "2026-11-22T09:30:00Z",
                            "reason": None,
                        }
                    ],
                }
            ],
        }
    ],
}
_COUNTED = {
    "connection": "operations/erp",
    "dataset": "purchase_orders",
    "event": "po.cancelled",
    "outcome": "ignored",
    "reason": "where is false",
    "count": 17,
    "last_received_at": "2026-11-22T09:29:58Z",
    "last_delivery": 318,
}


class DeliveriesQuery(TeamPageQuery):
    """Which deliveries."""

    connection: NameText | None = None
    outcome: Literal["pending", "applied", "ignored", "dead"] | None = None


class SummaryQuery(StrictQuery):
    """Which connections' deliveries."""

    team: NameText | None = None
    connection: NameText | None = None
    limit: Limit = 100


class ReplayBody(Model):
    """Which of a connection's deliveries are applied again: by outcome, and where they are given by dataset, by the
    tool's word for the event, and by when they were received (`until` excluded)."""

    team: NameText
    connection: NameText
    outcome: Literal["dead", "ignored"] = "dead"
    dataset: NameText | None = None
    event: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class TryBody(Model):
    """A delivery to try: `headers` and `body` as they came (the body as text, byte for byte, or as JSON where its
    signature does not matter), or `delivery`, the id of a stored one."""

    headers: dict[
        Annotated[str, Field(pattern=_HEADER_NAME, max_length=100)], Annotated[str, Field(max_length=8000)]
    ] = Field(default_factory=dict, max_length=100)
    body: Any = None
    delivery: Annotated[int, Field(strict=True, ge=1, lt=2**63)] | None = None

    @model_validator(mode="after")
    def _one(self) -> "TryBody":
        if ("body" in self.model_fields_set) is (self.delivery is not None):
            raise PydanticCustomError("delivery", "either a body or the id of a delivery is expected")
        return self

    @property
    def sample(self) -> Sample | None:
        if self.delivery is not None:
            return None
        body = self.body.encode("utf-8", "surrogatepass") if isinstance(self.body, str) else _encode(self.body)
        return Sample([(name.lower(), value) for name, value in self.headers.items()], body)


@router.get(
    "/deliveries",
    summary="List deliveries",
    response_model=Items[DeliveryView],
    responses={200: shows(page(DELIVERY)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_deliveries(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[DeliveriesQuery, Query()]
) -> Response:
    """Received webhooks, newest first, with what became of each; `outcome=dead` lists the dead letters."""
    async with context.services.database.reading() as session:
        found = await delivery_views(
            session,
            team=narrowed(principal, query.team),
            connection=query.connection,
            outcome=query.outcome,
            before=decode_id("deliveries", query.after),
            limit=query.limit + 1,
            hidden=hidden,
        )
    cursor = encode_cursor("deliveries", found[query.limit - 1].id) if len(found) > query.limit else None
    return answer(request, Items[DeliveryView](items=found[: query.limit], next=cursor))


@router.post(
    "/deliveries/{id}/replay",
    summary="Apply a delivery again",
    status_code=202,
    response_model=DeliveryView,
    responses={
        202: shows({**DELIVERY, "outcome": "pending", "intakes": []}, description="It is back in line."),
        **errors(404, 409, body=True),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def post_replay(request: Request, context: Context, principal: Writer, id: IdPath, body: NoBody) -> Response:
    """For each dataset it feeds, under the rules of now; what it did already is not done twice. Needs `write`."""

    async def act() -> Response:
        async with context.services.database.reading() as session:
            seen = await delivery_views(session, team=principal.team, delivery_id=id, limit=1, hidden=principal.hidden)
        view = await replay(context.services, id, principal.actor) if seen else None
        if view is None:
            raise NotFound
        return result(view, status=202)

    return await once(context, request, principal, body, act)


@router.get(
    "/deliveries/summary",
    summary="Count deliveries by event",
    response_model=Items[OutcomeCountView],
    responses={200: shows(page(_COUNTED)), 304: {"description": "Unchanged."}, **errors()},
)
async def get_summary(
    request: Request, context: Context, principal: Reader, hidden: Hidden, query: Annotated[SummaryQuery, Query()]
) -> Response:
    """What became of the deliveries that are kept: by connection, dataset, event, outcome and reason, with the latest
    of each. Why nothing moves is found here: what is ignored, and what no dataset reads (`unmatched`)."""
    async with context.services.database.reading() as session:
        items = await outcome_counts(
            session,
            team=narrowed(principal, query.team),
            connection=query.connection,
            hidden=hidden,
            limit=query.limit,
        )
    return answer(request, Items[OutcomeCountView](items=items, next=None))


@router.post(
    "/deliveries/replay",
    summary="Apply many deliveries again",
    status_code=202,
    response_model=ReplayedView,
    responses={202: shows({"replayed": 12}, description="They are back in line."), **errors(404, 409, body=True)},
    openapi_extra={
        **request_body(ReplayBody, {"team": "operations", "connection": "erp", "outcome": "dead"}),
        "parameters": [IDEMPOTENCY_KEY],
    },
)
async def post_replays(request: Request, context: Context, principal: Writer, body: JsonBody) -> Response:
    """Every dead letter of a connection after its rules were mended, or those of one dataset or event. What a delivery
    did already is not done twice. Needs `write`."""
    given = validated(ReplayBody, body)

    async def act() -> Response:
        see(principal, given.team)
        if given.team in principal.hidden:
            raise NotFound
        count = await replay_many(
            context.services,
            given.team,
            given.connection,
            actor=principal.actor,
            outcomes=[given.outcome],
            dataset=given.dataset,
            event=given.event,
            since=given.since,
            until=given.until,
        )
        return result(ReplayedView(replayed=count), status=202)

    return await once(context, request, principal, await raw_body(request), act)


@router.post(
    "/connections/{team}/{name}/try",
    tags=["connections"],
    summary="Try a delivery",
    response_model=TriedView,
    responses={200: shows(_TRIED), **errors(404, body=True)},
    openapi_extra=request_body(
        TryBody, {"headers": {"webhook-id": "msg_1"}, "body": '{"event": "po.approved", "po": {"id": "PO-7"}}'}
    ),
)
async def post_try(context: Context, principal: Writer, team: TeamName, name: ObjectName, body: JsonBody) -> Response:
    """A pasted or stored delivery through the signature, the parsing and every dataset's rules, and what each metric
    makes of it. Nothing is saved. A signature that does not hold is told, and stops nothing. Needs `write`."""
    if team in principal.hidden:
        raise NotFound
    given = validated(TryBody, body)
    return result(await try_delivery(context.services, team, name, given.sample, delivery_id=given.delivery))
