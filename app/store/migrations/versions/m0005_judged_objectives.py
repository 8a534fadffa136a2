"""judged objectives: the organisation, check-ins, terms, closed cycles, health checks and overrides

Revision: 0005
Follows: 0004
"""

import sqlalchemy as sa
from alembic import op

from app.store import types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = (
    "organisation",
    "check_in",
    "key_result_terms",
    "cycle_close",
    "sealed_key_result",
    "restatement",
    "health_check",
)


def _points_to(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"), ondelete="CASCADE"
    )


def upgrade() -> None:
    op.add_column("team", sa.Column("inherited", types.ExactJson(), server_default="{}", nullable=False))
    op.add_column("audit", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column(
        "asserted_value", sa.Column("is_override", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("asserted_value", sa.Column("overridden_sample_id", _ID, nullable=True))
    op.add_column("asserted_value", sa.Column("expired_at", types.Moment(), nullable=True))
    op.create_table(
        "organisation",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("spec", types.ExactJson(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
    )
    op.create_table(
        "check_in",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("key_result_id", _ID, nullable=False),
        sa.Column("at", types.Moment(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("confidence", types.Exact(), nullable=True),
        sa.Column("blockers", types.ExactJson(), nullable=False),
        sa.Column("value", types.Exact(), nullable=True),
        _points_to("check_in", "key_result_id", "key_result"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_in")),
    )
    op.create_index("ix_check_in_key_result", "check_in", ["key_result_id", "at"])
    op.create_table(
        "key_result_terms",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("key_result_id", _ID, nullable=False),
        sa.Column("since", types.Moment(), nullable=False),
        sa.Column("spec", types.ExactJson(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        _points_to("key_result_terms", "key_result_id", "key_result"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_result_terms")),
    )
    op.create_index("ix_key_result_terms_key_result", "key_result_terms", ["key_result_id", "since"])
    op.create_table(
        "cycle_close",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("cycle", sa.Text(), nullable=False),
        sa.Column("closed_at", types.Moment(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("objectives", types.ExactJson(), nullable=False),
        sa.Column("reopened_at", types.Moment(), nullable=True),
        sa.Column("reopened_by", sa.Text(), nullable=True),
        sa.Column("reopened_because", sa.Text(), nullable=True),
        _points_to("cycle_close", "team_id", "team"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cycle_close")),
    )
    op.create_index("ix_cycle_close_team", "cycle_close", ["team_id", "cycle"])
    op.create_table(
        "sealed_key_result",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("close_id", _ID, nullable=False),
        sa.Column("key_result_id", _ID, nullable=False),
        sa.Column("view", types.ExactJson(), nullable=False),
        sa.Column("evidence", types.ExactJson(), nullable=False),
        sa.Column("value", types.Exact(), nullable=True),
        sa.Column("recommended", types.ExactJson(), nullable=False),
        sa.Column("grade", types.ExactJson(), nullable=True),
        sa.Column("graded_by", sa.Text(), nullable=True),
        sa.Column("grade_note", sa.Text(), nullable=True),
        _points_to("sealed_key_result", "close_id", "cycle_close"),
        _points_to("sealed_key_result", "key_result_id", "key_result"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sealed_key_result")),
    )
    op.create_index(op.f("ix_sealed_key_result_close_id"), "sealed_key_result", ["close_id"])
    op.create_index(op.f("ix_sealed_key_result_key_result"), "sealed_key_result", ["key_result_id"])
    op.create_table(
        "restatement",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("sealed_id", _ID, nullable=False),
        sa.Column("at", types.Moment(), nullable=False),
        sa.Column("value_before", types.Exact(), nullable=True),
        sa.Column("value_now", types.Exact(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        _points_to("restatement", "sealed_id", "sealed_key_result"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restatement")),
    )
    op.create_index(op.f("ix_restatement_sealed_id"), "restatement", ["sealed_id"])
    op.create_table(
        "health_check",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("cycle", sa.Text(), nullable=False),
        sa.Column("made_at", types.Moment(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("report", types.ExactJson(), nullable=False),
        _points_to("health_check", "team_id", "team"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_check")),
    )
    op.create_index("ix_health_check_team", "health_check", ["team_id", "cycle", "made_at"])


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    for column in ("expired_at", "overridden_sample_id", "is_override"):
        op.drop_column("asserted_value", column)
    op.drop_column("audit", "reason")
    op.drop_column("team", "inherited")
