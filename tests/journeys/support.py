"""A service in this process for the journeys: the API and a worker's functions over one database."""

import asyncio
import base64
import json
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import holidays
import httpx
from standardwebhooks import Webhook

from app.api.application import Api
from app.api.context import ApiContext
from app.services.context import Services
from app.services.secrets import Seal, SecretPolicy, SecretResolver
from app.services.tokens import Principal, Scope, create_token
from app.store.database import Database
from connectors.http import create_client, parse_policy, toolbox
from connectors.registry import connectors
from tests.conftest import FakeClock
from workers.pull import pull
from workers.schedule import Errands, tick

#: What the sender of webhooks and the service both know.
HOOK_SECRET = "whsec_" + base64.b64encode(b"a secret for the journeys of it").decode()

_SOMEBODY = Principal(0, "journeys", frozenset({"admin"}), None)
_EXACT = Context(prec=28, rounding=ROUND_HALF_EVEN)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def exact(number: Fraction) -> Decimal:
    """The number in 28 significant digits, half-even: how values are promised."""
    return _EXACT.divide(Decimal(number.numerator), Decimal(number.denominator))


def percentile(numbers: Iterable[Fraction], share: Fraction) -> Fraction:
    """Linear interpolation between the two nearest ranks (type 7)."""
    ordered = sorted(numbers)
    whole, part = divmod((len(ordered) - 1) * share, 1)
    low, high = ordered[int(whole)], ordered[min(int(whole) + 1, len(ordered) - 1)]
    return low + (high - low) * part


def mean(numbers: Sequence[Fraction]) -> Fraction:
    return sum(numbers, Fraction()) / len(numbers)


def seconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 1_000_000)


def z(moment: datetime) -> str:
    """The moment as the API takes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class WorkingHours:
    """Nine to five from Monday to Friday without public holidays, counted one day after the other."""

    def __init__(self, zone: ZoneInfo, country: str, subdivision: str | None = None, *, years: range) -> None:
        free = holidays.country_holidays(country, subdiv=subdivision, years=years)
        self._days: list[tuple[datetime, datetime]] = []
        day = date(years.start, 1, 1)
        while day.year in years:
            if day.weekday() < 5 and day not in free:
                opening, closing = (datetime.combine(day, time(hour), zone).astimezone(UTC) for hour in (9, 17))
                self._days.append((opening, closing))
            day += timedelta(days=1)

    def days_between(self, start: datetime, end: datetime) -> Fraction:
        """The business days of eight hours from one moment to another."""
        worked = timedelta()
        for index in range(bisect_left(self._days, start, key=lambda day: day[1]), len(self._days)):
            opening, closing = self._days[index]
            if opening >= end:
                break
            worked += min(end, closing) - max(start, opening)
        return seconds(worked) / (8 * 3600)


def signed(message_id: str, body: bytes, at: datetime, secret: str = HOOK_SECRET) -> dict[str, str]:
    """The headers of a Standard Webhook, by the specification's own library."""
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body.decode()),
    }


async def in_flight(most: int, call: Callable[[_Item], Awaitable[_Result]], items: Iterable[_Item]) -> list[_Result]:
    """Call with each item in turn, at most so many at a time; the results, in no particular order."""
    waiting = iter(items)
    results: list[_Result] = []

    async def take() -> None:
        results.extend([await call(item) for item in waiting])

    async with asyncio.TaskGroup() as group:
        for _ in range(most):
            group.create_task(take())
    return results


@dataclass
class PullQueue:
    """A doorbell in this process: it keeps the pulls that were rung for; all else is found in the database."""

    pulls: list[tuple[int, int]] = field(default_factory=list)

    async def deliveries(self) -> None:
        pass

    async def pull(self, plan_id: int, fence: int) -> None:
        self.pulls.append((plan_id, fence))

    async def build(self) -> None:
        pass

    async def changed(self) -> None:
        pass

    async def changes(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield


@dataclass
class LocalService:
    """The API to call by `http`, and a worker that works when it is told to."""

    api: Api
    http: httpx.AsyncClient
    services: Services
    clock: FakeClock
    queue: PullQueue
    _errands: Errands = field(default_factory=Errands)

    async def headers(self, *scopes: Scope) -> dict[str, str]:
        """Of somebody who holds these scopes."""
        _, token = await create_token(
            self.services.database,
            name="-".join(scopes),
            scopes=scopes,
            team=None,
            principal=_SOMEBODY,
            now=self.clock(),
        )
        return {"Authorization": f"Bearer {token}"}

    async def apply(self, team: str, file: str) -> dict[str, Any]:
        """Apply a team file; what it changed."""
        headers = {**await self.headers("write"), "content-type": "application/yaml"}
        answer = await self.http.post(f"/v1/teams/{team}/apply", content=file, headers=headers)
        assert answer.status_code == 200, answer.text
        outcome: dict[str, Any] = answer.json()
        return outcome

    async def values(self, as_of: datetime | None = None) -> dict[str, Decimal | None]:
        """Every key result's value by its name, now or as it was true at a moment."""
        parameters = {} if as_of is None else {"as_of": z(as_of)}
        found = await self.items("/v1/key-results", **parameters)
        return {one["id"].split("/")[1]: None if one["value"] is None else Decimal(one["value"]) for one in found}

    async def get(self, path: str, **parameters: str) -> Any:
        """What a reader gets."""
        answer = await self.http.get(path, params=parameters, headers=await self.headers("read"))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def items(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        """Every item of a list, page after page."""
        found: list[dict[str, Any]] = []
        place: dict[str, str] = {}
        while True:
            page = await self.get(path, limit="1000", **parameters, **place)
            found += page["items"]
            if page["next"] is None:
                return found
            place = {"after": page["next"]}

    async def deliver(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Post a webhook; the status and the answer. Without a client: deliveries come by the thousand, and httpx
        would take most of the time."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            + [(b"host", b"krsync.test"), (b"content-length", str(len(body)).encode())],
        }
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.api(scope, receive, send)
        return sent[0]["status"], json.loads(b"".join(message["body"] for message in sent[1:]))

    async def work(self) -> None:
        """All that a worker finds to do, pulls included."""
        context = {"services": self.services, "errands": self._errands, "owner": "journey"}
        while True:
            await tick(context)
            rung, self.queue.pulls = self.queue.pulls, []
            if not rung:
                return
            for plan_id, fence in rung:
                await pull(context, plan_id, fence)


@asynccontextmanager
async def local_service(
    database_url: str,
    clock: FakeClock,
    environ: dict[str, str],
    tools: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[LocalService]:
    """A service over a migrated database. Every team may use the secrets in `environ`; `tools` answers for all the
    internet (None: nobody does)."""
    database, queue, seal = Database(database_url), PullQueue(), Seal(bytes(range(32)))
    nobody = httpx.MockTransport(lambda request: httpx.Response(503))
    client = create_client(parse_policy(""), transport=tools or nobody)
    services = Services(
        database=database,
        clock=clock,
        connectors=connectors(),
        secrets=SecretResolver(SecretPolicy.parse("*=*"), seal, environ),
        toolbox=lambda: toolbox(client, clock),
        queue=queue,
    )

    @asynccontextmanager
    async def open_context() -> AsyncIterator[ApiContext]:
        yield ApiContext(services=services, seal=seal)

    api = Api(open_context)
    try:
        async with (
            api.lifespan(),
            httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://krsync.test") as http,
        ):
            yield LocalService(api, http, services, clock, queue)
    finally:
        await client.aclose()
        await database.close()
