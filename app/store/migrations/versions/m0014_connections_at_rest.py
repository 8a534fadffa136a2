"""who owns a connection; until when its tool is left alone

Revision: 0014
Follows: 0013
"""

import sqlalchemy as sa
from alembic import op

from app.store import types

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("connection", sa.Column("owner", sa.Text(), nullable=True))
    op.add_column("connection", sa.Column("silent_until", types.Moment(), nullable=True))
    op.add_column("connection", sa.Column("away_until", types.Moment(), nullable=True))
    op.add_column("connection", sa.Column("away_runs", _ID, nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    op.drop_column("connection", "away_runs")
    op.drop_column("connection", "away_until")
    op.drop_column("connection", "silent_until")
    op.drop_column("connection", "owner")
