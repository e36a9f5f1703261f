"""The tables: thin rows with a body for each noun, plain columns for leases, events and the command log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, String, Table, Text
from sqlmodel import Field, SQLModel

# Row ids are 64 bits wide everywhere; SQLite wants the very word INTEGER to make one an alias of its row id.
_RowId = BigInteger().with_variant(Integer(), "sqlite")


class MachineRow(SQLModel, table=True):
    """A machine; `body` holds all of it, the other columns are projections."""

    __tablename__ = "machines"  # pyright: ignore[reportAssignmentType]

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    address: str | None = Field(default=None, unique=True)
    bootenv: str = Field(default="", index=True)
    version: int = 1
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class MachineMacRow(SQLModel, table=True):
    """A MAC address belongs to one machine."""

    __tablename__ = "machine_macs"  # pyright: ignore[reportAssignmentType]

    mac: str = Field(primary_key=True)
    machine: str = Field(foreign_key="machines.id", ondelete="CASCADE", index=True)


class SubnetRow(SQLModel, table=True):
    """A subnet, of IPv4 or IPv6: its network tells which."""

    __tablename__ = "subnets"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True)
    cidr: str = Field(unique=True)
    version: int = 1
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class ReservationRow(SQLModel, table=True):
    """A reservation."""

    __tablename__ = "reservations"  # pyright: ignore[reportAssignmentType]

    address: str = Field(primary_key=True)
    mac: str = Field(index=True)
    version: int = 1
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class ProfileRow(SQLModel, table=True):
    """A profile."""

    __tablename__ = "profiles"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True)
    version: int = 1
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class PrefRow(SQLModel, table=True):
    """A preference that was set, or an internal one, whose name begins with a dot."""

    __tablename__ = "prefs"  # pyright: ignore[reportAssignmentType]

    name: str = Field(primary_key=True)
    value: str
    version: int = 1


machines = SQLModel.metadata.tables["machines"]
machine_macs = SQLModel.metadata.tables["machine_macs"]
subnets = SQLModel.metadata.tables["subnets"]
reservations = SQLModel.metadata.tables["reservations"]
profiles = SQLModel.metadata.tables["profiles"]
prefs = SQLModel.metadata.tables["prefs"]

leases = Table(
    "leases",
    SQLModel.metadata,
    Column("address", String, primary_key=True),
    Column("mac", String, nullable=False, index=True),
    Column("client_id", String, nullable=False),
    Column("subnet", String, nullable=False),
    Column("state", String, nullable=False),
    Column("since", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("hostname", String, nullable=False),
    Column("interface", String, nullable=False),
)

loaders = Table(
    "loaders",
    SQLModel.metadata,
    Column("subject", String, primary_key=True),
    Column("loader", String, nullable=False),
    Column("tried", String, nullable=False),
    Column("works", Integer, nullable=False),
)

leases6 = Table(
    "leases6",
    SQLModel.metadata,
    Column("address", String, primary_key=True),
    Column("mac", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("iaid", BigInteger, nullable=False),
    Column("proven", Integer, nullable=False),
    Column("subnet", String, nullable=False),
    Column("state", String, nullable=False),
    Column("since", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("hostname", String, nullable=False),
    Column("interface", String, nullable=False),
)

events = Table(
    "events",
    SQLModel.metadata,
    Column("id", _RowId, primary_key=True, autoincrement=False),
    Column("time", Float, nullable=False),
    Column("kind", String, nullable=False),
    Column("level", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("mac", String, nullable=False),
    Column("machine", String, nullable=False),
    Column("address", String, nullable=False),
    Column("interface", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("data", Text, nullable=False),
    Index("ix_events_machine_id", "machine", "id"),
    Index("ix_events_mac_id", "mac", "id"),
)

commands = Table(
    "commands",
    SQLModel.metadata,
    Column("id", _RowId, primary_key=True),
    Column("time", Float, nullable=False),
    Column("actor", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("noun", String, nullable=False),
    Column("key", String, nullable=False),
    Column("summary", Text, nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Column("undone_by", _RowId),
    Column("undoes", _RowId),
    Column("undoable", Integer, nullable=False),
    # Each entry's digest covers the one before it, so that an entry altered or taken out later shows.
    Column("digest", String, nullable=False),
    sqlite_autoincrement=True,
)
