"""One attempt at a pull plan: load, read with no transaction held, publish in one fenced transaction.

A plan is claimed from the database with a lease and a fencing token. While a tool is read, pages are staged under the
run and the lease is renewed; a worker that lost the lease finds its token outdated and writes nothing more. Nothing of
an incomplete read is published, so a failed run leaves every value as it was.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from pydantic import ValidationError

from app.domain.language import DatasetSpec
from app.domain.recovery import recover
from app.domain.schedule import next_due
from app.errors import NotFound
from app.services.baselines import freeze_due
from app.services.connect import ConnectorCrashError, contained, open_session
from app.services.context import Services
from app.services.evaluate import evaluate
from app.services.gather import MOST_HINTS, Gathering, gather, kind_of_read
from app.services.notify.owners import tell_owner
from app.services.publish import Published, publish_measurement, publish_records, stage_page
from app.services.queries import bind_query, query_window
from app.services.restraint import AWAY, Restraint, SilencedError, keep_off, reserve
from app.store import audit, hints, organisation, plans
from app.store.database import Session, is_unavailable
from app.store.tables import Connection, Dataset, Plan, Run, Team
from connectors.boundary import check_measurement
from connectors.contract import Connector, Page, Toolbox
from connectors.errors import ConnectorError, QueryError, UnexpectedResponseError

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=15)
RENEW_SECONDS = 4.0
#: One run may take this long; a tool that never ends a read must not hold a worker for ever.
LONGEST_RUN = timedelta(minutes=30)
MOST_RECORDS, MOST_PAGES = 5_000_000, 200_000
#: Every record of a dataset is read again, for what changes without an update, such as names; and all ids, to find what
#: left it.
FULL_EVERY = timedelta(hours=24)
SWEEP_EVERY = timedelta(hours=2)
#: What a webhook tells of is read so much later: others may tell of the same.
HINTS_AFTER = timedelta(seconds=5)
HELD_DROP = (
    "{count} records are gone at once and none was dropped: confirm that this is right, or give the account back what "
    "it could see."
)


class LeaseLostError(Exception):
    """Another worker holds the plan by now: what this one read is thrown away."""


@dataclass(slots=True)
class _Attempt:
    plan: Plan
    connection: Connection
    team: Team
    dataset: Dataset | None
    run_id: int
    reading: Gathering
    records: int = 0
    pages: int = 0
    calls: Callable[[], int] = lambda: 0


async def claim_due(services: Services, *, owner: str, limit: int = 50) -> list[tuple[int, int]]:
    """Take the leases of due plans; (plan, fencing token) each."""
    now = services.clock()
    async with services.database.writing() as session:
        return await plans.claim_due(session, now=now, lease_until=now + LEASE, owner=owner, limit=limit)


async def pull_plan(services: Services, plan_id: int, fence: int) -> str:
    """Run a claimed plan; returns the run's outcome. What is no ConnectorError closes the run as `crashed` and is
    raised."""
    attempt = await _start(services, plan_id, fence)
    if attempt is None:
        return "superseded"
    try:
        async with _renewing(services, attempt):
            await _attempt(services, attempt)
        outcome = "succeeded"
    except LeaseLostError:
        outcome = "superseded"
        log.info("pull.lease_lost", plan=plan_id, run=attempt.run_id)
    except ConnectorError as error:
        outcome = "failed"
        retry_after, is_heard = getattr(error, "retry_after", None), not isinstance(error, SilencedError)
        await _fail(services, attempt, error.code, str(error), retry_after, is_heard=is_heard)
    except ValidationError as error:
        outcome = "failed"
        reason = f"The stored configuration does not fit its connector ({error.error_count()} errors): apply it again."
        await _fail(services, attempt, QueryError.code, reason, None)
    except asyncio.CancelledError:
        # The worker is being stopped: hand the plan back at once instead of letting the lease run out.
        await asyncio.shield(_hand_back(services, attempt))
        raise
    except ConnectorCrashError as error:
        await _fail(services, attempt, "crashed", f"{error} in the connector {attempt.connection.connector}.", None)
        raise
    except Exception as error:
        if is_unavailable(error):
            raise  # the store itself is away: the lease runs out and the plan is claimed again
        await _fail(services, attempt, "crashed", f"{type(error).__name__} in KRSync.", None)
        raise
    return outcome


async def _start(services: Services, plan_id: int, fence: int) -> _Attempt | None:
    now = services.clock()
    async with services.database.writing() as session:
        held = await plans.hold_plan(session, plan_id, fence)
        found = None if held is None else await plans.get_plan(session, plan_id)
        if held is None or found is None or held.lease_owner is None:
            return None
        plan, connection, team, dataset = found
        reading, kind = Gathering("full", None), "query"
        if dataset is not None:
            connector = services.connectors.get(connection.connector)
            can_fetch = connector is not None and connector.fetch is not None
            told = await hints.hints_of(session, plan_id, MOST_HINTS) if can_fetch else {}
            reading.kind = kind = kind_of_read(plan, connector, has_hints=bool(told), now=now)
            reading.cursor, reading.told = plan.cursor, told
        is_full = dataset is not None and reading.is_complete
        run = Run(plan_id=plan_id, fence=fence, is_full=is_full, kind=kind, started_at=now, outcome="running")
        run_id = await plans.open_run(session, run)
    return _Attempt(plan, connection, team, dataset, run_id, reading)


async def _attempt(services: Services, attempt: _Attempt) -> None:
    toolbox = services.toolbox()
    attempt.calls = toolbox.calls
    toolbox.http.event_hooks = {"request": [Restraint(services, attempt.connection.id)]}
    async with services.database.writing() as session:
        kind = attempt.reading.kind if attempt.dataset is not None else "query"
        await reserve(session, attempt.connection, attempt.plan.id, attempt.run_id, kind, services.clock())
    try:
        async with asyncio.timeout(LONGEST_RUN.total_seconds()) as limit:
            if attempt.dataset is not None:
                await _read(services, attempt, attempt.dataset, toolbox)
            else:
                await _measure(services, attempt, toolbox)
    except TimeoutError:
        if not limit.expired():
            raise
        raise UnexpectedResponseError(f"The read did not end within {LONGEST_RUN}.") from None


async def _read(services: Services, attempt: _Attempt, dataset: Dataset, toolbox: Toolbox) -> None:
    connector = services.connectors.get(attempt.connection.connector)
    if connector is None or connector.read is None or connector.dataset is None:
        raise QueryError(f"The connector {attempt.connection.connector} keeps no records.")
    options = connector.dataset.model_validate(_options(connector, dataset, attempt.plan))
    reading = attempt.reading
    async with (
        open_session(services, connector, attempt.connection, attempt.team, toolbox) as session,
        aclosing(gather(services, connector, session, dataset, options, reading)) as pages,
    ):
        async for page in pages:
            attempt.records += len(page.changes)
            await _staged(services, attempt, page)
    now = services.clock()
    async with services.database.writing() as db:
        plan = await _held(db, attempt)
        changed = await publish_records(db, dataset, plan, attempt.run_id, reading, now=now)
        if changed.held:
            reading.warnings.insert(0, HELD_DROP.format(count=changed.held))
        _next_reads(plan, reading, changed, now, can_sweep=connector.sweep is not None and connector.fetch is not None)
        await hints.drop_hints(db, plan.id, {entity: told_at for entity, (_, told_at) in reading.told.items()})
        is_first = plan.last_success_at is None
        plan.last_success_at = now
        await db.flush()
        if is_first:
            # Until now nothing was known of the dataset; that it holds nothing is known from now on.
            changed.metrics.update(metric_id for _, metric_id in await organisation.live_parts(db, [dataset.id]))
        if changed.metrics:
            await evaluate(db, changed.metrics, now=now)
        # What was there before the first webhook came is nothing that one missed.
        is_measured = attempt.connection.last_delivery_at is not None and not is_first
        untold = changed.untold if is_measured else None
        await _succeed(db, services, attempt, plan, changed.count, now, untold=untold)


def _next_reads(plan: Plan, reading: Gathering, changed: Published, now: datetime, *, can_sweep: bool) -> None:
    """When the plan is to see what changed, all ids, and everything again."""
    plan.cursor = reading.new_cursor or plan.cursor or {}
    cadence = timedelta(seconds=plan.cadence_seconds)
    if reading.kind != "hints":
        plan.read_due_at = next_due(now, cadence, plan.key)
    if not reading.is_complete:
        return
    plan.held_drop, plan.is_drop_confirmed = changed.held, False
    # What a sweep missed is gone only when a second one misses it too: that one comes soon.
    soon = now + cadence if changed.missing else None
    if can_sweep:
        plan.sweep_due_at = soon or now + SWEEP_EVERY
    if reading.kind == "full":
        plan.full_due_at = soon if soon and not can_sweep else now + FULL_EVERY


async def _measure(services: Services, attempt: _Attempt, toolbox: Toolbox) -> None:
    plan = attempt.plan
    connector = services.connectors.get(attempt.connection.connector)
    if connector is None or connector.measure is None or connector.query is None or plan.query is None:
        raise QueryError(f"The connector {attempt.connection.connector} computes no numbers.")
    asked_at = services.clock()
    window = query_window(plan, attempt.team, asked_at)
    query = bind_query(connector, plan)
    async with open_session(services, connector, attempt.connection, attempt.team, toolbox) as session:
        with contained():
            measured = await connector.measure(session, query, window)
        check_measurement(measured)
    now = services.clock()
    async with services.database.writing() as db:
        held = await _held(db, attempt)
        await publish_measurement(db, held, window, measured, now=now)
        held.link = measured.link or held.link
        metric_ids = await organisation.metrics_asking(db, held.query_digest or "")
        await evaluate(db, metric_ids, now=now)
        await _succeed(db, services, attempt, held, 1, now)
        if held.cycle.startswith("baseline:") and measured.value is not None:
            held.next_due_at = None  # a frozen baseline is never measured again


async def _staged(services: Services, attempt: _Attempt, page: Page) -> None:
    async with services.database.writing() as session:
        await _held(session, attempt)
        await stage_page(session, attempt.run_id, page)


async def _held(session: Session, attempt: _Attempt) -> Plan:
    plan = await plans.hold_plan(session, attempt.plan.id, attempt.plan.fence, attempt.run_id)
    if plan is None:
        raise LeaseLostError
    return plan


async def _succeed(
    session: Session,
    services: Services,
    attempt: _Attempt,
    plan: Plan,
    changed: int,
    now: datetime,
    *,
    untold: int | None = None,
) -> None:
    plan.failures, plan.failing_code, plan.failing_reason, plan.paused_code = 0, None, None, None
    plan.last_success_at = now
    plan.lease_owner, plan.lease_until = None, None
    due = next_due(now, timedelta(seconds=plan.cadence_seconds), plan.key)
    if attempt.dataset is not None:
        others = [plan.read_due_at, plan.full_due_at, plan.sweep_due_at]
        if await hints.has_hints(session, plan.id):
            others.append(now + HINTS_AFTER)
        due = min(due, *(moment for moment in others if moment is not None))
    plan.next_due_at = max(due, now)
    await plans.close_run(
        session,
        attempt.run_id,
        outcome="succeeded",
        finished_at=now,
        calls=attempt.calls(),
        records=attempt.records,
        changed=changed,
        untold=untold,
        warnings=attempt.reading.warnings or None,
    )
    await organisation.note_success(session, attempt.connection.id, now)
    await freeze_due(session, now=now, team_id=attempt.team.id)


async def _fail(
    services: Services,
    attempt: _Attempt,
    code: str,
    reason: str,
    retry_after: timedelta | None,
    *,
    is_heard: bool = True,
) -> None:
    """Close the run, and decide what comes next. `is_heard`: the tool said so to this very run."""
    now = services.clock()
    async with services.database.writing() as session:
        plan = await plans.hold_plan(session, attempt.plan.id, attempt.plan.fence, attempt.run_id)
        await plans.discard_staged(session, [attempt.run_id])
        await plans.close_run(
            session,
            attempt.run_id,
            outcome="crashed" if code == "crashed" else "failed",
            finished_at=now,
            calls=attempt.calls(),
            records=attempt.records,
            error_code=code,
            error=reason,
        )
        if plan is None:
            return
        plan.failures += 1
        away_runs = await organisation.note_failure(
            session, attempt.connection.id, code, reason, now, is_away=is_heard and code in AWAY
        )
        in_a_row = max(plan.failures, away_runs) if code in AWAY else plan.failures
        decision = recover(code, retry_after, in_a_row, now, jitter_seed=plan.key)
        plan.failing_code, plan.failing_reason = code, reason
        plan.lease_owner, plan.lease_until = None, None
        plan.next_due_at = decision.due
        if decision.action == "pause_plan":
            plan.paused_code = code
        if decision.action == "pause_connection":
            plan.next_due_at = now  # due as soon as the connection is mended
            since = await organisation.pause_connection(session, attempt.connection.id, code, reason)
            await tell_owner(services, session, attempt.team, attempt.connection, code, reason, since)
        if is_heard:
            await keep_off(session, attempt.connection.id, decision, retry_after, away_runs, now)
    log.warning("pull.failed", plan=attempt.plan.id, run=attempt.run_id, code=code, action=decision.action)


async def _hand_back(services: Services, attempt: _Attempt) -> None:
    now = services.clock()
    async with services.database.writing() as session:
        plan = await plans.hold_plan(session, attempt.plan.id, attempt.plan.fence, attempt.run_id)
        await plans.discard_staged(session, [attempt.run_id])
        await plans.close_run(
            session, attempt.run_id, outcome="superseded", finished_at=now, error="The worker was stopped."
        )
        if plan is not None:
            plan.lease_owner, plan.lease_until, plan.next_due_at = None, None, now


@contextlib.asynccontextmanager
async def _renewing(services: Services, attempt: _Attempt) -> AsyncIterator[None]:
    """Renew the lease while the body runs; a lost lease cancels the body and raises LeaseLostError."""
    body = asyncio.current_task()
    plan_id, fence = attempt.plan.id, attempt.plan.fence
    lost = False

    async def renew() -> None:
        nonlocal lost
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                async with services.database.writing() as session:
                    is_held = await plans.renew_lease(session, plan_id, fence, services.clock() + LEASE)
                    await plans.note_calls(session, attempt.run_id, attempt.calls())
            except Exception as error:
                if not is_unavailable(error):
                    raise
                continue  # the database may be back before the lease runs out
            if not is_held:
                lost = True
                if body is not None:
                    body.cancel()
                return

    renewing = asyncio.create_task(renew())
    try:
        yield
    except asyncio.CancelledError:
        if not lost:
            raise
        if body is not None:
            body.uncancel()
        raise LeaseLostError from None
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await renewing


def _options(connector: Connector, dataset: Dataset, plan: Plan) -> dict[str, object]:
    """The dataset as its connector knows it, with the fields that the team's metrics need beside those it names."""
    options: dict[str, object] = DatasetSpec.model_validate(dataset.spec).options
    needed = list((plan.query or {}).get("fields", ()))
    if needed and connector.dataset is not None and "fields" in connector.dataset.model_fields:
        named = options.get("fields")
        options["fields"] = list(dict.fromkeys([*(named if isinstance(named, list) else ()), *needed]))
    return options


async def request_refresh(services: Services, team: str, metric: str, actor: str) -> list[int]:
    """Make the plans behind a metric due now, and its connections' pauses tried again; the plans' ids."""
    async with services.database.writing() as session:
        row = await organisation.get_metric(session, team, metric)
        if row is None:
            raise NotFound("There is no such metric.")
        item = (await organisation.revised_metrics(session, [row.id])).get(row.id) or (
            await organisation.revised_metrics(session, [row.id], building=True)
        ).get(row.id)
        parts = [] if item is None else list(item.parts.values())
        found = await plans.plans_reading(
            session,
            [part.dataset_id for part in parts if part.dataset_id is not None],
            [part.query_digest for part in parts if part.query_digest is not None],
        )
        ids = await plans.make_due(session, [plan.id for plan in found], services.clock())
        await organisation.resume_connections(session, {plan.connection_id for plan in found})
    log.info("pull.refresh_requested", metric=f"{team}/{metric}", actor=actor)
    return ids


async def confirm_drop(services: Services, team: str, dataset: str, actor: str) -> int:
    """Somebody says that it is right that so many records of a dataset are gone: the next sweep, due now, drops those
    that two sweeps missed. Returns how many were held back; NotFound where there is no such dataset."""
    async with services.database.writing() as session:
        found = await organisation.list_datasets(session, team=team, name=dataset, limit=1)
        if not found:
            raise NotFound("There is no such dataset.")
        held = await plans.confirm_drop(session, found[0][0].id, services.clock())
        await audit.append_audit(
            session,
            at=services.clock(),
            actor=actor,
            action="confirm-drop",
            object_kind="dataset",
            object_id=f"{team}/{dataset}",
        )
    return held
