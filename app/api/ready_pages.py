"""Pages of the list of key results off the shelf, without the routes: for whoever was answered by them before.

The route authenticates, reads the question and notes which page of the shelf it answers with. As long as the shelf's
`access` is the number that it was before that, nobody's rights have changed since, and neither has the question: the
same token asking the same thing again gets its page straight off the shelf.
"""

from dataclasses import dataclass

from starlette.types import Scope

from app.services.paging import encode_cursor
from app.services.read import KeyResultQuery, Page, Shelf

#: Who asks (the `Authorization`), the path, the query and what is accepted, as they were sent.
Key = tuple[bytes, str, bytes, bytes]

_NOTE = "krsync.page"
#: Readers that are remembered, and pages that are kept as bytes: of up to a thousand key results, a megabyte each.
_MOST_KNOWN, _MOST_MADE = 1_000, 32


@dataclass(slots=True)
class Note:
    """What a route says of its answer: it is the page off the shelf that this query asks for."""

    query: KeyResultQuery | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    query: KeyResultQuery
    access: int


@dataclass(frozen=True, slots=True)
class _Made:
    """A page, and the edition of the shelf that it is known to be of."""

    page: "ReadyPage"
    edition: int


class ReadyPage:
    """A page with its cursor and what makes its entity tag."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._cursor = None if page.following is None else encode_cursor("key_results", *page.following)
        self.tag = page.digest(self._cursor)
        self._body: bytes | None = None

    @property
    def etag(self) -> str:
        """The header: weak."""
        return f'W/"{self.tag}"'

    def body(self) -> bytes:
        """The page as JSON, joined once."""
        if self._body is None:
            self._body = self.page.body(self._cursor)
        return self._body


class ReadyPages:
    """Which page each reader asks for, and the last pages as bytes. `shelf` is set by the lifespan."""

    def __init__(self) -> None:
        self.shelf: Shelf | None = None
        self._known: dict[Key, _Known] = {}
        self._made: dict[KeyResultQuery, _Made] = {}

    def noting(self, scope: Scope) -> tuple[Scope, Note]:
        """The scope of a request whose route may note its page, and the note."""
        note = Note()
        return {**scope, _NOTE: note}, note

    def access(self) -> int | None:
        """What to give to `keep`: taken before the route authenticates anybody."""
        return None if self.shelf is None else self.shelf.access

    def keep(self, key: Key, note: Note, access: int | None) -> None:
        """Remember what a route noted, if it did."""
        if note.query is None or access is None:
            return
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = _Known(note.query, access)

    async def find(self, key: Key) -> ReadyPage | None:
        """The page that is asked for, as new as the call; None where the routes are to answer. Raises what reading the
        store raises."""
        if self.shelf is None or key not in self._known:
            return None
        await self.shelf.refresh()
        return self._page(self.shelf, key)

    def find_now(self, key: Key) -> ReadyPage | None:
        """The same where it is known without waiting."""
        if self.shelf is None or key not in self._known or not self.shelf.is_fresh():
            return None
        return self._page(self.shelf, key)

    def _page(self, shelf: Shelf, key: Key) -> ReadyPage | None:
        known = self._known.get(key)
        if known is None or known.access != shelf.access:
            self._known.pop(key, None)
            return None
        made = self._made.pop(known.query, None)
        if made is None or made.edition != shelf.edition:
            page = shelf.page(known.query)
            ready = made.page if made is not None and page.is_like(made.page.page) else ReadyPage(page)
            made = _Made(ready, shelf.edition)
        self._made[known.query] = made  # the last one asked for is the last to go
        if len(self._made) > _MOST_MADE:
            del self._made[next(iter(self._made))]
        return made.page


def note_page(scope: Scope, query: KeyResultQuery) -> None:
    """Say that the answer to this request is a page off the shelf: for the route, once the question is found good."""
    note = scope.get(_NOTE)
    if note is not None:
        note.query = query
