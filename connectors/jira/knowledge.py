"""What is known of a site: which of its fields a dataset reads, and the categories of its statuses.

It is asked for at most once an hour and remembered in the dataset's cursor meanwhile, so that a read that finds nothing
new is one request. A status that is not among the remembered ones is asked for at once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from connectors.contract import Cursor, JsonValue
from connectors.errors import AuthenticationError, UnexpectedResponseError
from connectors.jira.deployment import explain_refusal
from connectors.jira.fields import FieldPlan, plan_fields
from connectors.jira.histories import StatusCategories
from connectors.jira.payloads import FieldSchema, from_milliseconds, milliseconds
from connectors.jira.session import JiraSession, beside

#: How long the fields and statuses of a site are believed to be what they were.
LIFETIME = timedelta(hours=1)
# A site with more of them is asked each time: a cursor is no place for very much.
_MOST_STATUSES = 1_000

_Status = tuple[str, str, str | None]


class _Remembered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    asked: int
    names: list[str]
    columns: list[tuple[str, str, FieldSchema | None]]
    statuses: list[_Status]


class SiteKnowledge:
    """`names` is what the dataset asks for, `plan` which fields those are. `is_fresh`: asked for in this very run."""

    def __init__(
        self, names: Sequence[str], plan: FieldPlan, statuses: list[_Status], asked: datetime, *, is_fresh: bool
    ) -> None:
        self.names = names
        self.plan = plan
        self.categories = StatusCategories(statuses)
        self.is_fresh = is_fresh
        self._statuses = statuses
        self._asked = asked

    def remembered(self) -> JsonValue:
        """As JSON, to be recalled by the next read; None where it is too much."""
        if len(self._statuses) > _MOST_STATUSES:
            return None
        columns = list(self.plan.columns)
        kept = _Remembered(milliseconds(self._asked), list(self.names), columns, self._statuses)
        value: JsonValue = msgspec.json.decode(msgspec.json.encode(kept))
        return value


def recall(cursor: Cursor | None, names: Sequence[str], now: datetime) -> SiteKnowledge | None:
    """What an earlier read remembered of the site; None where that is too old or of another dataset."""
    if cursor is None:
        return None
    try:
        kept = msgspec.convert(cursor.get("site"), _Remembered)
        asked = from_milliseconds(kept.asked)
    except (msgspec.ValidationError, OverflowError):
        return None
    if kept.names != list(names) or not timedelta(0) <= now - asked < LIFETIME:
        return None
    return SiteKnowledge(names, FieldPlan(tuple(kept.columns)), kept.statuses, asked, is_fresh=False)


async def learn(session: JiraSession, names: Sequence[str]) -> SiteKnowledge:
    """Ask the site; QueryError for a name that no field has, or more than one. What says that the credential is of
    the other kind of Jira says so.

    The account is asked for too: a stranger's view of a site is empty and not an error, but a stranger is no one.
    """
    asked = session.toolbox.now()
    try:
        (fields, statuses), _ = await beside(beside(session.fields(), session.statuses()), session.account())
    except (AuthenticationError, UnexpectedResponseError):
        await explain_refusal(session)
        raise
    rows: list[_Status] = [(status.id, status.name, status.category) for status in statuses]
    return SiteKnowledge(names, plan_fields(names, fields), rows, asked, is_fresh=True)
