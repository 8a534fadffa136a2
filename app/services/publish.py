"""Publishing a complete read: staged pages become records, facts and samples in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.services.evaluate import extract
from app.store import plans, records, samples
from app.store.database import Session
from app.store.tables import Dataset, Measurement, Plan, Record
from connectors.contract import Measurement as Measured
from connectors.contract import Page, RecordChange, Window

#: A record is gone when this many complete sweeps in a row have missed it; never after a partial one.
TOMBSTONE_AT = 2
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Published:
    """What a read changed: how many records, which metrics' facts; and whether a sweep missed some that may be gone."""

    count: int
    metrics: set[int]
    missing: bool


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
    session: Session, dataset: Dataset, run_id: int, *, is_full: bool, now: datetime
) -> Published:
    """Move what a run staged into the dataset and on into facts. An older version never overwrites a newer one; a
    complete sweep counts what it missed."""
    await records.lock_datasets(session, [dataset.id])
    seen: set[str] = set()
    changed: set[str] = set()
    after = 0
    while staged := await plans.staged_changes(session, run_id, after=after, limit=_BATCH):
        after = staged[-1][0]
        # Of one entity on several pages the newest version counts.
        newest: dict[str, dict[str, Any]] = {}
        for _, change in staged:
            known = newest.get(change["entity"])
            if known is None or change["version"] >= known["version"]:
                newest[change["entity"]] = change
        stored = await records.versions(session, dataset.id, newest)
        rows = [
            _row(dataset.id, change, now) for entity, change in newest.items() if _is_news(stored.get(entity), change)
        ]
        await records.save_records(session, rows)
        for row in stored.values():
            session.expunge(row)  # it was read before the save: extraction and the next batch have to read it anew
        changed.update(row["entity"] for row in rows)
        seen.update(newest)
        if is_full:
            await records.clear_misses(session, dataset.id, newest)
    await plans.discard_staged(session, [run_id])
    missing = False
    if is_full:
        gone = await records.count_miss(session, dataset.id, seen, tombstone_at=TOMBSTONE_AT)
        changed |= gone
        missing = await records.has_misses(session, dataset.id)
    metrics = await extract(session, dataset, changed, now=now)
    return Published(len(changed), metrics, missing)


def _is_news(stored: Record | None, change: dict[str, Any]) -> bool:
    if stored is None or change["version"] > stored.version:
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


def _row(dataset_id: int, change: dict[str, Any], now: datetime) -> dict[str, Any]:
    created = change["created"]
    return change | {
        "dataset_id": dataset_id,
        "created": None if created is None else datetime.fromisoformat(created),
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
        ),
    )
