"""SQL: one number by a SELECT over a window, from PostgreSQL and what speaks its protocol (Redshift, CockroachDB).

`connector` names the hooks; `models` is what teams write; `session` speaks to the database; `statement`, `dsn` and
`answers` are pure.
"""

from connectors.sql.connector import SQL
from connectors.sql.models import SqlConfig, SqlQuery

__all__ = ["SQL", "SqlConfig", "SqlQuery"]
