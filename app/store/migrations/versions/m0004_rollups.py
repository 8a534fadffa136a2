"""roll-ups: facts summed up by day, counted by value, and what of them is still ahead

Revision: 0004
Follows: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from app.store import types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PLACED = sa.text("at IS NOT NULL")
_SORTED = sa.text("sort_key IS NOT NULL")


def _part_of(table: str) -> list[SchemaItem]:
    return [
        sa.Column("revision_id", _ID, nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["revision_id"],
            ["metric_revision.id"],
            name=op.f(f"fk_{table}_revision_id_metric_revision"),
            ondelete="CASCADE",
        ),
    ]


def upgrade() -> None:
    op.add_column("fact", sa.Column("sort_key", sa.LargeBinary(), nullable=True))
    # Where an entity's facts are asked for, both databases would take the index of the window, and read all facts of
    # the part, as long as they have no statistics of a new revision. So that one is partial, and no choice there.
    op.drop_index("ix_fact_window", "fact")
    op.create_index(
        "ix_fact_window", "fact", ["revision_id", "part", "at"], sqlite_where=_PLACED, postgresql_where=_PLACED
    )
    op.drop_index("ix_fact_entity", "fact")
    op.create_index("ix_fact_entity", "fact", ["revision_id", "part", "entity"])
    op.create_index(
        "ix_fact_sorted",
        "fact",
        ["revision_id", "part", "sort_key", "at"],
        sqlite_where=_SORTED,
        postgresql_where=_SORTED,
    )
    op.create_table(
        "rollup",
        *_part_of("rollup"),
        sa.Column("days", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("facts", _ID, nullable=False),
        sa.Column("total", types.Exact(), nullable=False),
        sa.Column("buckets", sa.LargeBinary(), nullable=False),
        sa.Column("settled_from", types.Moment(), nullable=True),
        sa.Column("has_ahead", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("revision_id", "part", "days", "day", name=op.f("pk_rollup")),
    )
    op.create_table(
        "rollup_scale",
        *_part_of("rollup_scale"),
        sa.Column("bounds", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("revision_id", "part", name=op.f("pk_rollup_scale")),
    )
    op.create_table(
        "fact_ahead",
        sa.Column("fact_id", _ID, autoincrement=False, nullable=False),
        sa.Column("revision_id", _ID, nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("until", types.Moment(), nullable=False),
        sa.ForeignKeyConstraint(["fact_id"], ["fact.id"], name=op.f("fk_fact_ahead_fact_id_fact"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("fact_id", name=op.f("pk_fact_ahead")),
    )
    op.create_index("ix_fact_ahead_part", "fact_ahead", ["revision_id", "part"])


def downgrade() -> None:
    op.drop_table("fact_ahead")
    op.drop_table("rollup_scale")
    op.drop_table("rollup")
    op.drop_index("ix_fact_sorted", "fact")
    op.drop_index("ix_fact_entity", "fact")
    op.create_index("ix_fact_entity", "fact", ["revision_id", "entity"])
    op.drop_index("ix_fact_window", "fact")
    op.create_index("ix_fact_window", "fact", ["revision_id", "part", "at"])
    op.drop_column("fact", "sort_key")
