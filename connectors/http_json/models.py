"""What a team writes for an HTTP address that answers JSON: the connection, a query, a dataset."""

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from connectors.account import Username, check_account
from connectors.aggregates import Aggregate
from connectors.headers import HeaderName, HeaderValue
from connectors.http_json.placeholders import edges_in, pages_in, unknown_in
from connectors.paths import FieldPath, parse_path
from connectors.secrets import Secret
from connectors.urls import base_url

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
_ROOTS = ("body", "headers")
# What the client says itself, of every request.
_NOT_OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"})
_SOUNDS_SECRET = re.compile(r"auth|cookie|credential|key|passw|secret|token")


def _path(text: str) -> str:
    return _below(text, unknown_in(text), "{from} and {to}, each with :date, :unix or :ms, and {last}")


def _list_path(text: str) -> str:
    return _below(text, unknown_in(text, of_pages=True), "{page} and {next}")


def _below(text: str, unknown: str | None, known: str) -> str:
    if text and (not text.startswith(("/", "?")) or re.search(r"[\s\\#\x00-\x1f\x7f]", text)):
        raise PydanticCustomError("path", "a path such as /stats?team=7 is expected, without spaces or #")
    if unknown is not None:
        said = {"unknown": unknown, "known": known}
        raise PydanticCustomError("path", "{unknown} stands for nothing: there are {known}", said)
    return text


def _headers(given: dict[str, Secret | str]) -> dict[str, Secret | str]:
    for name, value in given.items():
        if name in _NOT_OURS:
            raise PydanticCustomError("header", "the header {name} is the client's own", {"name": name})
        if isinstance(value, str) and _SOUNDS_SECRET.search(name):
            raise PydanticCustomError(
                "secret_reference",
                "the header {name} is a secret: a reference, {env: NAME} or {file: /path}, never a literal",
                {"name": name},
            )
    return given


def _value(text: str) -> str:
    value_path(text)
    return text


def value_path(text: str) -> tuple[str, FieldPath]:
    """The root of a value's path (`body` or `headers`), and its steps; a validation error for what is none."""
    root = next((root for root in _ROOTS if text.startswith(root)), "body")
    if text == "body":
        return root, ()
    path = parse_path(text, root)
    if root == "headers":
        if len(path) != 1 or not isinstance(path[0], str):
            raise PydanticCustomError("path", 'a header such as headers["x-total-count"] is expected')
        path = (path[0].lower(),)
    return root, path


def _of_body(text: str) -> str:
    if text != "body":
        parse_path(text)
    return text


def _of_item(text: str) -> str:
    if None in parse_path(text, "item"):
        raise PydanticCustomError("path", "a path to one value of an item is expected, without [*]")
    return text


_Path = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_path)]
_ListPath = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_list_path)]
_BodyPath = Annotated[str, StringConstraints(max_length=500), AfterValidator(_of_body)]
_ItemPath = Annotated[str, StringConstraints(max_length=500), AfterValidator(_of_item)]


class HttpJsonConfig(BaseModel):
    """An API, and the account that asks it, where it wants one: a bearer `token`, a `username` with its `password`, or
    `headers` of its own."""

    model_config = _STRICT

    url: Annotated[str, AfterValidator(base_url("API's", "https://crm.acme.example/api", may_be_plain=True))] = Field(
        description="The API; what is asked for is below it.", examples=["https://crm.acme.example/api"]
    )
    token: Secret | None = Field(default=None, description="A bearer token, where the API wants one.")
    username: Username | None = Field(default=None, description="The account, where the API wants a password.")
    password: Secret | None = Field(default=None, description="The password beside `username`.")
    headers: Annotated[dict[HeaderName, Secret | HeaderValue], AfterValidator(_headers)] = Field(
        default_factory=dict,
        max_length=20,
        description="Further headers: a secret's reference, or a text that is none.",
        examples=[{"x-api-key": {"env": "CRM_KEY"}, "accept-version": "2"}],
    )
    check: _Path = Field(
        default="", description="A path that answers JSON, asked to check the connection.", examples=["/me"]
    )

    @model_validator(mode="after")
    def _account_is_whole_and_safe(self) -> Self:
        check_account(self)
        if "authorization" in self.headers and (self.token or self.username):
            raise PydanticCustomError("account", "either a token or password, or the header authorization")
        if edges_in(self.check):
            raise PydanticCustomError("path", "a check has no window")
        return self


class HttpJsonQuery(BaseModel):
    """A number in the JSON that an address answers: that at the path `value`, or those at a path with `[*]`, as one.

    `{from}` and `{to}` stand for the window's edges in `path` and in the texts of `post`: moments in UTC
    (`2026-10-01T00:00:00Z`); with `:date` local days of the team, with `:unix` or `:ms` since 1970. `{last}` is the
    last local day that is in the window.
    """

    model_config = _STRICT

    #: How a query asks for its window, for whoever has to be told.
    placeholders: ClassVar[str] = "{from} and {to}"

    path: _Path = Field(default="", description="What is asked for below the connection's `url`.", examples=["/stats"])
    post: dict[str, Any] | None = Field(
        default=None,
        description="Posted as JSON; without it the address is got.",
        examples=[{"status": "open", "since": "{from:date}"}],
    )
    value: Annotated[str, StringConstraints(max_length=500), AfterValidator(_value)] = Field(
        description="Where in the answer the number is, as rules write paths.",
        examples=["body.data.open", "body.items[*].hours", 'headers["x-total-count"]'],
    )
    aggregate: Aggregate | None = Field(default=None, description="How the numbers at a path with `[*]` become one.")

    @model_validator(mode="after")
    def _is_one_number(self) -> Self:
        has_many = None in value_path(self.value)[1]
        if has_many and self.aggregate is None:
            raise PydanticCustomError("path", "[*] gives several values: say which aggregate makes one number of them")
        if self.aggregate is not None and not has_many:
            raise PydanticCustomError("path", "an aggregate is of several values: of a path with [*]")
        return self

    @property
    def edges(self) -> frozenset[str]:
        """Which edges of its window the query asks for: `from`, `to`."""
        return edges_in(self.path) | edges_in(self.post)

    def windowed(self) -> bool:
        """Whether the query looks at a window at all."""
        return bool(self.edges)


class HttpJsonDataset(BaseModel):
    """The objects of a list as records: `record.amount` is what one has under `amount`.

    Further pages are read by the header `Link`; or by `{page}`, a number that counts up until a page is empty; or by
    what an answer has at `next`: the next page's address, or what `{next}` stands for in `path` and `post`.
    """

    model_config = _STRICT

    path: _ListPath = Field(
        default="", description="What is asked for below the connection's `url`.", examples=["/deals?page={page}"]
    )
    post: dict[str, Any] | None = Field(default=None, description="Posted as JSON; without it the address is got.")
    items: _BodyPath = Field(default="body", description="Where in the answer the list is.", examples=["body.deals"])
    id: _ItemPath = Field(description="Where in an item its id is, which never changes.", examples=["item.id"])
    created: _ItemPath | None = Field(
        default=None, description="Where in an item its day or moment is: its `created`.", examples=["item.opened_at"]
    )
    page: _ItemPath | None = Field(
        default=None, description="Where in an item the address of its page for people is.", examples=["item.html_url"]
    )
    next: _BodyPath | None = Field(
        default=None, description="Where in an answer it says what comes next.", examples=["body.paging.next"]
    )

    @model_validator(mode="after")
    def _has_one_way_on(self) -> Self:
        asked = pages_in(self.path) | pages_in(self.post)
        if "next" in asked and self.next is None:
            raise PydanticCustomError("path", "{next} stands for what an answer says: next names where in it")
        if "page" in asked and self.next is not None:
            raise PydanticCustomError("path", "pages are either counted or told of: {page}, or next")
        if self.post is not None and self.next is not None and "next" not in asked:
            raise PydanticCustomError("path", "what is posted says where the next page begins: {next} in a text of it")
        return self

    @property
    def is_counted(self) -> bool:
        """Whether pages are asked for by their number."""
        return "page" in pages_in(self.path) | pages_in(self.post)

    @property
    def is_told(self) -> bool:
        """Whether what an answer says of the next page is put into the request, and is not an address."""
        return "next" in pages_in(self.path) | pages_in(self.post)
