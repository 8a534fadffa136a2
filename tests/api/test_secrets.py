"""Secrets: what a team may refer to, what stays sealed, and what never opens."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.errors import NotFound
from app.services.secrets import (
    Seal,
    SealError,
    SecretPolicy,
    SecretResolver,
    generate_webhook_secret,
    put_secret,
)
from app.store.database import Database
from app.store.tables import Connection, Team
from connectors.secrets import SecretReference

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
CANARY = "canary-7d1f0c"
KEY = bytes(range(32))


def env(name: str) -> SecretReference:
    return SecretReference("env", name)


def file(path: object) -> SecretReference:
    return SecretReference("file", str(path))


POLICY = "operations=JIRA_*,ERP_?,/run/secrets/ops/*;*=SHARED_*"


@pytest.mark.parametrize(
    ("team", "reference", "allowed"),
    [
        ("operations", env("JIRA_TOKEN"), True),
        ("operations", env("ERP_1"), True),
        ("operations", env("ERP_10"), False),
        ("operations", env("jira_token"), False),
        ("operations", env("SHARED_X"), True),
        ("finance", env("SHARED_X"), True),
        ("finance", env("JIRA_TOKEN"), False),
        ("operations", file("/run/secrets/ops/github"), True),
        ("finance", file("/run/secrets/ops/github"), False),
        ("operations", file("/run/secrets/ops/deep/github"), False),
        ("operations", file("/run/secrets/ops/../../../etc/passwd"), False),
        ("operations", file("/run/secrets/ops/.."), False),
        ("operations", file("//run/secrets/ops/github"), False),
        ("operations", file("run/secrets/ops/github"), False),
        ("operations", file("/run/secrets/ops/a\0b"), False),
        ("finance", SecretReference("sealed", "hook"), True),
    ],
)
def test_the_policy(team: str, reference: SecretReference, allowed: bool) -> None:
    assert SecretPolicy.parse(POLICY).allows(team, reference) is allowed


@pytest.mark.parametrize("name", ["KRSYNC_SECRET_KEY", "krsync_secret_key", "KRSYNC_"])
def test_our_own_variables_are_never_given_out(name: str) -> None:
    assert not SecretPolicy.parse("*=*,KRSYNC_*").allows("operations", env(name))


def test_nothing_is_allowed_by_default_and_a_star_allows_all() -> None:
    assert not SecretPolicy.parse("").allows("operations", env("JIRA_TOKEN"))
    assert SecretPolicy.parse("*=*").allows("operations", env("JIRA_TOKEN"))
    assert SecretPolicy.parse("*=*").allows("operations", file("/home/me/token"))


@pytest.mark.parametrize("policy", ["JIRA_*", "Operations=X", "a b=X", "operations=JIRA-*", "operations=${X}"])
def test_a_policy_that_can_not_be_read_is_refused(policy: str) -> None:
    with pytest.raises(ValueError, match="KRSYNC_SECRETS_ALLOW"):
        SecretPolicy.parse(policy)


@given(st.text(), st.text(min_size=1), st.integers(1, 2**62))
def test_what_is_sealed_opens_for_its_row_only(value: str, name: str, connection: int) -> None:
    try:
        value.encode(), name.encode()
    except UnicodeEncodeError:
        return
    seal = Seal(KEY)
    sealed = seal.seal(connection, name, value)
    assert seal.open(connection, name, seal.key_id, sealed) == value
    assert sealed != seal.seal(connection, name, value)
    for other_connection, other_name in ((connection + 1, name), (connection, name + "x")):
        with pytest.raises(SealError):
            seal.open(other_connection, other_name, seal.key_id, sealed)


@given(st.integers(0, 10_000))
def test_a_changed_byte_or_another_key_does_not_open(place: int) -> None:
    seal = Seal(KEY)
    sealed = bytearray(seal.seal(1, "hook", CANARY))
    sealed[place % len(sealed)] ^= 1
    with pytest.raises(SealError):
        seal.open(1, "hook", seal.key_id, bytes(sealed))
    other = Seal(bytes(32))
    with pytest.raises(SealError):
        other.open(1, "hook", seal.key_id, seal.seal(1, "hook", CANARY))
    with pytest.raises(SealError):
        other.open(1, "hook", other.key_id, seal.seal(1, "hook", CANARY))
    with pytest.raises(SealError):
        seal.open(1, "hook", seal.key_id, b"")


def test_no_repr_shows_a_key_or_a_variable() -> None:
    resolver = SecretResolver(SecretPolicy(), Seal(CANARY.encode().ljust(32)), {"JIRA_TOKEN": CANARY})
    assert "canary" not in repr(resolver)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def add_connection(database: Database, team_name: str, name: str) -> int:
    async with database.writing() as session:
        team = Team(name=team_name, spec={}, managed_by="file", created_at=NOW, updated_at=NOW)
        session.add(team)
        await session.flush()
        connection = Connection(
            team_id=team.id,
            name=name,
            connector="webhook",
            spec={},
            managed_by="file",
            created_at=NOW,
            updated_at=NOW,
        )
        session.add(connection)
        await session.flush()
        return connection.id


async def test_references_resolve_where_they_are_allowed(database: Database, tmp_path: Path) -> None:
    secret = tmp_path / "github"
    secret.write_text(CANARY + "\n")
    policy = SecretPolicy.parse(f"operations=JIRA_*,{tmp_path}/*")
    resolver = SecretResolver(policy, Seal(KEY), {"JIRA_TOKEN": CANARY, "PATH": "x", "JIRA_EMPTY": ""})
    assert await resolver.resolve(database, "operations", 1, env("JIRA_TOKEN")) == CANARY
    assert await resolver.resolve(database, "operations", 1, file(secret)) == CANARY
    assert await resolver.resolve(database, "finance", 1, env("JIRA_TOKEN")) is None
    assert await resolver.resolve(database, "operations", 1, env("PATH")) is None
    assert await resolver.resolve(database, "operations", 1, env("JIRA_EMPTY")) is None
    assert await resolver.resolve(database, "operations", 1, file(tmp_path / "absent")) is None


async def test_protected_files_are_not_given_out_even_through_a_link(database: Database, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "secret-key").write_text(CANARY)
    link = tmp_path / "innocent"
    link.symlink_to(data / "secret-key")
    environment = tmp_path / "environment"
    environment.symlink_to("/proc/self/environ")
    resolver = SecretResolver(SecretPolicy.parse("*=*"), Seal(KEY), {}, protected=(data,))
    for path in (data / "secret-key", link, environment, "/proc/self/environ", "/dev/zero", tmp_path):
        assert await resolver.resolve(database, "operations", 1, file(path)) is None, path


async def test_a_sealed_secret_is_kept_replaced_and_bound_to_its_connection(database: Database) -> None:
    seal = Seal(KEY)
    first = await add_connection(database, "operations", "erp")
    second = await add_connection(database, "finance", "erp")
    resolver = SecretResolver(SecretPolicy(), seal, {})
    for value, is_new in (("old", True), (CANARY, False)):
        put = put_secret(
            database, seal, team="operations", connection="erp", name="hook", value=value, actor="token:x", now=NOW
        )
        assert await put is is_new
    reference = SecretReference("sealed", "hook")
    assert await resolver.resolve(database, "operations", first, reference) == CANARY
    assert await resolver.resolve(database, "finance", second, reference) is None
    async with database.writing() as session:  # somebody with the database copies the row to a connection of theirs
        await session.execute(text("UPDATE secret SET connection_id = :other"), {"other": second})
    assert await resolver.resolve(database, "finance", second, reference) is None
    async with database.reading() as session:
        dump = repr(
            [*await session.execute(text("SELECT * FROM secret")), *await session.execute(text("SELECT * FROM audit"))]
        )
    assert CANARY not in dump


async def test_a_secret_needs_its_connection(database: Database) -> None:
    with pytest.raises(NotFound):
        await put_secret(
            database, Seal(KEY), team="a", connection="b", name="hook", value="x", actor="token:x", now=NOW
        )


def test_a_generated_webhook_secret_has_the_standards_form() -> None:
    from standardwebhooks import Webhook

    secret = generate_webhook_secret()
    assert Webhook(secret).sign("msg_1", NOW, "{}").startswith("v1,")
    assert generate_webhook_secret() != secret
