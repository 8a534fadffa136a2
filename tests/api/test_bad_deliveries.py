"""What must never upset the webhook door, line by line, over a real socket: each gets its answer in kind, is kept or
not, ends as it should, and the next delivery is taken as ever."""

import asyncio
import base64
import gzip
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

import app.api.hooks
import app.serving
from app.services.deliveries import apply_pending, delivery_views
from app.services.secrets import generate_webhook_secret
from app.serving import Protocol
from app.store.delivery_log import PostgresLog, SqliteLog
from tests.api.conftest import World, on_sqlite
from tests.api.test_hook_schemes import slack
from tests.journeys.running import on_loopback

NEW, OLD, DESK = generate_webhook_secret(), generate_webhook_secret(), "desk-canary-5f0a"
ERP_PATH, DESK_PATH, SLACK_PATH = (f"/v1/hooks/operations/{name}" for name in ("erp", "desk", "slack"))
GOOD = b'{"id": "po-1", "at": "2026-11-22T09:00:00Z", "event": "approved"}'

PROMISED = """no, wrong, SHA-1, non-ASCII, duplicated or whitespace-padded signature · timestamp `nan`, 301 s old,
301 s ahead · replayed id, same and other body · another team's endpoint · unknown endpoint · secret
in rotation · empty body · over the cap · lying Content-Length · gzip bomb · unknown Content-
Encoding · form or XML · nesting 100 000 deep · 5 000-digit integer · NaN and Infinity · duplicate
keys · lone surrogate · NUL · invalid UTF-8 · UTF-16 · array root · unknown event (202, ignored) ·
URL verification handshakes (only after the signature) · slow headers or body · full disk (503 +
Retry-After) · GET (405)"""
LINES = [" ".join(line.split()) for line in PROMISED.split("·")]

Headers = list[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Case:
    """One thing that is sent: `line` of what is promised, and what has to come of it. `ends` is what a delivery that
    was stored ends as, None where nothing may be stored; `is_new` False: it was stored before."""

    line: str
    name: str
    path: str
    headers: Headers
    body: bytes
    status: int
    code: str | None = None
    ends: str | None = None
    is_new: bool = True
    method: str = "POST"
    length: str | None = None


def desk(body: bytes, *, secret: str = DESK, digest: str = "sha256") -> Headers:
    return [("x-hub-signature-256", f"{digest}=" + hmac.new(secret.encode(), body, digest).hexdigest())]


def cases(world: World) -> list[Case]:
    """Every line of the list but the slow ones and the full disk, which need a door of their own."""
    now = world.services.clock()
    found: list[Case] = []

    def add(line: str, name: str, headers: Headers, body: bytes, status: int, **more: Any) -> None:
        path = more.pop("path", DESK_PATH)
        found.append(Case(line, name, path, headers, body, status, **more))

    def erp(body: bytes, identity: str, *, secret: str = NEW, seconds: str | None = None) -> Headers:
        stamp = seconds or str(int(now.timestamp()))
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = base64.b64encode(hmac.digest(key, f"{identity}.{stamp}.".encode() + body, "sha256")).decode()
        return [("webhook-id", identity), ("webhook-timestamp", stamp), ("webhook-signature", f"v1,{mac}")]

    def stamp(away: int) -> str:
        return str(int((now + timedelta(seconds=away)).timestamp()))

    ((name, good),) = desk(GOOD)
    assert isinstance(good, str)
    signature = LINES[0]
    for what, headers in {
        "none": [],
        "empty": [(name, "")],
        "wrong": desk(GOOD + b" "),
        "another secret": desk(GOOD, secret="another"),
        "SHA-1": desk(GOOD, digest="sha1"),
        "SHA-1 said to be SHA-256": [(name, "sha256=" + desk(GOOD, digest="sha1")[0][1][5:])],  # type: ignore[list-item]
        "non-ASCII": [(name, good.encode() + b"\xc3\xa9")],
        "Latin-1": [(name, b"sha256=\xe9")],
        "duplicated": [(name, good), (name, good)],
        "duplicated, one wrong": [(name, "sha256=00"), (name, good)],
        "padded": [(name, good.replace("=", "= "))],
        "padded by a no-break space": [(name, good.encode() + b"\xa0")],
    }.items():
        add(signature, what, headers, GOOD, 401, code="signature")  # type: ignore[arg-type]
    for what, seconds in {"nan": "nan", "301 s old": stamp(-301), "301 s ahead": stamp(301)}.items():
        add(LINES[1], what, erp(GOOD, "late", seconds=seconds), GOOD, 401, code="signature", path=ERP_PATH)
    other = GOOD.replace(b"po-1", b"po-2")
    add(LINES[2], "first", erp(GOOD, "same"), GOOD, 202, ends="applied", path=ERP_PATH)
    add(LINES[2], "same body", erp(GOOD, "same"), GOOD, 202, ends="applied", is_new=False, path=ERP_PATH)
    add(LINES[2], "other body", erp(other, "same"), other, 202, ends="applied", is_new=False, path=ERP_PATH)
    add(
        LINES[3],
        "its signature, another's path",
        erp(GOOD, "x"),
        GOOD,
        401,
        code="signature",
        path="/v1/hooks/finance/erp",
    )
    for path in ("/v1/hooks/operations/nobody", "/v1/hooks/nobody/erp", "/v1/hooks/operations", "/v1/hooks/a/../b"):
        add(LINES[4], path, desk(GOOD), GOOD, 404, code="not_found", path=path)
    rotated = GOOD.replace(b"po-1", b"po-3")
    for what, secret in {"new": NEW, "old": OLD}.items():
        add(LINES[5], what, erp(rotated, what, secret=secret), rotated, 202, ends="applied", path=ERP_PATH)
    add(
        LINES[5],
        "neither",
        erp(GOOD, "x", secret=generate_webhook_secret()),
        GOOD,
        401,
        code="signature",
        path=ERP_PATH,
    )
    add(LINES[6], "nothing at all", desk(b""), b"", 400, code="bad_request")
    big = b'{"a": "' + b"x" * 1024 * 1024 + b'"}'
    add(LINES[7], "1 MiB and a little", desk(big), big, 413, code="too_large")
    add(LINES[8], "too many said", desk(GOOD), GOOD, 413, code="too_large", length="99999999")
    add(LINES[8], "negative", desk(GOOD), b"", 400, length="-1")
    add(LINES[8], "no number", desk(GOOD), b"", 400, length="1e3")
    bomb = gzip.compress(bytes(10_000_000), mtime=0)
    add(
        LINES[9],
        "10 MB in 10 kB",
        [*desk(bomb), ("content-encoding", "gzip")],
        bomb,
        415,
        code="unsupported_media_type",
    )
    for encoding in ("zstd", "br", "gzip, gzip", "compress"):
        add(LINES[10], encoding, [*desk(GOOD), ("content-encoding", encoding)], GOOD, 415)
    for media in (
        "application/x-www-form-urlencoded",
        "application/xml",
        "text/xml",
        "multipart/form-data; boundary=x",
        "json",
    ):
        add(LINES[11], media, [("content-type", media), *desk(GOOD)], GOOD, 415, code="unsupported_media_type")
    for line, bodies in {
        LINES[12]: [b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000],
        LINES[13]: [b'{"id": "a", "n": ' + b"9" * 5_000 + b"}"],
        LINES[14]: [b'{"n": NaN}', b'{"n": Infinity}', b'{"n": -Infinity}'],
        LINES[15]: [b'{"id": "a", "id": "b"}'],
        LINES[16]: [b'{"id": "\\ud800"}'],
        LINES[17]: [b'{"id": "a\\u0000"}', b'{"id": "a\x00"}'],
        LINES[18]: [b'{"id": "\xff"}'],
        LINES[19]: ['{"id": "a"}'.encode("utf-16"), '{"id": "a"}'.encode("utf-16-le")],
        LINES[20]: [b"[]", b'[{"id": "a"}]'],
    }.items():
        for number, body in enumerate(bodies):
            add(line, str(number), desk(body), body, 202, ends="dead")
    unknown = b'{"id": "po-9", "event": "never heard of", "at": "2026-11-22T09:00:00Z"}'
    add(LINES[21], "another event", desk(unknown), unknown, 202, ends="ignored")
    challenge = b'{"type": "url_verification", "challenge": "3eZbrw1a"}'
    for what, secret, status in (("forged", "another", 401), ("signed", DESK, 200)):
        proof = [item for item in slack(world, challenge, secret).items() if item[0] != "content-type"]
        code = "signature" if status == 401 else None
        add(LINES[22], what, proof, challenge, status, code=code, path=SLACK_PATH)  # type: ignore[arg-type]
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        code = None if method == "HEAD" else "method_not_allowed"
        add(LINES[25], method, [], b"", 405, code=code, method=method)
    return found


def raw(case: Case, connection: str = "close") -> bytes:
    """The request as it goes over the wire."""
    headers: Headers = [("host", "krsync.test"), ("connection", connection), *case.headers]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    headers.append(("content-length", case.length or str(len(case.body))))
    lines = [name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) for name, value in headers]
    return b"\r\n".join([f"{case.method} {case.path} HTTP/1.1".encode(), *lines, b"", b""]) + case.body


async def exchange(address: tuple[str, int], request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send all of it, and only then read the answer."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(request)
        await asyncio.wait_for(writer.drain(), 120)
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)).decode("latin-1")
        first, *rest = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest if line)}
        length = 0 if request.startswith(b"HEAD") else int(headers.get("content-length", 0))
        body = await asyncio.wait_for(reader.readexactly(length), 120)
    finally:
        writer.close()
    return int(first.split(" ")[1]), headers, body


@asynccontextmanager
async def door(world: World) -> AsyncIterator[tuple[str, int]]:
    """The API behind the server that it runs on; its address."""
    async with on_loopback(world.api, http=Protocol) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        yield host, int(port)


@pytest.fixture
async def opened(world: World) -> World:
    world.environ.update(NEW=NEW, OLD=OLD, DESK=DESK)
    schemes: dict[str, dict[str, Any]] = {
        "erp": {"scheme": "standard-webhooks", "secret": {"env": "NEW"}, "previous": {"env": "OLD"}},
        "desk": {"scheme": "hmac-sha256", "secret": {"env": "DESK"}},
        "slack": {"scheme": "slack", "secret": {"env": "DESK"}},
    }
    connections = {name: {"connector": "webhook", "verify": verify} for name, verify in schemes.items()}
    rules = {"entity": "body.id", "at": "body.at", "event": "body.event", "where": "body.event == 'approved'"}
    datasets = {name: {"connection": name, **rules} for name in ("erp", "desk")}
    metrics = {"approved": {"unit": "orders", "records": {"dataset": "erp"}, "window": "all"}}
    await world.apply(connections=connections, datasets=datasets, metrics=metrics, objectives={})
    theirs = {"erp": {"connector": "webhook", "verify": {"scheme": "standard-webhooks", "secret": {"env": "DESK"}}}}
    await world.apply(team="finance", connections=theirs, datasets={}, metrics={}, objectives={})
    return world


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_every_bad_delivery_gets_its_answer(
    opened: World, monkeypatch: pytest.MonkeyPatch, connection: str
) -> None:
    """From a connection that is to be closed a delivery comes to the endpoint, else the server takes it by itself."""
    taken: list[bytes] = []
    take = opened.api.hooks.take

    def noted(hook: Any, shape: Any, headers: Any, body: bytes, answer: Any) -> None:
        taken.append(body)
        take(hook, shape, headers, body, answer)

    monkeypatch.setattr(opened.api.hooks, "take", noted)
    tried = cases(opened)
    assert {case.line for case in tried} == set(LINES) - {LINES[23], LINES[24]}
    expected: dict[int, str] = {}
    async with door(opened) as address:
        for case in tried:
            what = f"{case.line}: {case.name}"
            before = len(taken)
            status, headers, body = await exchange(address, raw(case, connection))
            assert status == case.status, (what, status, body)
            assert len(taken) == before or (connection, case.status in (200, 202, 401)) == ("keep-alive", True), what
            if case.code is not None:
                assert headers["content-type"] == "application/problem+json", what
                assert json.loads(body)["code"] == case.code, what
                assert b"po-1" not in body, what
            if status == 405:
                assert headers["allow"] == "POST"
            if status == 202:
                answer = json.loads(body)
                assert answer["duplicate"] is not case.is_new, what
                assert case.ends is not None
                expected[answer["id"]] = case.ends
            else:
                assert case.ends is None, what
            if case.line == LINES[22] and status == 200:
                assert json.loads(body) == {"challenge": "3eZbrw1a"}
        # The door is as it was.
        last = Case("", "", DESK_PATH, desk(GOOD), GOOD, 202)
        status, _, body = await exchange(address, raw(last, connection))
        assert status == 202
        expected[json.loads(body)["id"]] = "applied"
    # All but the first of each connection: that one has to be looked up.
    others = sum(case.status in (200, 202, 401) for case in [*tried, last]) - 4
    assert len(taken) == (others if connection == "keep-alive" else 0)
    while await apply_pending(opened.services):
        pass
    async with opened.services.database.reading() as session:
        views = {view.id: view for view in await delivery_views(session, limit=1_000)}
    assert {number: view.outcome for number, view in views.items()} == expected
    assert all(view.intakes[0].reason for view in views.values() if view.outcome == "dead")
    assert [view.conflicts for view in views.values() if view.dedupe_key == "id:same"] == [1]


@on_sqlite
async def test_a_body_that_is_shorter_than_it_was_said_to_be_is_no_delivery(opened: World) -> None:
    async with door(opened) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(raw(Case("", "", DESK_PATH, desk(GOOD), GOOD, 400, length=str(len(GOOD) + 5))))
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(65536), 120)
        writer.close()
        assert not answer or b" 400 " in answer.partition(b"\r\n")[0]
    async with opened.services.database.reading() as session:
        assert await delivery_views(session) == []


@on_sqlite
@pytest.mark.parametrize("sent", [b"", b"POST", b"POST / HTTP/1.1\r\nhost: krsync.test\r\nx-a: "])
async def test_headers_that_do_not_come_are_not_waited_for(
    opened: World, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(app.serving, "HEADERS_WITHIN", 0.05)
    async with door(opened) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(65536), 120)
        writer.close()
    if b"\r\n" in sent:
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "request_timeout"


@on_sqlite
async def test_headers_without_end_are_431(opened: World) -> None:
    async with door(opened) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"POST / HTTP/1.1\r\n")
        sent = 0
        while not reader.at_eof() and not reader._buffer and sent < 100 * app.serving.MOST_HEADERS:  # type: ignore[attr-defined]
            writer.write(b"x-more: " + b"x" * 4_000 + b"\r\n")
            sent += 4_000
            await writer.drain()
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.read(65536), 120)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 431 ")


@on_sqlite
async def test_a_body_that_comes_too_slowly_is_408(opened: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with door(opened) as address:
        monkeypatch.setattr(app.api.hooks, "DEADLINE", 0.05)
        reader, writer = await asyncio.open_connection(*address)
        request = raw(Case("", "", DESK_PATH, desk(GOOD), GOOD, 408)).replace(b"connection: close\r\n", b"")
        writer.write(request[:-1])
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
        assert head.startswith(b"HTTP/1.1 408 ")
        writer.close()
    async with opened.services.database.reading() as session:
        assert await delivery_views(session) == []


@on_sqlite
async def test_a_client_that_was_answered_early_does_not_hold_its_connection(
    opened: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on sending its too long body, a byte at a time."""
    async with door(opened) as address:
        reader, writer = await asyncio.open_connection(*address)

        async def told(case: Case) -> None:
            writer.write(raw(case).replace(b"connection: close\r\n", b""))
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)).decode()
            assert head.startswith(f"HTTP/1.1 {case.status} ")
            await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))

        await told(Case("", "", DESK_PATH, desk(GOOD), GOOD, 202))
        monkeypatch.setattr(app.serving, "HEADERS_WITHIN", 0.05)  # from here on, on this connection
        await told(Case("", "", DESK_PATH, desk(GOOD), GOOD, 413, length="99999999"))
        is_over = asyncio.create_task(reader.read())
        while not is_over.done():
            writer.write(b" ")
            await asyncio.sleep(0.01)
        writer.close()


@on_sqlite
@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_what_is_on_its_way_in_is_bounded_whoever_sends_it(
    opened: World, monkeypatch: pytest.MonkeyPatch, connection: str
) -> None:
    """Nobody is known before the body is there: a thousand strangers must not fill the memory."""
    monkeypatch.setattr(app.api.hooks, "MOST_ON_THE_WAY", 3_000)
    case = Case("", "", DESK_PATH, desk(GOOD), GOOD, 202)
    async with door(opened) as address:
        strangers = [await asyncio.open_connection(*address) for _ in range(2)]
        for _, writer in strangers:
            writer.write(raw(Case("", "", DESK_PATH, [], b"{", 400, length="1400"), connection))
        hooks = opened.api.hooks
        while hooks._on_the_way < 2_800:
            await asyncio.sleep(0)
        length, chunks = b"content-length: %d\r\n" % len(GOOD), b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)
        unsaid = raw(case).replace(length, b"transfer-encoding: chunked\r\n").replace(GOOD, chunks)
        for request in (raw(Case("", "", DESK_PATH, [], b"x" * 201, 503)), unsaid):
            status, headers, body = await exchange(address, request)
            assert (status, json.loads(body)["code"], headers["retry-after"]) == (503, "store_unavailable", "1")
        assert (await exchange(address, raw(case)))[0] == 202, "there is room for a small one"
        for _, writer in strangers:
            writer.close()
        while hooks._on_the_way:
            await asyncio.sleep(0)
        assert (await exchange(address, raw(case)))[0] == 202


async def test_a_full_disk_is_503_and_says_when_to_come_back(opened: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    for log in (SqliteLog, PostgresLog):
        monkeypatch.setattr(log, "append", fail)
    async with door(opened) as address:
        status, headers, body = await exchange(address, raw(Case("", "", DESK_PATH, desk(GOOD), GOOD, 503)))
    assert (status, json.loads(body)["code"]) == (503, "store_unavailable")
    assert int(headers["retry-after"]) >= 1
