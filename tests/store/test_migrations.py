"""The migrations make what the tables in the code say, forwards and backwards, on both databases."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from alembic import command

from app.store import migrate


def test_the_way_up_and_down_and_up_again_ends_at_what_the_code_declares(blank_database_url: str) -> None:
    def walk() -> None:
        migrate.upgrade(blank_database_url)
        asyncio.run(migrate._with_connection(blank_database_url, lambda config: command.downgrade(config, "0001")))
        migrate.upgrade(blank_database_url)
        migrate.check(blank_database_url)

    # Migrations bring their own event loop, and the test may be in one.
    with ThreadPoolExecutor(1) as aside:
        aside.submit(walk).result()
