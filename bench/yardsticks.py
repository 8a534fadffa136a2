"""Other ways to take a webhook, served as ours is: `python -m bench.yardsticks noop|verify|plain|get DESCRIPTOR URL`.

`noop` is a bare Starlette route that answers 202 and reads nothing. `verify` is a bare ASGI application that verifies
the signature, takes the body's digest and stores nothing: what is left when storing is free. `plain` is what one writes
first: a FastAPI endpoint that verifies the signature, parses with pydantic and stores one SQLModel row in a transaction
of its own. `get` is a FastAPI route that does nothing, for reads to be compared with; it also serves `/plain`, the list
that one writes first: every row of a table of key results by SQLModel, as a response model. The rows are what our list
says, so that the answers can be compared.
"""

import hashlib
import hmac
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy import JSON, event, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlmodel import Field, SQLModel
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

SECRET_VARIABLE = "BENCH_SECRET"


class PlainDelivery(SQLModel, table=True):
    __tablename__ = "plain_delivery"
    id: int | None = Field(default=None, primary_key=True)
    digest: str = Field(unique=True)
    received_at: str
    body: str


class Order(BaseModel):
    """The body of the bench's deliveries."""

    id: str
    event: str
    at: datetime
    note: str


def noop() -> ASGIApp:
    async def take(request: Request) -> Response:
        return Response(status_code=202)

    return Starlette(routes=[Route("/hook", take, methods=["POST"])])


def verify() -> ASGIApp:
    secret = os.environ[SECRET_VARIABLE].encode()

    async def take(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        is_more = True
        while is_more:
            message = await receive()
            body += message.get("body", b"")
            is_more = message.get("more_body", False)
        given = dict(scope["headers"]).get(b"x-hub-signature-256", b"")
        expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        is_proven = hmac.compare_digest(expected.encode(), given)
        answer = hashlib.sha256(body).hexdigest().encode()
        length = (b"content-length", b"%d" % len(answer))
        await send({"type": "http.response.start", "status": 202 if is_proven else 401, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})

    return take


class PlainKeyResult(SQLModel, table=True):
    """A key result as our list tells it, field by field."""

    __tablename__ = "plain_key_result"
    id: str = Field(primary_key=True)
    title: str
    objective: str
    cycle: dict[str, Any] = Field(sa_type=JSON)
    kind: str
    weight: str
    owner: str | None
    metric: dict[str, Any] = Field(sa_type=JSON)
    baseline: str | None
    target: str | None
    target_rule: dict[str, Any] = Field(sa_type=JSON)
    value: str | None
    projected_value: str | None
    sample_size: int | None
    coverage: float | None
    observed_at: str | None
    measured_at: str | None
    progress: float | None
    expected_progress: float | None
    status: str
    reason: str | None
    headline: dict[str, Any] = Field(sa_type=JSON)
    lifecycle: str
    lifecycle_reason: str | None
    freshness: dict[str, Any] = Field(sa_type=JSON)
    compliance: dict[str, Any] | None = Field(sa_type=JSON)
    guardrails: list[dict[str, Any]] = Field(sa_type=JSON)
    forecast: dict[str, Any] | None = Field(sa_type=JSON)
    forecast_reason: str | None
    check_in: dict[str, Any] | None = Field(sa_type=JSON)
    source: dict[str, Any] = Field(sa_type=JSON)
    override: dict[str, Any] | None = Field(sa_type=JSON)
    grade: dict[str, Any] | None = Field(sa_type=JSON)
    restatements: list[dict[str, Any]] = Field(sa_type=JSON)
    sealed: dict[str, Any] | None = Field(sa_type=JSON)
    managed_by: str
    version: int


def get(url: str) -> ASGIApp:
    engine = create_async_engine(url) if url else None

    async def session() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine, expire_on_commit=False) as opened:
            yield opened

    app = FastAPI()

    @app.get("/nothing")
    async def nothing() -> dict[str, str]:
        return {}

    @app.get("/plain", response_model=list[PlainKeyResult])
    async def plain_list(opened: Annotated[AsyncSession, Depends(session)]) -> Any:
        return (await opened.scalars(select(PlainKeyResult).order_by(PlainKeyResult.id))).all()

    return app


def plain(url: str) -> ASGIApp:
    secret = os.environ[SECRET_VARIABLE].encode()
    engine = create_async_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine.sync_engine, "connect")
        def _configure(connection: Any, _: object) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=15000"):
                connection.execute(f"PRAGMA {pragma}")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.tables["plain_delivery"].create, checkfirst=True)
        yield
        await engine.dispose()

    async def session() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(engine, expire_on_commit=False) as opened:
            yield opened

    app = FastAPI(lifespan=lifespan)

    @app.post("/hook", status_code=202)
    async def take(request: Request, opened: Annotated[AsyncSession, Depends(session)]) -> dict[str, Any]:
        body = await request.body()
        signature = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, request.headers["x-hub-signature-256"]):
            raise HTTPException(401)
        Order.model_validate_json(body)
        row = PlainDelivery(
            digest=hashlib.sha256(body).hexdigest(), received_at=datetime.now(UTC).isoformat(), body=body.decode()
        )
        opened.add(row)
        await opened.commit()
        return {"id": row.id}

    return app


def main() -> None:
    kind, descriptor, url = sys.argv[1:]
    app = {"noop": lambda _: noop(), "verify": lambda _: verify(), "get": get, "plain": plain}[kind](url)
    listening = socket.socket(fileno=int(descriptor))
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
