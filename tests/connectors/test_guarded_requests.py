"""The same guard under `requests`, which the `jira` package brings."""

import asyncio
import gzip
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from connectors.errors import AccessDeniedError, UnavailableError, UnexpectedResponseError
from connectors.http import OutboundGuard, parse_policy, requests_adapter
from connectors.outbound import Lookup
from tests.connectors.certificates import certificate_for
from tests.connectors.loopback import answer, drip, serve


def get(url: str, *, allow: str = "127.0.0.0/8", lookup: Lookup | None = None, **options: Any) -> requests.Response:
    verify = options.pop("verify", True)
    with requests.Session() as session:
        guard = OutboundGuard(parse_policy(allow), lookup or (lambda host, port: ["127.0.0.1"]))
        for prefix in ("http://", "https://"):
            session.mount(prefix, requests_adapter(guard, **options))
        return session.get(url, verify=verify, timeout=(3, 10))


async def test_the_connection_goes_to_the_checked_address_and_the_host_stays_the_name() -> None:
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with serve({"/path?x=1": answer(b'{"ok": true}', "Content-Type: application/json")}) as site:
        response = await asyncio.to_thread(get, f"http://tool.example:{site.port}/path?x=1", lookup=lookup)

    assert response.json() == {"ok": True}
    assert response.url == f"http://tool.example:{site.port}/path?x=1"
    assert f"Host: tool.example:{site.port}\r\n" in site.requests[0]
    assert asked == ["tool.example"]


@pytest.mark.parametrize("host", ["127.0.0.1", "tool.example", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_an_inside_address_is_refused(host: str) -> None:
    async with serve({"/": answer(b"ok")}) as site:
        with pytest.raises(AccessDeniedError, match="KRSYNC_OUTBOUND_ALLOW"):
            await asyncio.to_thread(get, f"http://{host}:{site.port}/", allow="")

    assert site.requests == []


async def test_a_redirect_is_refused_and_a_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    elsewhere = answer(b"", "Location: http://169.254.169.254/", status="302 Found")
    async with serve({"/": elsewhere}) as site:
        with pytest.raises(UnexpectedResponseError, match="redirect"):
            await asyncio.to_thread(get, f"http://tool.example:{site.port}/")

    assert len(site.requests) == 1


async def test_the_certificate_must_be_for_the_name(tmp_path: Path) -> None:
    server_side, _ = certificate_for("tool.example", tmp_path)
    bundle = str(tmp_path / "both.pem")
    async with serve({"/": answer(b"sealed")}, tls=server_side) as site:
        response = await asyncio.to_thread(get, f"https://tool.example:{site.port}/", verify=bundle)
        with pytest.raises(requests.exceptions.SSLError):
            await asyncio.to_thread(get, f"https://other.example:{site.port}/", verify=bundle)

    assert response.text == "sealed"
    assert isinstance(server_side, ssl.SSLContext)


async def test_the_deadline_and_the_cap_hold() -> None:
    bomb = answer(gzip.compress(bytes(50 * 1024 * 1024)), "Content-Encoding: gzip")
    async with serve({"/drip": drip, "/bomb": bomb, "/small": answer(b"12345")}) as site, asyncio.timeout(60):
        url = f"http://tool.example:{site.port}"
        with pytest.raises(UnavailableError, match="in time"):
            await asyncio.to_thread(get, f"{url}/drip", deadline=timedelta(seconds=0.3))
        with pytest.raises(UnexpectedResponseError, match="larger than"):
            await asyncio.to_thread(get, f"{url}/bomb")
        with pytest.raises(UnexpectedResponseError, match="larger than 4 bytes"):
            await asyncio.to_thread(get, f"{url}/small", max_bytes=4)
        assert (await asyncio.to_thread(get, f"{url}/small", max_bytes=5)).content == b"12345"
