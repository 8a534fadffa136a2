"""Asking for the next page while one is used."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from connectors.errors import QueryError
from connectors.jira.reading import Ahead


async def test_the_next_one_is_on_its_way_while_one_is_used_and_no_more_than_that() -> None:
    asked: list[int] = []

    async def numbers() -> AsyncGenerator[int, None]:
        for number in range(4):
            asked.append(number)
            yield number

    ahead = Ahead(numbers())
    await asyncio.sleep(0)
    assert asked == [0]
    assert await anext(ahead) == 0
    for _ in range(3):
        await asyncio.sleep(0)
    assert asked == [0, 1]
    assert [number async for number in ahead] == [1, 2, 3]
    await ahead.aclose()


async def test_a_failure_comes_in_its_place() -> None:
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise QueryError("no")

    ahead = Ahead(failing())
    assert await anext(ahead) == 1
    with pytest.raises(QueryError):
        await anext(ahead)
    await ahead.aclose()


async def test_what_is_no_longer_wanted_is_ended() -> None:
    ended = asyncio.Event()

    async def waiting() -> AsyncGenerator[int, None]:
        try:
            await asyncio.Event().wait()
            yield 1
        finally:
            ended.set()

    ahead = Ahead(waiting())
    await asyncio.sleep(0)
    await ahead.aclose()
    assert ended.is_set()
