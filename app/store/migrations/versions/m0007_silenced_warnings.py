"""warnings that a connection or a dataset silences, apart from the connector's own options

Revision: 0007
Follows: 0006
"""

import sqlalchemy as sa
from alembic import op

from app.store import types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = ("connection", "dataset")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("silence", types.ExactJson(), server_default="{}", nullable=False))


def downgrade() -> None:
    # Not as a batch: that makes the table anew, and what points to it would go with the old one.
    for table in _TABLES:
        op.drop_column(table, "silence")
