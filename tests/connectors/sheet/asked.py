"""A session over answers that a test gives, at a moment of its own."""

from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import httpx
from openpyxl import Workbook

from connectors.contract import Measurement, Window
from connectors.http import create_client, parse_policy, toolbox
from connectors.secrets import bind
from connectors.sheet import SheetConfig, SheetQuery
from connectors.sheet.connector import measure, open_sheet

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
URL = "https://files.acme.example/budget.csv"
UNBOUNDED = Window(None, None)
TOKEN = "files-token-77"


def workbook(**sheets: list[list[Any]]) -> bytes:
    """An .xlsx of these sheets."""
    book = Workbook()
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.remove(book.worksheets[0])
    content = BytesIO()
    book.save(content)
    return content.getvalue()


async def session(site: bytes | str | Callable[[httpx.Request], httpx.Response], call: Any, **config: Any) -> Any:
    """What a hook gives in a session whose server answers with a document, or as it is told."""

    def document(request: httpx.Request) -> httpx.Response:
        assert not callable(site)
        kind = {"content-type": "text/csv"}
        return httpx.Response(200, content=site if isinstance(site, bytes) else site.encode(), headers=kind)

    given = SheetConfig.model_validate({"url": URL} | config)
    transport = httpx.MockTransport(site if callable(site) else document)
    async with (
        create_client(parse_policy(""), transport=transport) as client,
        open_sheet(bind(given, lambda _: TOKEN), toolbox(client, lambda: NOW)) as opened,
    ):
        return await call(opened)


async def measured(
    site: bytes | str | Callable[[httpx.Request], httpx.Response],
    query: dict[str, Any],
    window: Window = UNBOUNDED,
    **config: Any,
) -> Measurement:
    """What a query gives."""
    asked = SheetQuery.model_validate(query)
    found = await session(site, lambda opened: measure(opened, asked, window), **config)
    assert isinstance(found, Measurement)
    return found
