"""facts that are still to be rolled up, and how far a revision is built

Revision: 0009
Follows: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("fact", sa.Column("awaits_rollup", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.create_index(
        "ix_fact_awaiting",
        "fact",
        ["revision_id", "part"],
        sqlite_where=sa.text("awaits_rollup = 1"),
        postgresql_where=sa.text("awaits_rollup"),
    )
    op.add_column("metric_revision", sa.Column("built_entities", _ID, nullable=False, server_default=sa.text("0")))
    op.add_column("metric_revision", sa.Column("entities_to_build", _ID, nullable=True))


def downgrade() -> None:
    op.drop_column("metric_revision", "entities_to_build")
    op.drop_column("metric_revision", "built_entities")
    op.drop_index("ix_fact_awaiting", "fact")
    op.drop_column("fact", "awaits_rollup")
