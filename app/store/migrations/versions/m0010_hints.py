"""reading single entities that webhooks told of, sweeps of ids, entities out of scope, drops that wait for a person

Revision: 0010
Follows: 0009
"""

import sqlalchemy as sa
from alembic import op

from app.store import types

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_FALSE = sa.text("false")


def upgrade() -> None:
    op.create_table(
        "hint",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("plan_id", _ID, nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("told_at", types.Moment(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_hint_plan_id_plan"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hint")),
        sa.UniqueConstraint("plan_id", "entity", name=op.f("uq_hint_plan_id_entity")),
    )
    op.add_column("record", sa.Column("is_out_of_scope", sa.Boolean(), nullable=False, server_default=_FALSE))
    op.add_column("plan", sa.Column("sweep_due_at", types.Moment(), nullable=True))
    op.add_column("plan", sa.Column("read_due_at", types.Moment(), nullable=True))
    op.add_column("plan", sa.Column("held_drop", _ID, nullable=False, server_default=sa.text("0")))
    op.add_column("plan", sa.Column("is_drop_confirmed", sa.Boolean(), nullable=False, server_default=_FALSE))
    op.add_column("run", sa.Column("kind", sa.Text(), nullable=False, server_default=""))
    op.add_column("run", sa.Column("untold", _ID, nullable=True))
    op.add_column("run", sa.Column("warnings", types.ExactJson(), nullable=True))


def downgrade() -> None:
    op.drop_column("run", "warnings")
    op.drop_column("run", "untold")
    op.drop_column("run", "kind")
    op.drop_column("plan", "is_drop_confirmed")
    op.drop_column("plan", "held_drop")
    op.drop_column("plan", "read_due_at")
    op.drop_column("plan", "sweep_due_at")
    op.drop_column("record", "is_out_of_scope")
    op.drop_table("hint")
