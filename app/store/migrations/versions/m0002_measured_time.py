"""measured time: how much of a window a sample covers, and an index for what is still open

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op

from app.store import types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OPEN = sa.text("since IS NOT NULL AND at IS NULL AND recorded_to IS NULL")


def upgrade() -> None:
    op.add_column("sample", sa.Column("coverage", types.Exact(), nullable=True))
    op.create_index(
        "ix_fact_open", "fact", ["revision_id", "part", "valid_to"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )


def downgrade() -> None:
    op.drop_index("ix_fact_open", "fact")
    # Not as a batch: that makes the table anew, and what points to it would go with the old one.
    op.drop_column("sample", "coverage")
