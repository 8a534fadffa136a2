"""What of a fact goes into a roll-up, and where."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from app.store.rollup_days import EVERYTHING, SPAN
from app.store.rollup_keys import group_key, number_key

#: A change of no more facts than this is rolled up later, together with those that follow.
FEW = 16
#: So many facts wait on average before they are rolled up: reading them is cheaper than a row of the roll-up.
TURN = 48


class Counted(NamedTuple):
    """A fact that counts from now on: it has a value and a moment, and nothing is known to end it. `key` is what the
    index over the part's facts sorts on."""

    at: datetime
    value: Decimal
    key: bytes | None


@dataclass(frozen=True, slots=True)
class Rule:
    """How a part's facts are rolled up, by local days of `zone`: `total` for count, sum, avg and last, `ranked` for
    order statistics, `distinct` for counts of groups."""

    kind: Literal["total", "ranked", "distinct"]
    zone: ZoneInfo

    @classmethod
    def of(cls, aggregate: str, zone: ZoneInfo) -> "Rule":
        if aggregate == "distinct":
            return cls("distinct", zone)
        return cls("total" if aggregate in ("count", "sum", "avg", "last") else "ranked", zone)

    def may_wait(self, changes: int, subject: str, now: datetime) -> bool:
        """Whether a change of so many facts can be rolled up later. Whose turn it is follows from the change itself,
        so that nobody has to count them; a group moves with its last fact, which is to be known at once."""
        if self.kind == "distinct" or changes > FEW:
            return False
        return zlib.crc32(f"{subject} {now.isoformat()}".encode()) % TURN >= changes

    def sort_key(self, value: Decimal, group: str | None) -> bytes | None:
        """What the index over the part's facts sorts on, where one is needed."""
        if self.kind == "ranked":
            return number_key(value)
        return group_key(group) if self.kind == "distinct" else None


def places(day: int) -> Sequence[tuple[int, int]]:
    """The rows (`days`, `day`) that hold a local day."""
    return (EVERYTHING, 0), (SPAN, day - day % SPAN), (1, day)
