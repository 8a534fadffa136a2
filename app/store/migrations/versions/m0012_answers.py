"""the digest of what a tool answered

Revision: 0012
Follows: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("measurement", sa.Column("digest", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("measurement", "digest")
