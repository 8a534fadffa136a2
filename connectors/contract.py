"""All that a connector's author has to read.

A connector is a frozen value that names its hooks. An absent hook is an absent capability, so a
declaration can not disagree with the code and there is nothing to inherit:

    ECHO = Connector(key="echo", title="Echo", config=EchoConfig, query=EchoQuery, open=open_echo, measure=measure)

Three ways for a number to come in, each optional:

* `measure` — the tool computes one number (a JQL count, PromQL, SQL): one `Measurement`.
* `read` — we keep the tool's entities: pages of `RecordChange`, each page with the cursor to go on from.
* `verify` + `parse` — the tool sends webhooks: the bytes are verified, stored, and later parsed into `Event`,
  `Changed`, `Pushed` or `Ignored`. Both are pure: no clock, no network.

A connector sees its config (secrets resolved), its query or dataset and a `Toolbox`. It never sees our database, a
team or a key result, and it gets every outbound client from the toolbox. Failures are raised from
`connectors.errors`. `connectors.testing` holds the conformance suite that a connector has to pass.

All moments are timezone-aware UTC; all numbers that are measured are `Decimal`; all JSON values are what
`connectors.contract.JsonValue` says, floats excluded: decode with `float_hook=Decimal` (msgspec) or
`parse_float=Decimal` (json).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import Field, dataclass, field, fields, make_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import httpx
import msgspec
from pydantic import BaseModel

JsonValue: TypeAlias = "None | bool | int | Decimal | str | list[JsonValue] | dict[str, JsonValue]"
Cursor: TypeAlias = dict[str, JsonValue]


# --- what a connector hands over -------------------------------------------------------------------------------------

# A read makes more of the next two than of anything else: a frozen dataclass takes ten times as long as a struct.


class Transition(msgspec.Struct, frozen=True, gc=False):
    """One change of one field of an entity, as the tool's history tells it.

    `order` keeps the source's order where moments are equal. Categories are the tool's own grouping of the value,
    normalised to `to_do`, `in_progress` or `done` (None: unmapped, or not a status).
    """

    field: str
    at: datetime
    order: int
    before: str | None
    after: str | None
    before_category: str | None = None
    after_category: str | None = None

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


class RecordChange(msgspec.Struct, frozen=True):
    """The newest version of one entity of the tool.

    `entity` is the tool's stable id (never a name or a key that can be moved); `name` is what people call it
    (`ERP-12`); `version` orders versions of one entity (an older one never overwrites a newer one), for most tools the
    update time in microseconds; `fields` holds the names people see. `is_deleted` is a tombstone.
    """

    entity: str
    name: str
    version: int
    created: datetime | None
    fields: Mapping[str, JsonValue]
    transitions: Sequence[Transition] = ()
    link: str | None = None
    is_deleted: bool = False

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def _as_dataclass(struct: type[msgspec.Struct]) -> dict[str, Field[Any]]:
    """What `dataclasses.replace` and its like have to know, to take these two as they take the other values here."""
    members = [
        (one.name, one.type) if one.required else (one.name, one.type, field(default=one.default))
        for one in msgspec.structs.fields(struct)
    ]
    return {one.name: one for one in fields(make_dataclass(struct.__name__, members))}


Transition.__dataclass_fields__ = _as_dataclass(Transition)
RecordChange.__dataclass_fields__ = _as_dataclass(RecordChange)


#: Why an entity that was asked for by its id is not there. `deleted`: the tool has it no more. `out_of_scope`: it has,
#: and the dataset's query does not take it. `unseen`: whether it is still there can not be told, for the account may
#: not look where it was: what is kept of it stays.
Absence: TypeAlias = Literal["deleted", "out_of_scope", "unseen"]


@dataclass(frozen=True, slots=True)
class Page:
    """A batch of a read. `cursor` of the last page is what the next incremental read starts from.

    A read is complete when its iterator ends without an error; nothing of an incomplete read is published. `absent` is
    for `fetch`: why an entity that was asked for is not among the changes. `deleted` is for tools that list what was
    deleted since the cursor, whether the dataset had it or not: what is kept of it is dropped at once.
    """

    changes: Sequence[RecordChange]
    cursor: Cursor | None = None
    warnings: Sequence[str] = ()
    absent: Mapping[str, Absence] = field(default_factory=dict)
    deleted: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open span `[start, end)` a query is asked for, in UTC; None on a side means unbounded.

    `zone` is the team's IANA zone: tools that take local dates are asked in it.
    """

    start: datetime | None
    end: datetime | None
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number that the tool computed. `value` None is unknown, with `reason`; zero is a value.

    `query` is the text as it was sent (no secret), `link` opens it in the tool, `is_exact` is False for estimates.
    `digest` tells the tool's answer from another one that gives the same number: `sha256:` of what it said.
    """

    value: Decimal | None
    observed_at: datetime
    query: str
    link: str | None = None
    is_exact: bool = True
    reason: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class InboundDelivery:
    """A webhook as it arrived: header names in lower case, in order, duplicates kept; the raw body; our clock."""

    headers: Sequence[tuple[str, str]]
    body: bytes
    received_at: datetime

    def header(self, name: str) -> str | None:
        """The one value of `name` (lower case), or None where it is absent or given more than once."""
        found = None
        for key, value in self.headers:
            if key == name:
                if found is not None:
                    return None
                found = value
        return found


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened: a team's dataset rules decide whether it counts, for which entity, when and what.

    `name` is the tool's own word for it (`pull_request.closed`): what is left out is counted by it."""

    body: JsonValue
    headers: Mapping[str, str]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """A hint: these entities changed and have to be read again; of `deleted` the tool says that they are gone."""

    entities: Sequence[str]
    deleted: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Pushed:
    """The delivery itself holds whole records, as `read` would give them: an older version never overwrites a newer
    one. Each dataset of the connection that `relevant` finds them to be about takes them, once it was read whole."""

    changes: Sequence[RecordChange]


@dataclass(frozen=True, slots=True)
class Ignored:
    """A verified delivery that says nothing about any dataset, and why."""

    reason: str


Parsed: TypeAlias = Event | Changed | Pushed | Ignored


@dataclass(frozen=True, slots=True)
class Discovered:
    """One thing that could be read: a project, board, field or status. `kind` is the tool's word for it."""

    kind: str
    id: str
    name: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A connection that works: one sentence for its owner, and facts about the tool worth showing."""

    summary: str
    details: Mapping[str, str] = field(default_factory=dict)


# --- what a connector is handed --------------------------------------------------------------------------------------


class GuardedTransport(Protocol):
    """What `Toolbox.guard` hands to code that must bring its own HTTP client (the `jira` package): see
    `connectors.http`."""

    def check(self, url: str) -> str:
        """Resolve and check the host of `url` once; return the address to connect to, or raise AccessDeniedError."""
        ...


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Everything from outside that a connector may use.

    `http` is the guarded client: it reaches only allowed addresses, follows no redirect, holds a total deadline per
    call and a cap on decoded bytes, and raises `connectors.errors` for transport failures. `now` is the clock.
    `calls` counts the requests made, for the run.
    """

    http: httpx.AsyncClient
    now: Callable[[], datetime]
    guard: GuardedTransport | None = None
    calls: Callable[[], int] = lambda: 0


# --- the value -------------------------------------------------------------------------------------------------------

Session: TypeAlias = Any  # whatever `open` yields: the connector's own type
Open: TypeAlias = Callable[[Any, Toolbox], AbstractAsyncContextManager[Session]]
Check: TypeAlias = Callable[[Session], Awaitable[Checked]]
Discover: TypeAlias = Callable[[Session], Awaitable[Sequence[Discovered]]]
Measure: TypeAlias = Callable[[Session, Any, Window], Awaitable[Measurement]]
Read: TypeAlias = Callable[[Session, Any, Cursor | None], AsyncIterator[Page]]
Fetch: TypeAlias = Callable[[Session, Any, Mapping[str, str], Cursor | None], AsyncIterator[Page]]
Sweep: TypeAlias = Callable[[Session, Any], AsyncIterator[Sequence[str]]]
Verify: TypeAlias = Callable[[Any, InboundDelivery], None]
Identify: TypeAlias = Callable[[Any, InboundDelivery], str | None]
Greet: TypeAlias = Callable[[Any, InboundDelivery], bytes | None]
Redact: TypeAlias = Callable[[Any, InboundDelivery], bytes]
Parse: TypeAlias = Callable[[Any, InboundDelivery], Parsed]
Relevant: TypeAlias = Callable[[Any, Changed], Changed | None]
Browse: TypeAlias = Callable[[Any, Any], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """A kind of tool. `config`, `query` and `dataset` are strict pydantic models (unknown keys refused); secrets in
    `config` are fields of type `connectors.secrets.Secret`.

    * `open(config, toolbox)`: async context manager of a session; cheap, one per run.
    * `check(session)`: returns, or raises a ConnectorError that tells the owner what to do.
    * `discover(session)`: what could be read.
    * `measure(session, query, window)`: push-down; a query that ignores the window raises QueryError where it must not.
    * `read(session, dataset, cursor)`: async pages; `cursor=None` reads everything in scope (a complete sweep).
    * `fetch(session, dataset, known, cursor)`: the newest version of the entities whose ids are the keys of `known`
      (its values: the names they went by, or ""), and for each that is not there why (`Page.absent`). `cursor` is the
      last read's, for what it remembers of the tool.
    * `sweep(session, dataset)`: the ids of everything in scope, in batches, for a fraction of what `read` costs. With
      `fetch` it finds what was deleted, moved or missed between complete reads.
    * `verify(config, delivery)`: returns, or raises SignatureError. Pure.
    * `identify(config, delivery)`: the sender's id of this delivery, for deduplication; None: the body's digest. Pure.
    * `greet(config, delivery)`: the JSON to answer a verified handshake with; None for a delivery. Pure.
    * `redact(config, delivery)`: the body as it may be stored; UnexpectedResponseError where it is unreadable. Pure.
    * `relevant(dataset, changed)`: what of a `Changed` (of a `Pushed`: of its ids) is about a dataset; None: nothing.
      Pure. For tools with datasets of several kinds of entities; where it is absent, all of it is about each.
    * `browse(config, query_or_dataset)`: the address that opens it in the tool, for a person. Pure.
    * `parse(config, delivery)`: see `Parsed`. Pure; raises UnexpectedResponseError for a body it can not read.
    """

    key: str
    title: str
    config: type[BaseModel]
    query: type[BaseModel] | None = None
    dataset: type[BaseModel] | None = None
    min_interval: timedelta = timedelta(minutes=1)
    open: Open | None = None
    check: Check | None = None
    discover: Discover | None = None
    measure: Measure | None = None
    read: Read | None = None
    fetch: Fetch | None = None
    sweep: Sweep | None = None
    verify: Verify | None = None
    identify: Identify | None = None
    greet: Greet | None = None
    redact: Redact | None = None
    parse: Parse | None = None
    relevant: Relevant | None = None
    browse: Browse | None = None
    presets: Mapping[str, Mapping[str, JsonValue]] = field(default_factory=dict)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The names of the hooks that are there, in a fixed order."""
        names = ("check", "discover", "measure", "read", "verify", "parse")
        return tuple(name for name in names if getattr(self, name) is not None)
