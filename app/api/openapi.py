"""The OpenAPI document: part of the product. Request bodies are read by us, so their shapes are added here."""

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.api.problem import MEDIA_TYPE, Problem
from app.api.reason import REASON
from app.domain.names import NAME_PATTERN

Responses = dict[int | str, dict[str, Any]]

_REF = "#/components/schemas/{model}"
_DESCRIPTIONS = {
    400: "The request can not be read: a broken Content-Length or an unfinished body.",
    401: "No token, or not a valid one.",
    403: "The token lacks the scope, or is for another team.",
    404: "It is not there.",
    408: "The body took too long to arrive.",
    409: "It conflicts with what is stored.",
    412: "`If-Match` names another version than the stored one.",
    413: "The body is over 1 MiB.",
    415: "The content type is not one of those above.",
    422: "The input is wrong; `errors` has a pointer to each place.",
    502: "The tool behind the connection failed us; `detail` says what to do.",
    503: "The database is away: try again after `Retry-After`.",
}
_WITH_BODY = (400, 408, 413, 415)
_models: dict[str, type[BaseModel]] = {"Problem": Problem}


def errors(*statuses: int, body: bool = False) -> Responses:
    """The problems an operation answers with, 401 403 422 503 among them always, and those of a body's door."""
    every = sorted({401, 403, 422, 503, *statuses, *(_WITH_BODY if body else ())})
    return {status: problem(status) for status in every}


def problem(status: int) -> dict[str, Any]:
    """One problem answer."""
    answer: dict[str, Any] = {
        "description": _DESCRIPTIONS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
    if status == 503:
        answer["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}}}
    return answer


def shows(example: Any, *, description: str = "As asked.", media_type: str = "application/json") -> dict[str, Any]:
    """A good answer with its example."""
    return {"description": description, "content": {media_type: {"example": example}}}


def request_body(
    model: type[BaseModel], example: Any, *, media_types: Sequence[str] = ("application/json",), name: str | None = None
) -> dict[str, Any]:
    """`openapi_extra` of an operation whose body we read ourselves."""
    known = name or model.__name__
    _models[known] = model
    content = {media: {"schema": {"$ref": _REF.format(model=known)}, "example": example} for media in media_types}
    return {"requestBody": {"required": True, "content": content}}


def document_bytes(app: FastAPI) -> bytes:
    """The document as JSON, encoded once."""
    kept: bytes | None = getattr(app.state, "openapi_bytes", None)
    if kept is None:
        kept = app.state.openapi_bytes = msgspec.json.encode(app.openapi())
    return kept


HOOKS_PATH = "/v1/hooks/{team}/{connection}"
_NAME = {"type": "string", "pattern": NAME_PATTERN, "maxLength": 63}
_HOOKS: dict[str, Any] = {
    "tags": ["hooks"],
    "summary": "Take a webhook",
    "description": (
        "Verified by the connection's own scheme over the raw bytes, stored durably, then answered; nothing is parsed "
        "before that. No token: the signature is the proof. Sent again, it has no second effect."
    ),
    "operationId": "take_webhook",
    "parameters": [
        {"name": name, "in": "path", "required": True, "description": told, "schema": _NAME, "example": example}
        for name, told, example in (
            ("team", "The team's name.", "operations"),
            ("connection", "The connection's name within the team.", "erp"),
        )
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {}, "example": {"id": "po-1", "event": "po.approved"}}},
    },
    "responses": {
        "202": {
            "description": "It is stored; `duplicate` where it was already.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"id": {"type": "integer"}, "duplicate": {"type": "boolean"}},
                        "required": ["id", "duplicate"],
                    },
                    "example": {"id": 88123, "duplicate": False},
                }
            },
        },
        **{str(status): problem(status) for status in (400, 401, 404, 408, 413, 415, 503)},
    },
}

LIVE_PATH = "/v1/live"
_LIVE_EXAMPLE = """retry: 2000

event: ready
data: {}
id: 8123.911.29823450.0.5f1c09a2b7e40

event: key_result
data: {"id":"operations/onboarding_time","value":"8.7","status":"on_track"}

event: objective
data: {"id":"operations/fast_start"}
id: 8124.911.29823450.2.5f1c09a2b7e40

"""
_LIVE_EVENT = {"type": "object", "properties": {name: {"type": "string"} for name in ("event", "data", "id")}}
_LIVE: dict[str, Any] = {
    "tags": ["live"],
    "summary": "Follow what changes",
    "description": (
        "Server-sent events, for as long as you stay. `key_result` has the key result as the list shows it; "
        "`objective` names one whose key results or words changed; `connection` has its health and the reason; "
        "`removed` names what is gone. `ready` comes first; `reset` says to read everything again. A comment comes "
        "every 15 seconds. Come back with the last id in `Last-Event-ID`, to any process, and what you missed comes "
        "first; some of it may come twice. What a token may not read does not come; a token that is revoked ends its "
        "streams. It takes no parameters; a browser may use the dashboard's cookie."
    ),
    "operationId": "follow_changes",
    "security": [{"token": []}],
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "description": "The last id that came.",
            "schema": {"type": "string", "maxLength": 120},
        }
    ],
    "responses": {
        "200": {
            "description": "The stream.",
            "content": {"text/event-stream": {"schema": _LIVE_EVENT, "example": _LIVE_EXAMPLE}},
        },
        **{str(status): problem(status) for status in (400, 401, 403, 503)},
    },
}


def install(app: FastAPI) -> None:
    """Make `app.openapi()` the document with our schemas in it, built once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            _add_reasons(document)
            _add_descriptions(document)
            document["paths"][HOOKS_PATH] = {"post": _HOOKS}
            document["paths"][LIVE_PATH] = {"get": _LIVE}
            _, schemas = models_json_schema([(model, "validation") for model in _models.values()], ref_template=_REF)
            components = document.setdefault("components", {}).setdefault("schemas", {})
            for name, schema in schemas.get("$defs", {}).items():
                components.setdefault(name, schema)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add_reasons(document: dict[str, Any]) -> None:
    """Every operation that changes something takes the reason why."""
    for operations in document["paths"].values():
        for method, operation in operations.items():
            if method in ("post", "put", "patch", "delete"):
                operation.setdefault("parameters", []).append(REASON)


#: What a filter means that says the same wherever it is taken.
_FILTERS = {
    "team": "Only this team's.",
    "cycle": "Only of this cycle: `2026-Q4`, `2026-H1`, `2026`, `2026-11`, or a name.",
    "connection": "Only of the connection of this name.",
    "outcome": "Only with this outcome.",
    "state": "Only in this state.",
    "status": "Only with this status.",
    "freshness": "Only with this freshness.",
    "owner": "Only of this owner.",
    "kind": "Only of this kind.",
    "generate_secret": "Whether to make a signing secret, shown this once.",
}


def _add_descriptions(document: dict[str, Any]) -> None:
    """Every parameter says what it means."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if "description" not in parameter and parameter["name"] in _FILTERS:
                    parameter["description"] = _FILTERS[parameter["name"]]
