"""Lists as records: every page is read before anything is handed over, and nothing where all is as it was.

An API says of no list what changed in it, so each read is of the whole; a run reads it once, whatever it asks.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

import msgspec

from connectors.answer import digest_of
from connectors.contract import Cursor, JsonValue, Page, RecordChange
from connectors.errors import UnexpectedResponseError
from connectors.http_json.models import HttpJsonDataset
from connectors.http_json.payloads import list_at, record_of, text_at
from connectors.http_json.placeholders import PageAsked
from connectors.http_json.session import HttpJsonSession, next_of
from connectors.paths import FieldPath, parse_path

#: A list that goes on beyond that has lost its way.
MOST_PAGES = 1_000
MOST_RECORDS = 100_000
_RECORDS_A_PAGE = 1_000
#: An address, and what is posted to it.
_Asked: TypeAlias = tuple[str, bytes | None]
_encoder = msgspec.json.Encoder(decimal_format="number")


async def read(session: HttpJsonSession, dataset: HttpJsonDataset, cursor: Cursor | None) -> AsyncIterator[Page]:
    """Every item as a record; none where the list and how it is read are what they were at the cursor."""
    records = await _records(session, dataset)
    digest = digest_of([[record.fields for record in records], dataset.model_dump(mode="json")])
    if cursor is None or cursor.get("digest") != digest:
        for start in range(0, len(records), _RECORDS_A_PAGE):
            yield Page(records[start : start + _RECORDS_A_PAGE])
    yield Page((), cursor={"digest": digest})


async def fetch(
    session: HttpJsonSession, dataset: HttpJsonDataset, known: Mapping[str, str], cursor: Cursor | None
) -> AsyncIterator[Page]:
    """The items with these ids; one that is not in the list is deleted."""
    found = [record for record in await _records(session, dataset) if record.entity in known]
    gone = known.keys() - {record.entity for record in found}
    yield Page(found, absent=dict.fromkeys(gone, "deleted"))


async def sweep(session: HttpJsonSession, dataset: HttpJsonDataset) -> AsyncIterator[Sequence[str]]:
    """The ids of all items."""
    yield [record.entity for record in await _records(session, dataset)]


async def _records(session: HttpJsonSession, dataset: HttpJsonDataset) -> Sequence[RecordChange]:
    """All of the list; of an item that two pages have, as it moved meanwhile, the later one."""
    name = dataset.model_dump_json()
    if name not in session.lists:
        found: dict[str, RecordChange] = {}
        async for items in _pages(session, dataset):
            found |= {record.entity: record for record in (record_of(item, dataset) for item in items)}
            if len(found) > MOST_RECORDS:
                raise UnexpectedResponseError(f"The list of {session.tool} has more than {MOST_RECORDS} items.")
        session.lists[name] = list(found.values())
    return session.lists[name]


async def _pages(session: HttpJsonSession, dataset: HttpJsonDataset) -> AsyncIterator[list[JsonValue]]:
    asked: _Asked | None = _request(session, dataset, PageAsked())
    seen: set[_Asked] = set()
    before: list[JsonValue] = []
    while asked is not None:
        if asked in seen or len(seen) == MOST_PAGES:
            raise UnexpectedResponseError(f"The list of {session.tool} does not end.")
        seen.add(asked)
        body, headers = await session.ask(*asked)
        items = list_at(body, _steps(dataset.items), dataset.items)
        if dataset.is_counted and items and items == before:
            raise UnexpectedResponseError(
                f"{session.tool} answers page {len(seen)} with the page before: say where it names the next one (next)."
            )
        before = items
        yield items
        if dataset.is_counted:
            asked = _request(session, dataset, PageAsked(len(seen) + 1)) if items else None
        else:
            said = next_of(headers) if dataset.next is None else text_at(body, _steps(dataset.next))
            asked = None if said is None else _told(session, dataset, asked, said)


def _request(session: HttpJsonSession, dataset: HttpJsonDataset, page: PageAsked) -> _Asked:
    post = None if dataset.post is None else _encoder.encode(page.in_json(dataset.post))
    return f"{session.config.url}{page.in_address(dataset.path)}", post


def _told(session: HttpJsonSession, dataset: HttpJsonDataset, asked: _Asked, said: str) -> _Asked:
    """What asks for the next page, by what an answer said of it: what `{next}` stands for, or its address."""
    if dataset.is_told:
        return _request(session, dataset, PageAsked(next=said))
    url, post = asked
    url = urljoin(url, said)
    if urlsplit(url)[:2] != urlsplit(session.config.url)[:2]:  # the credential goes along
        raise UnexpectedResponseError(f"The next page of {session.tool} would be elsewhere, and is not asked for.")
    return url, post


def _steps(text: str) -> FieldPath:
    return () if text == "body" else parse_path(text)
