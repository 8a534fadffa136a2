"""Tokens: what they look like, who they let in, and the first one."""

import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from app.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from app.services.tokens import (
    Principal,
    authenticate,
    create_token,
    ensure_admin_token,
    generate_token,
    is_well_formed,
    list_tokens,
    make_admin_token,
    revoke_token,
)
from app.store.database import Database
from app.store.tables import Team

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ADMIN = Principal(1, "first admin", frozenset({"admin"}), None)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def add_team(database: Database, name: str) -> None:
    async with database.writing() as session:
        session.add(Team(name=name, spec={}, managed_by="file", created_at=NOW, updated_at=NOW))


def test_a_generated_token_is_well_formed_and_never_the_same() -> None:
    tokens = {generate_token() for _ in range(200)}
    assert len(tokens) == 200
    assert all(is_well_formed(token) and len(token) == 53 for token in tokens)


@given(st.integers(0, 52), st.characters())
def test_one_changed_character_breaks_the_checksum(place: int, character: str) -> None:
    token = generate_token()
    changed = token[:place] + character + token[place + 1 :]
    assert is_well_formed(changed) == (changed == token)


@given(st.text())
def test_any_text_is_told_apart_from_a_token(text_: str) -> None:
    assert not is_well_formed(text_)
    assert not is_well_formed("okr_" + text_)


async def test_a_token_lets_in_until_it_is_revoked(database: Database) -> None:
    view, token = await create_token(database, name="ci", scopes=["write", "read"], team=None, principal=ADMIN, now=NOW)
    principal = await authenticate(database, token)
    assert (principal.name, principal.scopes, principal.team) == ("ci", {"read", "write"}, None)
    assert principal.may("write")
    assert not principal.may("ingest")
    await revoke_token(database, view.id, principal=ADMIN, now=NOW)
    with pytest.raises(Unauthenticated):
        await authenticate(database, token)
    await revoke_token(database, view.id, principal=ADMIN, now=NOW)
    (listed,), _ = await list_tokens(database, team=None, after=None, limit=10)
    assert listed.revoked_at == NOW


async def test_a_broken_checksum_is_refused_without_a_query(database: Database) -> None:
    statements: list[str] = []

    @event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def _note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    token = generate_token()
    with pytest.raises(Unauthenticated):
        await authenticate(database, token[:-1] + ("0" if token[-1] != "0" else "1"))
    assert statements == []
    with pytest.raises(Unauthenticated):
        await authenticate(database, token)
    assert len([statement for statement in statements if "token" in statement]) == 1


async def test_the_database_holds_no_token(database: Database) -> None:
    _, token = await create_token(database, name="x", scopes=["read"], team=None, principal=ADMIN, now=NOW)
    async with database.reading() as session:
        rows = [
            *await session.execute(text("SELECT * FROM token")),
            *await session.execute(text("SELECT * FROM audit")),
        ]
    assert len(rows) == 2
    assert token not in repr(rows)
    assert token[4:47] not in repr(rows)


async def test_a_teams_admin_rules_over_its_own_team_only(database: Database) -> None:
    await add_team(database, "operations")
    await add_team(database, "finance")
    owner = Principal(1, "ops admin", frozenset({"admin"}), "operations")
    _, token = await create_token(database, name="ops", scopes=["write"], team="operations", principal=owner, now=NOW)
    assert (await authenticate(database, token)).team == "operations"
    foreign, _ = await create_token(database, name="fin", scopes=["read"], team="finance", principal=ADMIN, now=NOW)
    for team in (None, "finance"):
        with pytest.raises(Forbidden):
            await create_token(database, name="x", scopes=["read"], team=team, principal=owner, now=NOW)
    with pytest.raises(NotFound):
        await revoke_token(database, foreign.id, principal=owner, now=NOW)
    listed, _ = await list_tokens(database, team="operations", after=None, limit=10)
    assert [view.name for view in listed] == ["ops"]


async def test_an_unknown_team_is_an_error_at_its_pointer(database: Database) -> None:
    with pytest.raises(InvalidInput) as caught:
        await create_token(database, name="x", scopes=["read"], team="nobody", principal=ADMIN, now=NOW)
    assert [error.pointer for error in caught.value.errors] == ["/team"]


async def test_the_list_pages_through_all(database: Database) -> None:
    for number in range(5):
        await create_token(database, name=f"t{number}", scopes=["read"], team=None, principal=ADMIN, now=NOW)
    names, after = [], None
    while True:
        page, after = await list_tokens(database, team=None, after=after, limit=2)
        names += [view.name for view in page]
        if after is None:
            break
    assert names == ["t0", "t1", "t2", "t3", "t4"]


async def test_the_first_admin_token_is_made_once_and_lies_in_a_private_file(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "admin-token"
    assert await ensure_admin_token(database, path, NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text().strip()
    assert (await authenticate(database, token)).may("admin")
    assert not await ensure_admin_token(database, path, NOW)
    assert path.read_text().strip() == token
    assert [item.name for item in tmp_path.iterdir() if "admin-token" in item.name] == ["admin-token"]


async def test_who_has_the_database_makes_another_admin_token(database: Database, tmp_path: Path) -> None:
    assert await ensure_admin_token(database, tmp_path / "admin-token", NOW)
    path = tmp_path / "another"
    await make_admin_token(database, path, NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text().strip()
    assert (await authenticate(database, token)).may("admin")
    with pytest.raises(FileExistsError):
        await make_admin_token(database, path, NOW)
    assert path.read_text().strip() == token


async def test_a_token_in_the_file_without_its_row_is_adopted(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    token = generate_token()
    path.write_text(token + "\n")
    assert await ensure_admin_token(database, path, NOW)
    assert (await authenticate(database, token)).may("admin")
