"""When a plan is pulled next. The jitter is a function of its seed, so a decision can be repeated and tested."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction
from hashlib import blake2b

JITTER = Fraction(1, 10)
"""The largest jitter, as a part of the cadence."""


def cadence(fresh_within: Iterable[timedelta], min_interval: timedelta, default: timedelta) -> timedelta:
    """Half of the tightest freshness that a reader asks for (the default when none does), never below `min_interval`.

    Half, so that one lost pull and the jitter still leave the value fresh.
    """
    tightest = min(fresh_within, default=None)
    return max(default if tightest is None else tightest / 2, min_interval)


def next_due(last: datetime, cadence: timedelta, jitter_seed: str) -> datetime:
    """The moment of the next pull after one at `last`: a cadence and up to a tenth more, so that plans spread out."""
    share = unit_interval(f"{jitter_seed}@{last.timestamp()}") * JITTER
    return last + cadence + scaled(cadence, share)


def scaled(span: timedelta, share: Fraction) -> timedelta:
    """A part of a span, rounded down to microseconds."""
    return timedelta(microseconds=int(span // timedelta(microseconds=1) * share))


def unit_interval(seed: str) -> Fraction:
    """A number in [0, 1), evenly spread over seeds and always the same for one."""
    return Fraction(int.from_bytes(blake2b(seed.encode(), digest_size=8).digest()), 1 << 64)
