"""JQL as text: what has to be known of it to send a team's query with our bounds. Pure.

JQL: https://support.atlassian.com/jira-software-cloud/docs/jql-operators/
"""

import re
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

# A placeholder may stand in quotes of its own; braces elsewhere are the user's.
_PLACEHOLDER = re.compile(r"""(["']?)\{(from|to)\}\1""")
_TOKEN = re.compile(r"""(?P<quoted>"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?)|(?P<order>\border\s+by\b)|.""", re.I | re.S)

#: Creation never changes and the newest issue comes last, so rows do not move between the pages of a read.
STABLE_ORDER = "ORDER BY created ASC, key ASC"

# Dates before and after every issue, and far from what a date can hold in any zone.
_EARLIEST = "1970-01-02 00:00"
_LATEST = "3000-01-01 00:00"


def has_placeholder(jql: str, name: str | None = None) -> bool:
    """Whether `{from}` or `{to}` (or the one named) is in the query."""
    return any(name in (None, found[2]) for found in _PLACEHOLDER.finditer(jql))


def without_order(jql: str) -> str:
    """The query's conditions: everything before an `ORDER BY` that is not inside quotes."""
    for token in _TOKEN.finditer(jql):
        if token["order"]:
            return jql[: token.start()].strip()
    return jql.strip()


def in_stable_order(jql: str) -> str:
    """The query in an order that holds while it is paged; the user's own order says nothing about a set."""
    return f"{without_order(jql)} {STABLE_ORDER}".strip()


def local_minute(moment: datetime, zone: ZoneInfo) -> str:
    """`moment` as JQL takes it: local to the account, whole minutes, rounded down."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def in_window(jql: str, start: datetime | None, end: datetime | None, zone: ZoneInfo) -> str:
    """The query with `{from}` and `{to}` replaced by quoted local minutes; an unbounded side by a date beyond all."""
    edges = {
        "from": _EARLIEST if start is None else local_minute(start, zone),
        "to": _LATEST if end is None else local_minute(end, zone),
    }
    return _PLACEHOLDER.sub(lambda found: f'"{edges[found[2]]}"', jql)


def updated_since(jql: str, since: int) -> str:
    """What of the query's issues changed since a moment, in a stable order.

    `since` is in epoch milliseconds, which JQL reads as the same moment whatever the account's zone.
    """
    return in_stable_order(narrowed(jql, f"updated >= {since}"))


def among(jql: str, ids: Sequence[str]) -> str:
    """Which of the issues with these ids (numbers, as text) the query takes."""
    return narrowed(jql, f"id in ({', '.join(ids)})")


def quoted(text: str) -> str:
    """A value as JQL takes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def narrowed(jql: str, condition: str) -> str:
    """Both: the query's own conditions, kept together, and this one."""
    where = without_order(jql)
    return f"({where}) AND {condition}" if where else condition
