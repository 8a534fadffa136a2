"""Counts by value: buckets that split as they fill, so that each holds few facts whatever the values are.

A part's *scale* says where its buckets begin. Every row of its roll-up counts its facts by bucket, as unsigned 32-bit
numbers in little-endian order. A bucket has a *lane*, its place in those rows, which it keeps for good: what a split
adds comes last, and a row that is shorter has no facts there. Rows are added up as whole numbers, all lanes at once.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import msgspec

from app.store.rollup_keys import after

#: A bucket of more facts than this is split, unless they have one value.
FULL = 4096
#: In a part of very many facts a bucket may hold one in so many of them, so that the rows do not grow with the part.
SHARES = 256


def full(facts: int) -> int:
    """How many facts fill a bucket of a part that has so many."""
    return max(FULL, facts // SHARES)


class Scale:
    """The buckets of a part in order of value: the key each begins at, and its lane. The first begins at the least key
    there is."""

    def __init__(self, bounds: Sequence[bytes] = (b"",), lanes: Sequence[int] = (0,)) -> None:
        self.bounds = list(bounds)
        self.lanes = list(lanes)
        self.has_changed = False

    @classmethod
    def load(cls, stored: bytes | None) -> "Scale":
        if stored is None:
            return cls()
        bounds, lanes = msgspec.msgpack.decode(stored, type=tuple[list[bytes], list[int]])
        return cls(bounds, lanes)

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self.bounds, self.lanes))

    def bucket_of(self, key: bytes) -> int:
        """The place of the bucket that holds a key."""
        return bisect_right(self.bounds, key) - 1

    def lane_of(self, key: bytes) -> int:
        return self.lanes[self.bucket_of(key)]

    def range(self, bucket: int) -> tuple[bytes, bytes | None]:
        """`[from, to)` in keys; None: to the end."""
        end = self.bounds[bucket + 1] if bucket + 1 < len(self.bounds) else None
        return self.bounds[bucket], end

    def has_one_value(self, bucket: int) -> bool:
        """Whether the bucket is for a single key: it is never split and its value is known without a look."""
        start, end = self.range(bucket)
        return end == after(start)

    def split(self, bucket: int, keys: Iterable[tuple[bytes, int]], limit: int) -> None:
        """Make the bucket several of at most `limit` facts, given its keys in order with the number of facts of
        each."""
        start, end = self.range(bucket)
        cutter = Cutter(limit, start)
        cuts = (bound for key, count in keys for bound in cutter.cuts(key, count))
        added = [bound for bound in cuts if end is None or bound < end]
        first = len(self.lanes)
        self.bounds[bucket + 1 : bucket + 1] = added
        self.lanes[bucket + 1 : bucket + 1] = range(first, first + len(added))
        self.has_changed = True

    def by_value(self, lanes: bytes) -> list[int]:
        """Counts by lane as counts by bucket, in order of value."""
        counts = unpack(lanes, len(self.lanes))
        return [counts[lane] for lane in self.lanes]


class Cutter:
    """Says where buckets of about half of `limit` facts begin after `start`, told each key in order with the number of
    its facts. A key of many facts has a bucket to itself."""

    def __init__(self, limit: int, start: bytes = b"") -> None:
        self._limit = limit
        self._last = start
        self._filled = 0

    def cuts(self, key: bytes, count: int) -> list[bytes]:
        """The buckets that begin with this key or right after it."""
        found = []
        is_heavy = count >= self._limit // 4
        if key > self._last and (is_heavy or self._filled >= self._limit // 2):
            found.append(key)
            self._filled = 0
        if is_heavy:
            found.append(after(key))
            self._filled = 0
        else:
            self._filled += count
        if found:
            self._last = found[-1]
        return found


def unpack(lanes: bytes, length: int) -> "array[int]":
    """The counts of a row, at least so many."""
    counts = array("I", lanes)
    if sys.byteorder == "big":
        counts.byteswap()
    counts.extend([0] * (length - len(counts)))
    return counts


def pack(counts: "array[int]") -> bytes:
    if sys.byteorder == "big":
        counts = array("I", counts)
        counts.byteswap()
    return counts.tobytes()


def changed(lanes: bytes, changes: Mapping[int, int]) -> bytes:
    """A row with so many facts more (or fewer) in some lanes."""
    if not changes:
        return lanes
    counts = unpack(lanes, max(changes) + 1)
    for lane, count in changes.items():
        counts[lane] += count
    return pack(counts)


def added_up(rows: Iterable[bytes]) -> bytes:
    """The counts of all rows together. A lane can not overflow into the next: no part has four thousand million
    facts."""
    widest, total = 0, 0
    for lanes in rows:
        widest = max(widest, len(lanes))
        total += int.from_bytes(lanes, "little")
    return total.to_bytes(widest, "little")


def find(counts: Sequence[int], rank: int) -> tuple[int, int]:
    """The bucket that holds the value of a rank (0 is the least), and the value's rank in it."""
    ends = list(accumulate(counts))
    bucket = bisect_right(ends, rank)
    return bucket, rank - (ends[bucket] - counts[bucket])
