"""backfill jobs, and when a sealed value was last compared with what it would be now

Revision: 0006
Follows: 0005
"""

import sqlalchemy as sa
from alembic import op

from app.store import types

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("sealed_key_result", sa.Column("checked_at", types.Moment(), nullable=True))
    op.create_index(op.f("ix_sealed_key_result_checked_at"), "sealed_key_result", ["checked_at"])
    op.create_table(
        "backfill_job",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("metrics", types.ExactJson(), nullable=False),
        sa.Column("day", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("notes", types.ExactJson(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("finished_at", types.Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["team_id"], ["team.id"], name=op.f("fk_backfill_job_team_id_team"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill_job")),
    )
    op.create_index("ix_backfill_job_team", "backfill_job", ["team_id", "id"])
    op.create_index(op.f("ix_backfill_job_state"), "backfill_job", ["state"])


def downgrade() -> None:
    op.drop_table("backfill_job")
    op.drop_index(op.f("ix_sealed_key_result_checked_at"), "sealed_key_result")
    # Not as a batch: that makes the table anew, and what points to it would go with the old one.
    op.drop_column("sealed_key_result", "checked_at")
