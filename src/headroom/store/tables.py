"""The tables of the performance database, the same in SQLite and PostgreSQL.

What repeats is kept once: systems, chains, implementations, kernels and notes (reasons, GPU UUIDs) have a table each,
so that a row of ``timings`` is about a hundred bytes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)  # fmt: skip

METADATA = MetaData()

#: Facts about the database itself: its schema version and its id.
meta = Table("meta", METADATA, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

systems = Table(
    "systems", METADATA,
    Column("key", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    *(Column(name, Text, nullable=False) for name in ("gpu", "driver", "cuda", "cudnn", "cublas", "torch")),
)  # fmt: skip

#: ``layers`` is the chain as JSON, whose hash the digest is; title, kind and macs are there for people and queries.
chains = Table(
    "chains", METADATA,
    Column("key", Integer, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("macs", BigInteger, nullable=False),
    Column("layers", Text, nullable=False),
)  # fmt: skip

implementations = Table(
    "implementations", METADATA,
    Column("key", Integer, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("backend", "name", "layout", "math")),
    UniqueConstraint("name", "backend", "layout", "math"),
)  # fmt: skip

#: ``shape`` is block, registers, shared bytes and tile (if any), separated by spaces: what goes with the name.
kernels = Table(
    "kernels", METADATA,
    Column("key", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("shape", Text, nullable=False),
    UniqueConstraint("name", "shape"),
)  # fmt: skip

#: Texts that many rows share: why something failed, and the UUIDs of GPUs.
notes = Table(
    "notes", METADATA, Column("key", Integer, primary_key=True), Column("text", Text, nullable=False, unique=True)
)


def _key_to(table: str, *, name: str = "", nullable: bool = False) -> Column[int]:
    return Column(name or f"{table}_key", Integer, ForeignKey(f"{table}.key"), nullable=nullable)


def _visit_key() -> tuple[Column[int] | Column[str], ...]:
    """Which chain, where and in what type: the first half of every measurement's key."""
    return (
        _key_to("chains"),
        _key_to("systems"),
        Column("dtype", Text, nullable=False),
        Column("method", Integer, nullable=False),
    )


#: A finished visit to a chain: what a resumed run skips.
sweeps = Table(
    "sweeps", METADATA,
    Column("key", Integer, primary_key=True),
    *_visit_key(),
    Column("plans", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    UniqueConstraint("systems_key", "dtype", "method", "plans", "chains_key"),
)  # fmt: skip

timings = Table(
    "timings", METADATA,
    Column("key", Integer, primary_key=True),
    *_visit_key(),
    Column("l2", Text, nullable=False),
    _key_to("implementations"),
    Column("status", Text, nullable=False),
    _key_to("notes", name="reason_key"),
    Column("median_us", Double),
    Column("iqr_us", Double),
    Column("samples", Integer, nullable=False),
    Column("sm_clock_mhz", Double),
    Column("memory_clock_mhz", Double),
    Column("throttle_mask", BigInteger),
    Column("workspace_bytes", BigInteger),
    Column("relative_error", Double),
    Column("tolerance", Double),
    Column("needed_bytes", BigInteger),
    Column("free_bytes", BigInteger),
    _key_to("notes", name="gpu_uuid_key"),
    Column("measured_at", Text, nullable=False),
    UniqueConstraint("chains_key", "systems_key", "dtype", "method", "l2", "implementations_key"),
)  # fmt: skip

#: The kernels of a timed implementation, in the order in which it launches them.
launches = Table(
    "launches", METADATA,
    Column("timings_key", Integer, ForeignKey("timings.key", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    _key_to("kernels"),
    *(Column(f"grid_{axis}", Integer, nullable=False) for axis in "xyz"),
    sqlite_with_rowid=False,
)  # fmt: skip

counters = Table(
    "counters", METADATA,
    Column("key", Integer, primary_key=True),
    *_visit_key(),
    _key_to("implementations"),
    *(Column(name, Double, nullable=False) for name in ("l1_bytes", "l2_bytes", "dram_bytes", "occupancy", "waves")),
    UniqueConstraint("chains_key", "systems_key", "dtype", "method", "implementations_key"),
)  # fmt: skip

networks = Table(
    "networks", METADATA,
    Column("key", Integer, primary_key=True),
    _key_to("systems"),
    Column("graph", Text, nullable=False),
    Column("batch", Integer, nullable=False),
    Column("dtype", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("method", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("median_us", Double),
    Column("iqr_us", Double),
    Column("samples", Integer, nullable=False),
    Column("energy_mj", Double),
    Column("peak_bytes", BigInteger),
    Column("sm_clock_mhz", Double),
    Column("throttle_mask", BigInteger),
    Column("gpu_uuid", Text, nullable=False),
    Column("measured_at", Text, nullable=False),
    UniqueConstraint("systems_key", "graph", "batch", "dtype", "mode", "method"),
)  # fmt: skip
