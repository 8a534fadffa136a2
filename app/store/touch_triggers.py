"""The triggers that leave a word of every write to what a key result's judgement is made of (`app.store.touches`)."""

import hashlib
from typing import NamedTuple

from sqlalchemy import Connection, text

#: The kind that means every key result.
ALL = "all"
#: The kind that means: who may see what is another thing.
ACCESS = "access"


class _Watched(NamedTuple):
    """A table, the kind of word it leaves, the SQL of its reference ({} is the row), and which columns count (none:
    every one)."""

    table: str
    kind: str
    reference: str
    columns: tuple[str, ...] = ()


_WATCHED = (
    _Watched("team", ALL, "0"),
    _Watched("token", ACCESS, "{}.id", ("scopes", "team_id", "revoked_at")),
    _Watched("key_result", "key_result", "{}.id"),
    _Watched("objective", "objective", "{}.id"),
    _Watched(
        "metric",
        "metric",
        "{}.id",
        ("team_id", "name", "is_inline", "unit", "spec", "version", "revision_id", "building_revision_id"),
    ),
    _Watched("metric_part", "revision", "{}.revision_id"),
    _Watched("metric_input", "revision", "{}.revision_id"),
    _Watched("guardrail_metric", "key_result", "{}.key_result_id"),
    _Watched("frozen_baseline", "key_result", "{}.key_result_id"),
    _Watched("check_in", "key_result", "{}.key_result_id"),
    _Watched("sample", "metric", "{}.metric_id"),
    _Watched("current_sample", "metric", "{}.metric_id"),
    _Watched("asserted_value", "metric", "{}.metric_id"),
    _Watched(
        "connection",
        "connection",
        "{}.id",
        (
            "team_id",
            "name",
            "paused_code",
            "paused_reason",
            "failing_code",
            "failing_reason",
            "last_success_at",
            "last_delivery_at",
        ),
    ),
    _Watched("dataset", "dataset", "{}.id"),
    _Watched(
        "plan",
        "source",
        "(CASE WHEN {}.dataset_id IS NULL THEN 'q' || COALESCE({}.query_digest, '')"
        " ELSE 'd' || CAST({}.dataset_id AS TEXT) END)",
        ("connection_id", "dataset_id", "query_digest", "cycle", "link", "failing_reason", "last_success_at"),
    ),
    _Watched("sealed_key_result", "key_result", "{}.key_result_id"),
    _Watched("restatement", "sealed", "{}.sealed_id"),
    _Watched("cycle_close", "close", "{}.id"),
)


def watched_tables() -> frozenset[str]:
    """The tables that leave words."""
    return frozenset(watched.table for watched in _WATCHED)


def install(connection: Connection) -> None:
    """See to it that every watched table has its triggers, and those of an older version are gone. Idempotent; a
    migration that makes a table anew on SQLite takes its triggers with it."""
    is_sqlite = connection.dialect.name == "sqlite"
    there = dict(_installed(connection))
    wanted = {
        name: sql for table in _WATCHED for name, sql in (_on_sqlite(table) if is_sqlite else _on_postgres(table))
    }
    for name in there.keys() - wanted.keys():
        connection.execute(text(_drop(name, there[name], is_sqlite=is_sqlite)))
    for name, statements in wanted.items():
        if name not in there:
            for statement in statements:
                connection.exec_driver_sql(statement)


def uninstall(connection: Connection) -> None:
    """Take every trigger away."""
    is_sqlite = connection.dialect.name == "sqlite"
    for name, table in _installed(connection):
        connection.execute(text(_drop(name, table, is_sqlite=is_sqlite)))


def _installed(connection: Connection) -> list[tuple[str, str]]:
    if connection.dialect.name == "sqlite":
        query = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'touch!_%' ESCAPE '!'"
    else:
        query = (
            "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE NOT tgisinternal AND tgname LIKE 'touch!_%' ESCAPE '!'"
            " AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
        )
    return [(name, table) for name, table in connection.execute(text(query))]


def _drop(name: str, table: str, *, is_sqlite: bool) -> str:
    return f"DROP TRIGGER {name}" if is_sqlite else f"DROP FUNCTION {name}() CASCADE"


def _named(watched: _Watched, event: str, body: str) -> str:
    """A name that is another one where what is done is."""
    digest = hashlib.sha256(repr((watched, body)).encode()).hexdigest()[:8]
    return f"touch_{watched.table}_{event}_{digest}"


def _on_sqlite(watched: _Watched) -> list[tuple[str, list[str]]]:
    found = []
    for event, rows in (("insert", ("NEW",)), ("update", ("OLD", "NEW")), ("delete", ("OLD",))):
        references = [watched.reference.replace("{}", row) for row in rows]
        body = ""
        for reference in references:
            # One word where the reference stays, two where it becomes another one.
            condition = f" WHERE {reference} IS NOT {references[-1]}" if reference != references[-1] else ""
            values = f"'{watched.kind}', {reference}, CAST(strftime('%s', 'now') AS INTEGER)"
            body += f"INSERT INTO touch (kind, ref, at) SELECT {values}{condition}; "
        of = f" OF {', '.join(watched.columns)}" if event == "update" and watched.columns else ""
        name = _named(watched, event, body)
        found.append((name, [f"CREATE TRIGGER {name} AFTER {event.upper()}{of} ON {watched.table} BEGIN {body}END"]))
    return found


def _on_postgres(watched: _Watched) -> list[tuple[str, list[str]]]:
    old, new = (watched.reference.replace("{}", row) for row in ("OLD", "NEW"))
    insert = "INSERT INTO touch (kind, ref, at, writer) VALUES"
    rest = "extract(epoch FROM clock_timestamp())::bigint, pg_current_xact_id()::text::bigint"
    body = (
        f"BEGIN IF TG_OP = 'DELETE' THEN {insert} ('{watched.kind}', {old}, {rest}); RETURN NULL; END IF;"
        f" IF TG_OP = 'UPDATE' THEN IF {old} IS DISTINCT FROM {new} THEN"
        f" {insert} ('{watched.kind}', {old}, {rest}); END IF; END IF;"
        f" {insert} ('{watched.kind}', {new}, {rest}); RETURN NULL; END"
    )
    name = _named(watched, "any", body)
    of = f" OF {', '.join(watched.columns)}" if watched.columns else ""
    return [
        (
            name,
            [
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
                f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE{of} OR DELETE ON {watched.table}"
                f" FOR EACH ROW EXECUTE FUNCTION {name}()",
            ],
        )
    ]
