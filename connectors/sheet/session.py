"""One run's talk with the server of a document: fetched once, over checked redirects, and read beside the loop.

Google and SharePoint answer a request for content with a redirect to another of their hosts. It is followed as any
other request is made: its address is checked, and the credential stays with the server that it is for.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from connectors.account import authorization
from connectors.answer import raise_for_status
from connectors.contract import Toolbox
from connectors.errors import QueryError, UnexpectedResponseError
from connectors.sheet.addresses import content_of, origin_of, redirected
from connectors.sheet.models import SheetConfig, SheetDataset
from connectors.sheet.rows import Rows, rows_of
from connectors.sheet.values import Style, style_of
from connectors.spreadsheet.cells import NoSuchSheetError, Sheet, SheetError
from connectors.spreadsheet.reading import Limits, read_sheet

LIMITS = Limits(rows=20_000, columns=200)
_MOST_REDIRECTS = 5
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_KINDS = frozenset(
    (
        "",
        "application/csv",
        "application/octet-stream",
        "application/vnd.ms-excel",
        "application/vnd.ms-excel.sheet.macroenabled.12",
        "application/x-csv",
        "binary/octet-stream",
        "text/comma-separated-values",
        "text/csv",
        "text/plain",
        "text/tab-separated-values",
        "text/x-csv",
        _XLSX,
    )
)
_ACCEPT = f"text/csv, {_XLSX}, */*;q=0.1"
_NOT_PUBLIC = "the sheet is not public: share it with everybody who has the link, or publish it to the web as CSV"


@dataclass(frozen=True, slots=True)
class Opened:
    """A sheet of the document, and how it writes its values."""

    sheet: Sheet
    style: Style


class SheetSession:
    """One run's talk with a server. What is fetched is kept until the end of the run."""

    def __init__(self, config: SheetConfig, toolbox: Toolbox) -> None:
        self.config = config
        self.toolbox = toolbox
        self.address = content_of(config.url)
        self._authorization = authorization(config)
        self._document: bytes | None = None
        self._opened: dict[str | None, Opened] = {}
        self._rows: dict[SheetDataset, Rows] = {}

    async def open(self, name: str | None) -> Opened:
        """The sheet of that name, or the first; raises what `connectors.errors` says otherwise."""
        if name not in self._opened:
            self._opened[name] = await asyncio.to_thread(self._read, await self._content(), name)
        return self._opened[name]

    async def digest(self) -> str:
        """`sha256:` of the whole document."""
        return f"sha256:{hashlib.sha256(await self._content()).hexdigest()}"

    async def rows(self, dataset: SheetDataset) -> Rows:
        """The records of a dataset; raises what `connectors.errors` says otherwise."""
        if dataset not in self._rows:
            opened = await self.open(dataset.sheet)
            rows = await asyncio.to_thread(rows_of, opened.sheet, dataset, opened.style, self.config.url)
            self._rows[dataset] = rows
        return self._rows[dataset]

    def _read(self, document: bytes, name: str | None) -> Opened:
        try:
            sheet = read_sheet(document, "", sheet=name, limits=LIMITS)
        except NoSuchSheetError as error:
            raise QueryError(f"Of the document at {self._host}: {error}.") from None
        except SheetError as error:
            raise UnexpectedResponseError(f"The document at {self._host} can not be read: {error}.") from None
        return Opened(sheet, style_of(sheet, self.config))

    async def _content(self) -> bytes:
        if self._document is None:
            self._document = await self._fetch()
        return self._document

    async def _fetch(self) -> bytes:
        address = self.address
        for _ in range(_MOST_REDIRECTS + 1):
            is_ours = origin_of(address) == origin_of(self.address)
            headers = {"accept": _ACCEPT, **(self._authorization if is_ours else {})}
            response = await self.toolbox.http.get(address, headers=headers)
            if response.status_code not in (301, 302, 303, 307, 308):
                return self._checked(response, urlsplit(address).hostname or "")
            address = redirected(address, response.headers.get("location"))
        raise UnexpectedResponseError(f"{self._host} answered with more than {_MOST_REDIRECTS} redirects.")

    def _checked(self, response: httpx.Response, host: str) -> bytes:
        is_closed = response.status_code in (401, 403) and not self._authorization
        raise_for_status(response, tool=host, now=self.toolbox.now(), detail=_NOT_PUBLIC if is_closed else None)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        content = response.content
        begin = content[:200].removeprefix(b"\xef\xbb\xbf").lstrip()
        if kind in ("text/html", "application/xhtml+xml") or begin.startswith(b"<"):
            raise UnexpectedResponseError(
                f"{host} answered with a web page (a login page?) where a sheet was expected: {_NOT_PUBLIC}."
            )
        if kind not in _KINDS:
            raise UnexpectedResponseError(f"{host} answered with {kind[:100]} where CSV or .xlsx was expected.")
        if not begin:
            raise UnexpectedResponseError(f"{host} answered with nothing where a sheet was expected.")
        return content

    @property
    def _host(self) -> str:
        return urlsplit(self.address).hostname or self.address
