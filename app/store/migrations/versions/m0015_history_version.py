"""how often a metric's past was told anew

Revision: 0015
Follows: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("metric", sa.Column("history_version", _ID, nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    op.drop_column("metric", "history_version")
