"""words of what was touched

Revision: 0013
Follows: 0012
"""

import sqlalchemy as sa
from alembic import op

from app.store.touch_triggers import uninstall

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # The triggers that write it are put in place after every migration (`app.store.migrate`).
    op.create_table(
        "touch",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("at", _ID, nullable=False),
        sa.Column("writer", _ID, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_touch")),
    )
    op.create_index("ix_touch_writer", "touch", ["writer"])


def downgrade() -> None:
    uninstall(op.get_bind())
    op.drop_table("touch")
