"""The outbound client: where it goes, how long it waits, how much it takes, and what each failure is called."""

import asyncio
import base64
import gzip
import socket
import ssl
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from connectors.errors import (
    AccessDeniedError,
    ConnectorError,
    RateLimitedError,
    UnavailableError,
    UnexpectedResponseError,
)
from connectors.http import OutboundPolicy, create_client, parse_policy, toolbox
from connectors.outbound import Lookup
from tests.connectors.certificates import certificate_for
from tests.connectors.loopback import answer, cut, drip, drip_head, hold, serve

LOOPBACK = parse_policy("127.0.0.0/8")
CANARY = "c4n4" + "ry"  # in two parts: a traceback shows lines of this file
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def resolving_to(*addresses: str) -> Lookup:
    return lambda host, port: list(addresses)


class Rebinding:
    """A name server that gives a public address first and an inside one ever after."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers: Iterator[Sequence[str]] = iter(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return next(self._answers)


async def fetch(
    url: str,
    *,
    policy: OutboundPolicy = LOOPBACK,
    lookup: Lookup = resolving_to("127.0.0.1"),
    deadline: timedelta = timedelta(seconds=20),
    max_bytes: int = 32 * 1024 * 1024,
    ssl_context: ssl.SSLContext | None = None,
) -> httpx.Response:
    client = create_client(
        policy, lookup=lookup, deadline=deadline, max_bytes=max_bytes, ssl_context=ssl_context or plain_context()
    )
    async with client:
        return await client.get(url)


@cache
def plain_context() -> ssl.SSLContext:
    """No certificate authority at all: quicker than loading them, and enough for plain HTTP."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


# --- where it goes ---------------------------------------------------------------------------------------------------


async def test_a_name_resolves_once_and_the_connection_goes_to_the_address_that_was_checked() -> None:
    lookup = Rebinding(["127.0.0.1"], ["10.0.0.1"])
    async with serve({"/": answer(b"ok")}) as site:
        response = await fetch(f"http://tool.example:{site.port}/", lookup=lookup)

    assert response.text == "ok"
    assert lookup.asked == 1
    assert f"host: tool.example:{site.port}\r\n" in site.requests[0]


async def test_a_name_that_is_rebound_to_loopback_is_refused_on_its_next_resolution() -> None:
    lookup = Rebinding(["127.0.0.1"], ["127.0.0.2"])
    only_first = parse_policy("127.0.0.1")
    async with serve({"/": answer(b"ok")}) as site:
        await fetch(f"http://tool.example:{site.port}/", policy=only_first, lookup=lookup)
        with pytest.raises(AccessDeniedError):
            await fetch(f"http://tool.example:{site.port}/", policy=only_first, lookup=lookup)

    assert len(site.requests) == 1


async def test_one_refused_address_among_several_refuses_the_host() -> None:
    async with serve({"/": answer(b"ok")}) as site:
        with pytest.raises(AccessDeniedError, match=r"tool\.example.*KRSYNC_OUTBOUND_ALLOW"):
            await fetch(f"http://tool.example:{site.port}/", lookup=resolving_to("127.0.0.1", "10.0.0.1"))

    assert site.requests == []


async def test_a_host_name_on_the_list_allows_what_it_resolves_to_and_no_other_name() -> None:
    policy = parse_policy("Tool.Example.")
    async with serve({"/": answer(b"ok")}) as site:
        response = await fetch(f"http://tool.example:{site.port}/", policy=policy)
        for other in ("127.0.0.1", "localhost", "sub.tool.example", "tool.example.org"):
            with pytest.raises(AccessDeniedError):
                await fetch(f"http://{other}:{site.port}/", policy=policy)

    assert response.text == "ok"
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "017700000001", "localhost", "LOCALHOST."),
        *("0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "127.0.0.1."),
        *("１２７.0.0.1", "127。0。0。1"),
    ],
)
async def test_no_spelling_of_loopback_is_reached_by_default(host: str) -> None:
    """The system's resolver is asked here: it knows spellings that are no address to `ipaddress`."""
    async with serve({"/": answer(b"ok")}) as site:
        with pytest.raises((AccessDeniedError, UnavailableError)):
            await fetch(f"http://{host}:{site.port}/", policy=parse_policy(""), lookup=system)

    assert site.requests == []


def system(host: str, port: int) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://tool.example/",
        "file:///etc/passwd",
        "http:///path",
        "tool.example",
        "ws://a/",
        "http://[::1",
        "http://a:b/",
    ],
)
async def test_only_http_and_https_are_spoken(url: str) -> None:
    with pytest.raises(AccessDeniedError):
        await fetch(url)


async def test_a_redirect_is_an_answer_and_is_never_followed() -> None:
    elsewhere = answer(b"", "Location: http://169.254.169.254/latest/meta-data/", status="302 Found")
    async with serve({"/": elsewhere}) as site, create_client(LOOPBACK, ssl_context=plain_context()) as client:
        response = await client.get(f"http://127.0.0.1:{site.port}/", follow_redirects=True)

    assert response.status_code == 302
    assert len(site.requests) == 1


async def test_a_call_with_credentials_of_its_own_is_made_with_them() -> None:
    async with serve({"/": answer(b"ok")}) as site, create_client(LOOPBACK, ssl_context=plain_context()) as client:
        await client.get(f"http://127.0.0.1:{site.port}/", auth=("ada", "secret"))
        await client.get(f"http://127.0.0.1:{site.port}/")

    sent = f"authorization: basic {base64.b64encode(b'ada:secret').decode()}".lower()
    assert [sent in request.lower() for request in site.requests] == [True, False]


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve({"/": answer(b"direct")}) as site:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        response = await fetch(f"http://127.0.0.1:{site.port}/")

    assert response.text == "direct"


async def test_the_certificate_must_be_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    server_side, client_side = certificate_for("tool.example", tmp_path)
    async with serve({"/": answer(b"sealed")}, tls=server_side) as site:
        response = await fetch(f"https://tool.example:{site.port}/", ssl_context=client_side)
        with pytest.raises(UnavailableError, match=r"other\.example.*TLS"):
            await fetch(f"https://other.example:{site.port}/", ssl_context=client_side)
        with pytest.raises(UnavailableError, match="TLS"):
            await fetch(f"https://tool.example:{site.port}/")

    assert response.text == "sealed"


# --- how long, how much ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [drip, drip_head, hold])
async def test_a_call_ends_at_its_deadline_however_the_answer_trickles(slow: object) -> None:
    async with serve({"/": slow}) as site, asyncio.timeout(60):  # type: ignore[dict-item]
        with pytest.raises(UnavailableError, match="did not answer in time"):
            await fetch(f"http://127.0.0.1:{site.port}/", deadline=timedelta(seconds=0.3))


async def test_a_stream_ends_at_its_deadline_too() -> None:
    client = create_client(LOOPBACK, deadline=timedelta(seconds=0.3), ssl_context=plain_context())
    async with serve({"/": drip}) as site, client, asyncio.timeout(60):
        request = client.build_request("GET", f"http://127.0.0.1:{site.port}/")
        response = await client.send(request, stream=True)
        with pytest.raises(UnavailableError, match="did not answer in time"):
            async for _ in response.aiter_bytes():
                pass
        await response.aclose()


async def test_a_slow_resolver_counts_towards_the_deadline() -> None:
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(host: str, port: int) -> Sequence[str]:
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result()
        return ["127.0.0.1"]

    async with asyncio.timeout(60):
        try:
            with pytest.raises(UnavailableError, match="did not answer in time"):
                await fetch("http://tool.example/", lookup=slow, deadline=timedelta(seconds=0.3))
        finally:
            released.set()


async def test_200_megabytes_out_of_200_kilobytes_are_not_inflated() -> None:
    bomb = answer(gzip.compress(bytes(200 * 1024 * 1024)), "Content-Encoding: gzip")
    assert len(bomb) < 300_000
    async with serve({"/": bomb}) as site:
        with pytest.raises(UnexpectedResponseError, match="larger than 33554432 bytes"):
            await fetch(f"http://127.0.0.1:{site.port}/")


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 5000])
@pytest.mark.parametrize("is_zipped", [True, False])
async def test_the_cap_counts_decoded_bytes_exactly(size: int, is_zipped: bool) -> None:
    body = bytes(range(256)) * 20
    plain = body[:size]
    sent = answer(gzip.compress(plain), "Content-Encoding: gzip") if is_zipped else answer(plain)
    async with serve({"/": sent}) as site:
        if size > 1000:
            with pytest.raises(UnexpectedResponseError, match="larger than 1000 bytes"):
                await fetch(f"http://127.0.0.1:{site.port}/", max_bytes=1000)
        else:
            response = await fetch(f"http://127.0.0.1:{site.port}/", max_bytes=1000)
            assert response.content == plain


async def test_a_large_zipped_body_arrives_whole() -> None:
    body = bytes(range(256)) * 40_000
    async with serve({"/": answer(gzip.compress(body), "Content-Encoding: GZip")}) as site:
        response = await fetch(f"http://127.0.0.1:{site.port}/")

    assert response.content == body


@pytest.mark.parametrize(
    ("body", "coding", "reason"),
    [
        (gzip.compress(b"x" * 100, mtime=0)[:-9], "gzip", "cut short"),
        (b"not gzip", "gzip", "not valid gzip"),
        (b"x", "br", "content encoding"),
        (b"x", "gzip, gzip", "content encoding"),
        (b"x", "deflate", "content encoding"),
    ],
)
async def test_a_body_that_can_not_be_decoded_is_unexpected(body: bytes, coding: str, reason: str) -> None:
    async with serve({"/": answer(body, f"Content-Encoding: {coding}")}) as site:
        with pytest.raises(UnexpectedResponseError, match=reason):
            await fetch(f"http://127.0.0.1:{site.port}/")


# --- what failures are called ----------------------------------------------------------------------------------------


async def test_a_connection_that_is_refused_or_cut_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError, match=r"The connection to tool\.example failed"):
            await fetch(f"http://tool.example:{unused.getsockname()[1]}/")
    async with serve({"/": cut, "/nothing": b""}) as site:
        for path in ("/", "/nothing"):
            with pytest.raises(UnavailableError, match="connection to"):
                await fetch(f"http://127.0.0.1:{site.port}{path}")


async def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for lookup in (unknown, resolving_to()):
        with pytest.raises(UnavailableError, match=r"tool\.example could not be resolved"):
            await fetch("http://tool.example/", lookup=lookup)


@pytest.mark.parametrize("path", ["/garbage", "/header", "/refused", "/gone"])
async def test_neither_an_error_nor_its_cause_tells_the_url_or_the_credential(path: str) -> None:
    long_header = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n"
    answers = {
        f"/garbage?key={CANARY}": b"SSH-2.0-x\r\n\r\n",
        f"/header?key={CANARY}": long_header,
        f"/gone?key={CANARY}": b"",
    }
    async with serve(dict(answers)) as site, create_client(LOOPBACK, ssl_context=plain_context()) as client:
        host = "10.0.0.1" if path == "/refused" else "127.0.0.1"
        with pytest.raises(ConnectorError) as caught:
            await client.get(
                f"http://{host}:{site.port}{path}?key={CANARY}", headers={"Authorization": f"Bearer {CANARY}"}
            )

    error: BaseException | None = caught.value
    assert CANARY not in "".join(traceback.format_exception(error))
    while error is not None:
        assert CANARY not in repr(error) + str(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ({"headers": {"Authorization": f"Bearer {CANARY}"}}, f"bad token {CANARY}, I mean it: {CANARY}"),
        ({"auth": ("bot", CANARY)}, f"bad password {CANARY}"),
        ({"auth": ("bot", CANARY)}, f"bad header Basic {base64.b64encode(f'bot:{CANARY}'.encode()).decode()}"),
    ],
)
async def test_a_refusal_that_repeats_the_credential_comes_without_it(auth: dict[str, Any], said: str) -> None:
    refusal = answer(gzip.compress(said.encode()), "Content-Encoding: gzip", status="401 Unauthorized")
    async with serve({"/": refusal}) as site, create_client(LOOPBACK, ssl_context=plain_context()) as client:
        response = await client.get(f"http://127.0.0.1:{site.port}/", **auth)

    assert "[credential]" in response.text
    assert CANARY not in response.text
    assert base64.b64encode(f"bot:{CANARY}".encode()).decode() not in response.text


# --- one client, many runs -------------------------------------------------------------------------------------------


async def test_runs_share_connections_but_neither_cookies_nor_counts() -> None:
    async with serve({"/": answer(b"ok", "Set-Cookie: session=first")}) as site:
        url = f"http://127.0.0.1:{site.port}/"
        async with create_client(LOOPBACK, ssl_context=plain_context()) as client:
            first, second = toolbox(client, lambda: NOW), toolbox(client, lambda: NOW)
            async with first.http:
                await first.http.get(url)
                await first.http.get(url)
            await second.http.get(url)
            await client.get(url)

    assert (first.calls(), second.calls()) == (2, 1)
    assert ["cookie: " in head for head in site.requests] == [False, True, False, False]
    assert first.now() == NOW


async def test_a_test_may_put_another_transport_in_the_networks_place() -> None:
    client = create_client(parse_policy(""), transport=httpx.AsyncHTTPTransport())
    with respx.mock:
        respx.get("https://tool.example/").respond(200, json={"ok": True})
        async with client:
            response = await client.get("https://tool.example/")

    assert response.json() == {"ok": True}


async def test_what_hangs_on_a_client_is_asked_before_each_request_and_told_of_each_answer() -> None:
    """Whoever keeps us off a tool does it there: however a request goes out, it is asked first."""
    sent, seen = [], []

    async def refuse_the_second(request: httpx.Request) -> None:
        seen.append(request.url.path)
        if len(seen) > 1:
            raise RateLimitedError("not now")

    async def told(response: httpx.Response) -> None:
        seen.append(str(response.status_code))

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path)
        return httpx.Response(204)

    async with create_client(parse_policy(""), transport=httpx.MockTransport(answer)) as client:
        client.event_hooks = {"request": [refuse_the_second], "response": [told]}
        await client.get("https://tool.example/first")
        with pytest.raises(RateLimitedError, match="not now"):
            await client.get("https://tool.example/second")
    assert (sent, seen) == (["/first"], ["/first", "204", "/second"])
