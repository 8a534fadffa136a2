"""The part of JQL that the fake understands: conditions on issues, joined and ordered, refused in Atlassian's words."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

Json = Mapping[str, Any]
Condition = Callable[[Json], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<operator><=|>=|!=|=|<|>|~)|(?P<mark>[(),])"""
    r"""|(?P<word>[^\s"'()=<>!~,]+))"""
)
_RELATIVE = re.compile(r"([+-]?)(\d+)([wdhm])")
_UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_DATE_FORMATS = ("%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%Y-%m-%d", "%Y/%m/%d")
_RESERVED = {"and", "or", "not", "in", "is", "order", "by", "empty", "null", "asc", "desc"}
_KEYS = {"key", "id", "issue", "issuekey"}
_DATES = {"created": "created", "updated": "updated", "resolved": "resolutiondate", "resolutiondate": "resolutiondate"}
_NAMED = {
    "project": "project",
    "status": "status",
    "priority": "priority",
    "resolution": "resolution",
    "type": "issuetype",
    "issuetype": "issuetype",
    "assignee": "assignee",
    "labels": "labels",
    "component": "components",
    "timespent": "timespent",
}


class JqlError(Exception):
    """A query that Jira answers with 400."""


class Site(NamedTuple):
    """What a query is read against: the account's zone, the clock, the projects, statuses and issues (by id) that
    exist, and the saved filters by id or name."""

    zone: ZoneInfo
    now: datetime
    projects: frozenset[str]
    statuses: frozenset[str]
    ids: frozenset[str] | None = None
    filters: Mapping[str, str] = {}


class Query(NamedTuple):
    """A parsed query: whether an issue matches, and how to order a list of matches in place."""

    matches: Condition
    order: Callable[[list[Json]], None]


class _Token(NamedTuple):
    kind: str
    text: str


def parse(jql: str, site: Site) -> Query:
    """The query, or JqlError with the words that Jira uses; a query without a condition is unbounded and refused."""
    return _Parser(_tokens(jql), site).query()


def _tokens(jql: str) -> list[_Token]:
    tokens, position = [], 0
    text = jql.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found or found.lastgroup is None:
            raise JqlError(f"Error in the JQL Query: The character '{text[position]}' is a reserved JQL character.")
        value = found[found.lastgroup]
        if found.lastgroup == "quoted":
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        tokens.append(_Token(found.lastgroup, value))
        position = found.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token], site: Site) -> None:
        self._tokens = tokens
        self._position = 0
        self._site = site

    def query(self) -> Query:
        condition = None if self._at_order() or not self._tokens else self._any()
        order = self._order() if self._at_order() else _keep
        if self._peek() is not None:
            raise self._unexpected()
        if condition is None:
            raise JqlError("Unbounded JQL queries are not allowed here. Add a search restriction to the query.")
        return Query(condition, order)

    # --- conditions -----------------------------------------------------------------------------------------------

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._take_word("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda issue: any(part(issue) for part in parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._take_word("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda issue: all(part(issue) for part in parts)

    def _one(self) -> Condition:
        if self._take_word("not"):
            inner = self._one()
            return lambda issue: not inner(issue)
        if self._take_mark("("):
            inner = self._any()
            if not self._take_mark(")"):
                raise JqlError("Error in the JQL Query: Expecting ')' before the end of the query.")
            return inner
        return self._clause()

    def _clause(self) -> Condition:
        token = self._next()
        if token.kind not in ("word", "quoted"):
            raise JqlError(f"Error in the JQL Query: Expecting a field name but got '{token.text}'.")
        field = token.text.casefold()
        if token.kind == "word" and field in _RESERVED:
            raise JqlError(f"Error in the JQL Query: '{token.text}' is a reserved JQL word.")
        if field in _DATES:
            return self._date_clause(_DATES[field])
        if field == "filter":
            return self._filter()
        if field not in _NAMED and field not in _KEYS and field != "statuscategory":
            raise JqlError(f"Field '{token.text}' does not exist or you do not have permission to view it.")
        if self._take_word("is"):
            is_empty = not self._take_word("not")
            self._empty_word()
            return lambda issue: (not _values(issue, field)) == is_empty
        if self._take_word("in"):
            return self._among(field, self._list(), wanted=True)
        if self._take_word("not"):
            if not self._take_word("in"):
                raise self._unexpected()
            return self._among(field, self._list(), wanted=False)
        operator = self._operator()
        if operator not in ("=", "!="):
            raise JqlError(f"The operator '{operator}' is not supported by the '{token.text}' field.")
        return self._among(field, [self._value()], wanted=operator == "=")

    def _filter(self) -> Condition:
        operator, name = self._operator(), self._value()
        if operator != "=" or name not in self._site.filters:
            raise JqlError(f"The value '{name}' does not exist for the field 'filter'.")
        return parse(self._site.filters[name], self._site).matches

    def _among(self, field: str, values: list[str], *, wanted: bool) -> Condition:
        known = {"project": self._site.projects, "status": self._site.statuses}.get(field)
        for value in values:
            if known is not None and value.casefold() not in known:
                raise JqlError(f"The value '{value}' does not exist for the field '{field}'.")
            if field == "id" and self._site.ids is not None and value not in self._site.ids:
                raise JqlError(f"A value with ID '{value}' does not exist for the field 'id'.")
        names = frozenset(value.casefold() for value in values)
        if wanted:
            return lambda issue: not names.isdisjoint(_values(issue, field))
        # As in Jira, an empty field is neither equal nor unequal to anything.
        return lambda issue: bool(found := _values(issue, field)) and names.isdisjoint(found)

    def _date_clause(self, field: str) -> Condition:
        if self._take_word("is"):
            is_empty = not self._take_word("not")
            self._empty_word()
            return lambda issue: (issue["fields"].get(field) is None) == is_empty
        operator = self._operator()
        edge = self._moment(self._value())
        compare: dict[str, Callable[[datetime], bool]] = {
            "<": lambda at: at < edge,
            "<=": lambda at: at <= edge,
            ">": lambda at: at > edge,
            ">=": lambda at: at >= edge,
            "=": lambda at: at == edge,
            "!=": lambda at: at != edge,
        }
        if operator not in compare:
            raise JqlError(f"The operator '{operator}' is not supported by the '{field}' field.")
        holds = compare[operator]

        def matches(issue: Json) -> bool:
            at = issue["fields"].get(field)
            return at is not None and holds(moment(at))

        return matches

    def _moment(self, text: str) -> datetime:
        if text.casefold() == "now":
            for mark in "()":
                if not self._take_mark(mark):
                    raise self._unexpected()
            return self._site.now
        relative = _RELATIVE.fullmatch(text)
        if relative:
            span = int(relative[2]) * _UNITS[relative[3]]
            return self._site.now - span if relative[1] == "-" else self._site.now + span
        if text.isdigit():
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text))
        for form in _DATE_FORMATS:
            try:
                return datetime.strptime(text, form).replace(tzinfo=self._site.zone).astimezone(UTC)
            except (ValueError, OverflowError):
                continue
        raise JqlError(
            f"Date value '{text}' for field is invalid. Valid formats include: 'yyyy/MM/dd HH:mm', "
            "'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d', '4w 2d'."
        )

    # --- order ----------------------------------------------------------------------------------------------------

    def _order(self) -> Callable[[list[Json]], None]:
        self._position += 2
        keys: list[tuple[str, bool]] = []
        while True:
            field = self._value().casefold()
            if field not in _DATES and field not in _KEYS and field not in _NAMED:
                raise JqlError(f"Field '{field}' does not exist or you do not have permission to view it.")
            keys.append((field, self._take_word("desc")))
            if not keys[-1][1]:
                self._take_word("asc")
            if not self._take_mark(","):
                break
        if len(keys) > 7:
            raise JqlError("JQL can be ordered by at most 7 fields.")

        def order(issues: list[Json]) -> None:
            for field, is_descending in reversed(keys):
                issues.sort(key=lambda issue: _sort_key(issue, field), reverse=is_descending)

        return order

    # --- tokens ---------------------------------------------------------------------------------------------------

    def _peek(self, ahead: int = 0) -> _Token | None:
        position = self._position + ahead
        return self._tokens[position] if position < len(self._tokens) else None

    def _next(self) -> _Token:
        token = self._peek()
        if token is None:
            raise JqlError("Error in the JQL Query: the query ends where a field, operator or value is expected.")
        self._position += 1
        return token

    def _is_word(self, word: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and token.kind == "word" and token.text.casefold() == word

    def _at_order(self) -> bool:
        return self._is_word("order") and self._is_word("by", 1)

    def _take_word(self, word: str) -> bool:
        found = self._is_word(word)
        self._position += found
        return found

    def _take_mark(self, mark: str) -> bool:
        token = self._peek()
        found = token is not None and token.kind == "mark" and token.text == mark
        self._position += found
        return found

    def _operator(self) -> str:
        token = self._next()
        if token.kind != "operator":
            raise JqlError(f"Error in the JQL Query: Expecting operator but got '{token.text}'.")
        return token.text

    def _value(self) -> str:
        token = self._next()
        if token.kind not in ("word", "quoted"):
            raise JqlError(f"Error in the JQL Query: Expecting a value but got '{token.text}'.")
        return token.text

    def _list(self) -> list[str]:
        if not self._take_mark("("):
            raise self._unexpected()
        values = [self._value()]
        while self._take_mark(","):
            values.append(self._value())
        if not self._take_mark(")"):
            raise self._unexpected()
        return values

    def _empty_word(self) -> None:
        if not (self._take_word("empty") or self._take_word("null")):
            raise self._unexpected()

    def _unexpected(self) -> JqlError:
        token = self._peek()
        return JqlError(f"Error in the JQL Query: Unexpected '{token.text if token else 'end of the query'}'.")


def _keep(issues: list[Json]) -> None:
    """Without ORDER BY the newest issue comes first."""
    issues.sort(key=lambda issue: int(issue["id"]), reverse=True)


def _values(issue: Json, field: str) -> frozenset[str]:
    """What a field may be called by, in lower case: names, keys and ids."""
    if field in _KEYS:
        return frozenset((issue["key"].casefold(), issue["id"]))
    fields = issue["fields"]
    if field == "statuscategory":
        category = (fields.get("status") or {}).get("statusCategory") or {}
        return _names(category)
    value = fields.get(_NAMED[field])
    items = value if isinstance(value, list) else [] if value is None else [value]
    return frozenset(name for item in items for name in _names(item))


def _names(item: Any) -> frozenset[str]:
    if not isinstance(item, dict):
        return frozenset((str(item).casefold(),))
    return frozenset(str(item[key]).casefold() for key in ("name", "key", "id", "displayName") if item.get(key))


def _sort_key(issue: Json, field: str) -> tuple[bool, Any]:
    if field in _KEYS:
        project, _, number = issue["key"].rpartition("-")
        return (True, (project, int(number)))
    if field in _DATES:
        at = issue["fields"].get(_DATES[field])
        return (at is not None, moment(at) if at is not None else None)
    return (True, sorted(_values(issue, field)))


@lru_cache(maxsize=100_000)
def moment(text: str) -> datetime:
    """A Jira timestamp in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
