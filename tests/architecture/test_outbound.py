"""Outbound connections are made in one place: nobody else constructs a client, a session or a socket."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Whatever opens a connection, or takes an address from a caller and opens one.
CLIENTS = (
    *("httpx.AsyncClient", "httpx.Client", "httpx.AsyncHTTPTransport", "httpx.HTTPTransport"),
    *(f"httpx.{verb}" for verb in ("get", "post", "put", "patch", "delete", "head", "options", "request", "stream")),
    *("httpx_aiohttp.AiohttpTransport", "httpx_aiohttp.HttpxAiohttpClient"),
    *("aiohttp.ClientSession", "aiohttp.TCPConnector", "aiohttp.request"),
    *("requests.Session", "requests.session", "requests.adapters.HTTPAdapter"),
    *(f"requests.{verb}" for verb in ("get", "post", "put", "patch", "delete", "head", "options", "request")),
    *("urllib.request", "urllib3", "http.client", "ftplib", "smtplib", "telnetlib"),
    "jira.JIRA",
    *("asyncio.open_connection", "socket.create_connection"),
    *("asyncpg.connect", "asyncpg.create_pool"),
)

#: Who may, and why.
MAKERS = {
    "connectors/http.py": "the factory",
    "connectors/guarded_requests.py": "the factory's guard under requests",
    "connectors/jira/directory.py": "the jira package, on the guarded adapter",
    "connectors/sql/session.py": "PostgreSQL's protocol, to the address that the guard has checked",
    "app/demo/doors.py": "plays the example into the service beside it",
    "app/services/notify/mail.py": "speaks SMTP with the server that the operator names",
    "app/supervisor.py": "asks the processes it has started whether they are up",
}
#: The command line is a client of our own API, on the operator's machine.
OWN_API = "app/cli"


def sources() -> list[Path]:
    found = [path for folder in ("app", "connectors", "workers") for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if not path.relative_to(ROOT).as_posix().startswith(OWN_API)]


def clients_of(text: str) -> Iterator[tuple[int, str]]:
    """The line and the name of each use of a client, whatever it was imported as. Annotations are no uses."""
    tree = ast.parse(text)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
                if _is_client(alias.name):
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                if _is_client(node.module) or f"{node.module}.{alias.name}" in ("urllib.request", "http.client"):
                    yield node.lineno, node.module
    for node in ast.walk(tree):
        uses: list[ast.expr] = []
        if isinstance(node, ast.Call):
            uses = [node.func]
        elif isinstance(node, ast.ClassDef):
            uses = node.bases
        for use in uses:
            name = _dotted(use, names)
            if name is not None and _is_client(name):
                yield use.lineno, name


def _is_client(name: str) -> bool:
    return any(name == client or name.startswith(f"{client}.") for client in CLIENTS)


def _dotted(node: ast.expr, names: dict[str, str]) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return None
    return ".".join([names[node.id], *reversed(parts)])


def test_only_the_factory_makes_clients() -> None:
    found = {
        f"{path.relative_to(ROOT).as_posix()}:{line}: {name}"
        for path in sources()
        if path.relative_to(ROOT).as_posix() not in MAKERS
        for line, name in clients_of(path.read_text("utf-8"))
    }
    assert found == set()


def test_each_exception_is_still_one() -> None:
    makers = {path.relative_to(ROOT).as_posix() for path in sources() if list(clients_of(path.read_text("utf-8")))}
    assert makers == set(MAKERS)


@pytest.mark.parametrize(
    "text",
    [
        "import httpx\nhttpx.AsyncClient()",
        "import httpx as h\nh.get('https://a.example')",
        "from httpx import AsyncClient as Client\nClient()",
        "import httpx\nclass Mine(httpx.AsyncClient): ...",
        "def f():\n    import requests\n    return requests.Session()",
        "from requests import get\nget('https://a.example')",
        "import aiohttp\naiohttp.ClientSession()",
        "from urllib.request import urlopen\nurlopen('https://a.example')",
        "import urllib.request\n",
        "from urllib import request\n",
        "import http.client\n",
        "from asyncio import open_connection\nopen_connection('a', 1)",
        "import socket\nsocket.create_connection(('a', 1))",
    ],
)
def test_a_client_is_found_however_it_is_imported(text: str) -> None:
    assert list(clients_of(text))


@pytest.mark.parametrize(
    "text",
    [
        "import httpx\ndef f(client: httpx.AsyncClient) -> httpx.Response: ...",
        "import httpx\nhttpx.Timeout(3)",
        "from urllib.parse import urlsplit\nurlsplit('a')",
        "from connectors.http import create_client\ncreate_client(None)",
        "client.get('https://a.example')",
    ],
)
def test_the_use_of_a_client_that_was_handed_over_is_fine(text: str) -> None:
    assert not list(clients_of(text))
