"""What the arguments mean that the library's front doors share, checked before anything takes time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headroom.errors import UsageError
from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType

if TYPE_CHECKING:
    from headroom.advise.stored import StoredMeasurements

SOURCES = ("auto", "measured", "predicted")
L2_STATES = ("warm", "cold")


def gpu_spec(gpu: object) -> GpuSpec:
    """The sheet that a caller means."""
    if isinstance(gpu, GpuSpec):
        return gpu
    if not isinstance(gpu, str | os.PathLike):
        raise UsageError(f"gpu is {gpu!r}; expected a sheet's id, the path of a sheet, or a GpuSpec")
    return load_gpu(gpu if isinstance(gpu, str) else Path(gpu))


def default_dtype(gpu: GpuSpec) -> DataType:
    """The fastest type of 16 bits or more that networks commonly run in: bf16, else fp16, else fp32."""
    for dtype in (DataType.BF16, DataType.FP16):
        if dtype in gpu.tensor_tflops:
            return dtype
    return DataType.FP32


def wanted_type(dtype: str | None, gpu: GpuSpec) -> DataType:
    """The type that was asked for, else the GPU's."""
    return default_dtype(gpu) if dtype is None else DataType(checked("dtype", dtype, tuple(DataType)))


def checked(name: str, value: str, known: tuple[str, ...]) -> str:
    """``value``, if it is one of ``known``; else a ``UsageError``."""
    if value not in known:
        raise UsageError(f"{name} is {value!r}; expected one of {', '.join(known)}")
    return value


def refuse_database(db: str | os.PathLike[str] | None, system: str | None) -> None:
    """Say that an answer from theory alone has no use for a database.

    Raises:
        UsageError: one was named.
    """
    if db is not None or system is not None:
        raise UsageError("source 'predicted' asks no database: leave out db and system, or take source 'auto'")


@contextmanager
def measured(
    graph: Graph,
    gpu: GpuSpec,
    dtype: DataType,
    l2: str,
    source: str,
    db: str | os.PathLike[str] | None,
    system: str | None,
) -> Iterator[StoredMeasurements | None]:
    """What was measured of a model, with the database open; nothing where ``source`` is ``predicted``.

    Raises:
        UsageError: nothing is to be asked, and a database was named.
        StoreError: the database cannot be read, or has no such system.
    """
    if source == "predicted":
        refuse_database(db, system)
        yield None
        return
    # Answers from theory do without SQLAlchemy.
    from headroom.advise.stored import measurements_of
    from headroom.store.default import open_for_reading

    with open_for_reading(db) as store:
        yield measurements_of(store, graph, gpu, dtype, l2, system)
