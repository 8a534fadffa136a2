"""What goes on after the year: small stories told one event at a time, for as long as somebody looks."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from app.demo.year import Event

Clock = Callable[[], datetime]


def live_events(seed: int, clock: Clock) -> Iterator[Event]:
    """Events without end, each to be told at once: take the next one when it is time. A story is about a subject named
    by the moment it begins at, so that whoever starts again tells of others."""
    chance, number = random.Random(seed), 0
    while True:
        number += 1
        yield from _ticket(number, chance, clock)
        if number % 4 == 0:
            yield from _order(chance, clock)
        if number % 9 == 0:
            yield _told("procurement", "invoices", "invoice", _subject("INV", clock), "matched", clock())
        if number % 25 == 0:
            yield from _colleague(chance, clock)


def _ticket(number: int, chance: random.Random, clock: Clock) -> Iterator[Event]:
    """Opened a day or so ago, answered soon after, resolved now; one in seven comes back."""
    subject, opened = _subject("T", clock), clock() - timedelta(hours=chance.uniform(16, 38))
    about = {"about": chance.choice(("laptop", "licence", "printer", "network")), "major": False}
    yield _told("it", "desk", "ticket", subject, "opened", opened, **about)
    replied = opened + timedelta(minutes=chance.uniform(30, 90))
    yield _told("it", "desk", "ticket", subject, "replied", replied, **about)
    yield _told("it", "desk", "ticket", subject, "resolved", clock(), **about)
    if number % 7 == 0:
        yield _told("it", "desk", "ticket", subject, "reopened", clock(), **about)


def _order(chance: random.Random, clock: Clock) -> Iterator[Event]:
    """Small ones: a running example must not spend the budget."""
    subject, requested = _subject("PO", clock), clock() - timedelta(days=chance.uniform(7, 12))
    body = {"total": round(chance.uniform(1, 9), 2), "contract": chance.random() < 0.7}
    yield _told("procurement", "orders", "po", subject, "po.requested", requested, **body)
    yield _told("procurement", "orders", "po", subject, "po.approved", clock(), **body)


def _colleague(chance: random.Random, clock: Clock) -> Iterator[Event]:
    subject, started = _subject("P", clock), clock() - timedelta(days=chance.uniform(6, 12))
    yield _told("people", "hris", "person", subject, "started", started)
    yield _told("people", "hris", "person", subject, "equipped", clock(), on_time=chance.random() < 0.7)
    yield _told("people", "hris", "person", subject, "productive", clock())


def _subject(prefix: str, clock: Clock) -> str:
    return f"{prefix}-{clock():%Y%m%d-%H%M%S}"


def _told(team: str, connection: str, key: str, subject: str, word: str, at: datetime, **body: Any) -> Event:
    name = f"live-{subject}-{word}-{at:%Y%m%d%H%M%S%f}"
    return Event(team, connection, name, at, {key: subject, "event": word, **body, "at": at.isoformat()})
