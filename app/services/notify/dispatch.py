"""From the outbox to the channels: claimed under a lease, sent with no transaction held, settled by whoever still holds
the claim.

A notice is sent at least once: a worker that dies after sending and before settling leaves its lease to run out. Its id
stays the same, so that receivers take it once. What fails is tried again, less and less often, and at last is dead, to
be replayed by a person. One of a team's channels is served in order; when it is away, all that waits for it does.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from app.domain.notice import quiet_until, retry_wait
from app.domain.notify import NotifySpec
from app.services.context import Services
from app.services.definitions import team_zone
from app.services.notify.channels import notify_spec
from app.services.notify.send import WithdrawnError, send
from app.store import outbox
from app.store.outbox import DEAD, SENT, Sending
from connectors.errors import ConnectorError, TransientError

log = structlog.get_logger(__name__)

BATCH = 50
#: Longer than sending one may take; what is claimed behind it is claimed anew once it has run out.
LEASE = timedelta(minutes=2)
_DEADLINE_SECONDS = 45.0


async def dispatch_due(services: Services) -> int:
    """Send what is due; returns how many were claimed (0: nothing is due)."""
    now = services.clock()
    async with services.database.reading() as session:
        if not await outbox.has_due(session, now):
            return 0
    async with services.database.writing() as session:
        claimed = await outbox.claim_due(session, now, now + LEASE, BATCH)
    ways: dict[tuple[int, str], list[Sending]] = defaultdict(list)
    for sending in claimed:
        ways[(sending.team.id, sending.channel)].append(sending)
    await asyncio.gather(*(_serve(services, way) for way in ways.values()))
    return len(claimed)


async def _serve(services: Services, way: Sequence[Sending]) -> None:
    """One team's channel, in order; where it is away, the rest is given back untried."""
    begun = services.clock()
    for position, sending in enumerate(way):
        now = services.clock()
        if now - begun > LEASE / 2:  # the lease must outlast the sending: the rest is claimed anew
            async with services.database.writing() as session:
                for other in way[position:]:
                    await outbox.settle(session, other)
            return
        spec = notify_spec(sending.team)
        until = None if spec is None or sending.channel == "webhook" else _quiet(sending, spec, now)
        if until is None:
            until = await _send_one(services, spec, sending)
        if until is not None:
            async with services.database.writing() as session:
                for other in way[position:]:
                    await outbox.settle(session, other)
                await outbox.postpone(session, sending.team.id, sending.channel, until)
            return


def _quiet(sending: Sending, spec: NotifySpec, now: datetime) -> datetime | None:
    return quiet_until(now, spec.quiet_hours, team_zone(sending.team))


async def _send_one(services: Services, spec: NotifySpec | None, sending: Sending) -> datetime | None:
    """Send one and settle it; until when its whole channel is to be left alone, where it is away."""
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            receipt = await send(services, spec, sending)
    except WithdrawnError as error:
        await _bury(services, sending, error)
        return None
    except TimeoutError:
        return await _fail(services, sending, TransientError("It took too long."))
    except ConnectorError as error:
        return await _fail(services, sending, error)
    except Exception as error:
        log.exception("notify.crashed", notice=sending.notice.id, channel=sending.channel)
        return await _fail(services, sending, ConnectorError(f"It could not be sent ({type(error).__name__})."))
    async with services.database.writing() as session:
        await outbox.settle(
            session, sending, state=SENT, sent_at=services.clock(), receipt=receipt, error=None, error_code=None
        )
    return None


async def _bury(services: Services, sending: Sending, error: ConnectorError) -> None:
    async with services.database.writing() as session:
        await outbox.settle(
            session, sending, state=DEAD, failures=sending.failures + 1, error=str(error), error_code=error.code
        )
    log.warning("notify.dead", notice=sending.notice.id, channel=sending.channel, code=error.code)


async def _fail(services: Services, sending: Sending, error: ConnectorError) -> datetime | None:
    failures = sending.failures + 1
    wait = retry_wait(failures, _share(sending, failures))
    if wait is None:
        await _bury(services, sending, error)
        return None
    now = services.clock()
    asked = error.retry_after if isinstance(error, TransientError) else None
    until = now + (wait if asked is None else max(wait, asked))
    async with services.database.writing() as session:
        await outbox.settle(
            session, sending, failures=failures, next_attempt_at=until, error=str(error), error_code=error.code
        )
    log.info("notify.failed", notice=sending.notice.id, channel=sending.channel, code=error.code, failures=failures)
    return until if isinstance(error, TransientError) else None


def _share(sending: Sending, failures: int) -> int:
    """0 to 99, another one for each notice and attempt: receivers that were away are not met by all at once."""
    return hashlib.sha256(f"{sending.notice.uid}/{sending.channel}/{failures}".encode()).digest()[0] * 100 // 256
