"""Publishing a complete read: staged pages become records, facts and samples in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.services.evaluate import extract
from app.services.gather import Gathering
from app.store import hints, plans, records, samples
from app.store.database import Session
from app.store.tables import Dataset, Measurement, Plan, Record
from connectors.contract import Absence, Page, RecordChange, Window
from connectors.contract import Measurement as Measured

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: A record is gone when this many complete sweeps in a row have missed it; never after a partial one.
TOMBSTONE_AT = 2
#: So many records that go at once wait for a person to say that it is right, if they are more than a tenth of all.
LARGE_DROP = 20
#: A webhook may come a little later than a read that already saw what it tells of.
_IN_FLIGHT = timedelta(minutes=2)
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Published:
    """What a read changed: how many records, which metrics' facts. `untold` of them no webhook had told of.

    `missing`: a sweep missed some that may be gone. `held`: so many are gone at once that none was dropped.
    """

    count: int
    metrics: set[int]
    missing: bool
    held: int = 0
    untold: int = 0


async def stage_page(session: Session, run_id: int, page: Page) -> None:
    """Keep a page under its run."""
    await plans.stage_changes(session, run_id, [_pack(change) for change in page.changes])


def _pack(change: RecordChange) -> dict[str, Any]:
    return {
        "entity": change.entity,
        "name": change.name,
        "version": change.version,
        "created": None if change.created is None else change.created.isoformat(),
        "fields": dict(change.fields),
        "transitions": [records.pack_transition(transition) for transition in change.transitions],
        "link": change.link,
        "is_deleted": change.is_deleted,
    }


async def publish_records(
    session: Session, dataset: Dataset, plan: Plan, run_id: int, read: Gathering, *, now: datetime
) -> Published:
    """Move what a run staged into the dataset and on into facts. An older version never overwrites a newer one; of what
    is not there any more a complete sweep counts how often it was missed."""
    await records.lock_datasets(session, [dataset.id])
    changed: set[str] = set()
    silent: dict[str, int] = {}
    after = 0
    while staged := await plans.staged_changes(session, run_id, after=after, limit=_BATCH):
        after = staged[-1][0]
        saved = await _save(session, dataset.id, [change for _, change in staged], now)
        changed |= saved.keys()
        silent |= {entity: version for entity, (version, says_more) in saved.items() if says_more}
    await plans.discard_staged(session, [run_id])
    left, missing, held = await _leave(session, dataset, plan, read)
    untold = await _count_untold(session, plan, read, silent, left, now)
    metrics = await extract(session, dataset, changed | left, now=now)
    return Published(len(changed) + len(left), metrics, missing, held, untold)


async def publish_pushed(
    session: Session, dataset: Dataset, changes: Sequence[RecordChange], *, now: datetime
) -> set[str]:
    """Move what a tool sent of its own accord into the dataset, which the caller has locked; the entities that are
    others now."""
    return set(await _save(session, dataset.id, [_pack(change) for change in changes], now))


async def _save(
    session: Session, dataset_id: int, changes: Iterable[dict[str, Any]], now: datetime
) -> dict[str, tuple[int, bool]]:
    """Save what is news; by entity its version, and whether that says more than that there is a newer one."""
    # Of one entity on several pages the newest version counts.
    newest: dict[str, dict[str, Any]] = {}
    for change in changes:
        known = newest.get(change["entity"])
        if known is None or change["version"] >= known["version"]:
            newest[change["entity"]] = change
    stored = await records.versions(session, dataset_id, newest)
    rows = [_row(dataset_id, change, now) for entity, change in newest.items() if _is_news(stored.get(entity), change)]
    await records.save_records(session, rows)
    for known_row in stored.values():
        session.expunge(known_row)  # read before the save: extraction and the next batch have to read it anew
    return {row["entity"]: (row["version"], _says_more(stored.get(row["entity"]), row)) for row in rows}


async def _leave(session: Session, dataset: Dataset, plan: Plan, read: Gathering) -> tuple[set[str], bool, int]:
    """Take out what is gone or out of scope: which entities left, whether some may yet, how many are held."""
    left = await records.put_out_of_scope(session, dataset.id, _absent(read, "out_of_scope"))
    deleted = _absent(read, "deleted")
    told = {entity for entity in deleted if read.told.get(entity, (False, None))[0]}
    left |= await records.bury(session, dataset.id, told | read.deleted)
    if not read.is_complete:
        return left, False, 0
    await records.clear_misses(session, dataset.id, deleted)
    misses = await records.count_miss(session, dataset.id, deleted - told)
    gone = {entity for entity, count in misses.items() if count >= TOMBSTONE_AT}
    live = await records.count_live(session, dataset.id)
    if len(gone) > max(LARGE_DROP, live // 10) and not plan.is_drop_confirmed:
        return left, False, len(gone)
    left |= await records.bury(session, dataset.id, gone)
    return left, len(misses) > len(gone), 0


def _absent(read: Gathering, absence: Absence) -> set[str]:
    return {entity for entity, reason in read.absent.items() if reason == absence}


async def _count_untold(
    session: Session, plan: Plan, read: Gathering, changed: Mapping[str, int], left: set[str], now: datetime
) -> int:
    """How many of the changes no webhook told of, but for those so fresh that one may be on its way."""
    fresh = (now - _IN_FLIGHT - _EPOCH) // timedelta(microseconds=1)
    silent = {entity for entity, version in changed.items() if version < fresh} | left
    silent -= read.told.keys()
    return len(silent - await hints.hinted(session, plan.id, silent)) if silent else 0


def _is_news(stored: Record | None, change: dict[str, Any]) -> bool:
    if stored is None or change["version"] > stored.version or stored.is_out_of_scope:
        return True
    if change["version"] < stored.version:
        return False
    return (stored.fields, stored.transitions, stored.link, stored.name, stored.is_deleted) != (
        change["fields"],
        change["transitions"],
        change["link"],
        change["name"],
        change["is_deleted"],
    )


def _says_more(stored: Record | None, row: dict[str, Any]) -> bool:
    """Whether a version says more than that there is a newer one (of which no webhook is expected to tell)."""
    if stored is None or stored.is_out_of_scope or stored.is_deleted:
        return True
    names = stored.fields.keys() | row["fields"].keys()
    return (stored.transitions, stored.name) != (row["transitions"], row["name"]) or any(
        stored.fields.get(name) != row["fields"].get(name) for name in names - {"updated"}
    )


def _row(dataset_id: int, change: dict[str, Any], now: datetime) -> dict[str, Any]:
    created = change["created"]
    return change | {
        "dataset_id": dataset_id,
        "created": None if created is None else datetime.fromisoformat(created),
        "is_out_of_scope": False,
        "missed_sweeps": 0,
        "recorded_at": now,
    }


async def publish_measurement(
    session: Session, plan: Plan, window: Window, measured: Measured, *, now: datetime
) -> None:
    """Keep what a tool computed; an older observation never overwrites a newer one, for readers take the newest."""
    await samples.append_measurement(
        session,
        Measurement(
            query_digest=plan.query_digest or "",
            cycle=plan.cycle,
            window_start=window.start,
            window_end=window.end,
            value=measured.value,
            reason=measured.reason,
            observed_at=measured.observed_at,
            recorded_at=now,
            query=measured.query,
            link=measured.link,
            is_exact=measured.is_exact,
            digest=measured.digest,
        ),
    )
