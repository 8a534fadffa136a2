"""Columns as the tables declare them: every moment is a `Moment`, every measured number an `Exact`."""

from typing import Any

from sqlalchemy import Column, ForeignKey, MetaData, Text
from sqlmodel import Field, SQLModel

from app.store.types import BigId, Exact, ExactJson, Moment

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: MetaData = SQLModel.metadata


def id_column() -> Any:
    """The row's number, given by the database."""
    return Field(default=None, sa_column=Column("id", BigId, primary_key=True, autoincrement=True))


def ref_column(
    target: str, *, null: bool = False, index: bool = False, ondelete: str = "CASCADE", pk: bool = False
) -> Any:
    """A reference to another table's row, gone with it unless `ondelete` says otherwise."""
    column = Column(BigId, ForeignKey(f"{target}.id", ondelete=ondelete), nullable=null, index=index, primary_key=pk)
    return Field(default=None, sa_column=column)


def moment_column(*, null: bool = False, index: bool = False) -> Any:
    """An aware UTC moment."""
    return Field(default=None, sa_column=Column(Moment, nullable=null, index=index))


def exact_column() -> Any:
    """An exact decimal, or nothing."""
    return Field(default=None, sa_column=Column(Exact, nullable=True))


def json_column(*, null: bool = False) -> Any:
    """JSON whose numbers stay exact."""
    return Field(default=None, sa_column=Column(ExactJson, nullable=null))


def text_column(*, null: bool = False) -> Any:
    """Text of any length."""
    return Field(default=None, sa_column=Column(Text, nullable=null))
