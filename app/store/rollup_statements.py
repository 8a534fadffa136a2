"""What is asked of the roll-up of a window. Each statement is made once: making one costs more than running it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Table, bindparam, case, false, func, literal_column, null, select, union_all

from app.store.rollup_days import EVERYTHING, SPAN
from app.store.tables import Fact, RollUp, RollUpScale
from app.store.types import Moment

_fact: Table = Fact.__table__  # type: ignore[attr-defined]
_rollup: Table = RollUp.__table__  # type: ignore[attr-defined]
_scale: Table = RollUpScale.__table__  # type: ignore[attr-defined]

Wanted = Literal["totals", "buckets", "min", "max"]
#: In the place of `days`, for a fact that is still to be rolled up.
AWAITING = -1
#: So many facts from an end of the index are looked at for one in the window.
LOOKED_AT = 256


@lru_cache(maxsize=16)
def window_rows(wanted: Wanted, *, starts: bool = False, ends: bool = False) -> Any:
    """One question for the facts that are still to be rolled up, the row over everything, and the rows of the days and
    spans of a cover; with their buckets and the scale, or with the key of the least or greatest fact in a window."""
    facts = [_fact.c.revision_id == bindparam("revision"), _fact.c.part == bindparam("in_part")]
    of_part = [_rollup.c.revision_id == bindparam("revision"), _rollup.c.part == bindparam("in_part")]
    awaiting: list[Any] = [
        literal_column(str(AWAITING)).label("days"),
        case((_fact.c.recorded_to.is_(None), literal_column("1")), else_=literal_column("-1")).label("facts"),
        _fact.c.value.label("total"),
        func.coalesce(_fact.c.recorded_to, _fact.c.recorded_from, type_=Moment()).label("settled_from"),
        false().label("has_ahead"),
        _fact.c.at,
        null().label("buckets"),
        null().label("key"),
    ]
    columns: list[Any] = [_rollup.c[name] for name in ("days", "facts", "total", "settled_from", "has_ahead")]
    columns += [null().label("at"), _rollup.c.buckets if wanted == "buckets" else null().label("buckets")]
    key: Any = null()
    if wanted == "buckets":
        of_rollup = (_scale.c.revision_id == _rollup.c.revision_id, _scale.c.part == _rollup.c.part)
        key = select(_scale.c.bounds).where(*of_rollup).scalar_subquery()
    elif wanted != "totals":
        key = _extreme(facts, wanted, starts=starts, ends=ends)
    ranges = [(SPAN, "spans"), (1, "days"), (1, "more_days")]
    return union_all(
        select(*awaiting).where(*facts, _fact.c.awaits_rollup),
        select(*columns, key.label("key")).where(*of_part, _rollup.c.days == EVERYTHING, _rollup.c.day == 0),
        *(
            select(*columns, null().label("key")).where(
                *of_part,
                _rollup.c.days == days,
                _rollup.c.day >= bindparam(f"{name}_from"),
                _rollup.c.day < bindparam(f"{name}_to"),
            )
            for days, name in ranges
        ),
    )


def _extreme(facts: Sequence[Any], wanted: str, *, starts: bool, ends: bool) -> Any:
    """The key of the first fact from an end of the index that lies in the window: null where it is not among a few."""
    order: Any = _fact.c.sort_key if wanted == "min" else _fact.c.sort_key.desc()
    few = (
        select(_fact.c.sort_key, _fact.c.at)
        .where(*facts, _fact.c.sort_key.is_not(None))
        .order_by(order)
        .limit(bindparam("looked_at"))
        .subquery()
    )
    inside = [few.c.at >= bindparam("at_from")] if starts else []
    inside += [few.c.at < bindparam("at_to")] if ends else []
    order = few.c.sort_key if wanted == "min" else few.c.sort_key.desc()
    return select(few.c.sort_key).where(*inside).order_by(order).limit(literal_column("1")).scalar_subquery()


KEY_BOUNDS: dict[str, Any] = {
    "key_from": _fact.c.sort_key >= bindparam("key_from"),
    "key_to": _fact.c.sort_key < bindparam("key_to"),
    "at_from": _fact.c.at >= bindparam("at_from"),
    "at_to": _fact.c.at < bindparam("at_to"),
}


@lru_cache(maxsize=64)
def keys_between(bounds: tuple[str, ...], *, from_end: bool) -> Any:
    """Some keys of a part in order of value, out of its index alone."""
    return (
        select(_fact.c.sort_key)
        .where(_fact.c.revision_id == bindparam("revision"), _fact.c.part == bindparam("in_part"))
        .where(*(KEY_BOUNDS[name] for name in bounds))
        .order_by(_fact.c.sort_key.desc() if from_end else _fact.c.sort_key)
        .offset(bindparam("skipped"))
        .limit(bindparam("wanted"))
    )
