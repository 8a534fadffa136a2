"""What a worker tells Python's garbage collector."""

import gc
from collections.abc import Iterator

import pytest

from app.collector import THRESHOLD, settle


@pytest.fixture
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


@pytest.mark.usefixtures("as_before")
def test_what_was_there_at_the_start_is_looked_at_no_more_and_what_comes_is() -> None:
    settle()

    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] == THRESHOLD
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1
