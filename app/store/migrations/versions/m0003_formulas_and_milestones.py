"""formulas and milestones: what formulas and guardrails read, and which steps were ticked

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op

from app.store import types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _points_to(table: str, column: str, target: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"), ondelete=ondelete
    )


def upgrade() -> None:
    op.create_table(
        "metric_input",
        sa.Column("revision_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("metric_id", _ID, nullable=True),
        _points_to("metric_input", "revision_id", "metric_revision", "CASCADE"),
        _points_to("metric_input", "metric_id", "metric", "SET NULL"),
        sa.PrimaryKeyConstraint("revision_id", "name", name=op.f("pk_metric_input")),
    )
    op.create_index(op.f("ix_metric_input_metric_id"), "metric_input", ["metric_id"])
    op.create_table(
        "guardrail_metric",
        sa.Column("key_result_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("metric_id", _ID, nullable=False),
        _points_to("guardrail_metric", "key_result_id", "key_result", "CASCADE"),
        _points_to("guardrail_metric", "metric_id", "metric", "CASCADE"),
        sa.PrimaryKeyConstraint("key_result_id", "name", name=op.f("pk_guardrail_metric")),
    )
    op.create_index(op.f("ix_guardrail_metric_metric_id"), "guardrail_metric", ["metric_id"])
    op.create_table(
        "milestone_tick",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("metric_id", _ID, nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.Column("effective_at", types.Moment(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("recorded_at", types.Moment(), nullable=False),
        _points_to("milestone_tick", "metric_id", "metric", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_milestone_tick")),
    )
    op.create_index("ix_milestone_tick_metric", "milestone_tick", ["metric_id", "step", "effective_at"])


def downgrade() -> None:
    for table in ("milestone_tick", "guardrail_metric", "metric_input"):
        op.drop_table(table)
