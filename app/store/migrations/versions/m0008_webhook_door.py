"""the webhook door: bodies compressed at rest, what deliveries were called, deletions, what was refused

Revision: 0008
Follows: 0007
"""

import sqlalchemy as sa
from alembic import op

from app.store import types

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("delivery", sa.Column("encoding", sa.Text(), nullable=True))
    op.add_column("intake", sa.Column("event", sa.Text(), nullable=True))
    op.add_column("event", sa.Column("is_deletion", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.create_table(
        "refusal",
        sa.Column("connection_id", _ID, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("count", _ID, nullable=False),
        sa.Column("first_at", types.Moment(), nullable=False),
        sa.Column("last_at", types.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connection.id"],
            name=op.f("fk_refusal_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("connection_id", "code", name=op.f("pk_refusal")),
    )


def downgrade() -> None:
    op.drop_table("refusal")
    op.drop_column("event", "is_deletion")
    op.drop_column("intake", "event")
    op.drop_column("delivery", "encoding")
