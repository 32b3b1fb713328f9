"""Records as the values of their columns, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import RowMapping

from headroom.graph.tensor import DataType
from headroom.store.decode import DecodeError
from headroom.store.rows import Counters, Implementation, Kernel, NetworkTiming, Status, System, Timing

#: Fields of a timing that are columns of the same name.
PLAIN_TIMING = (
    "l2", "median_us", "iqr_us", "samples", "sm_clock_mhz", "memory_clock_mhz", "throttle_mask", "workspace_bytes",
    "relative_error", "tolerance", "needed_bytes", "free_bytes", "measured_at",
)  # fmt: skip

COUNTED = ("l1_bytes", "l2_bytes", "dram_bytes", "occupancy", "waves")

_SYSTEM = tuple(field.name for field in fields(System))
_NETWORK = tuple(field.name for field in fields(NetworkTiming))


_Arguments = ParamSpec("_Arguments")
_T = TypeVar("_T")


def _decodes(decode: Callable[_Arguments, _T]) -> Callable[_Arguments, _T]:
    """``decode``, whose failures are the row's fault: SQLite lets any column hold anything."""

    @wraps(decode)
    def decode_or_say(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _T:
        try:
            return decode(*arguments, **named)
        except (TypeError, ValueError, AttributeError) as error:
            raise DecodeError(str(error)) from error

    return decode_or_say


@_decodes
def to_dtype(text: str) -> DataType:
    return DataType(text)


@_decodes
def to_status(text: str) -> Status:
    return Status(text)


def system_values(system: System) -> dict[str, Any]:
    return {"id": system.id, **{name: getattr(system, name) for name in _SYSTEM}}


@_decodes
def to_system(row: RowMapping) -> System:
    return System(*(row[name] for name in _SYSTEM))


def implementation_values(implementation: Implementation) -> dict[str, Any]:
    return {name: getattr(implementation, name) for name in ("backend", "name", "layout", "math")}


def to_implementation(row: RowMapping) -> Implementation:
    return Implementation(row["backend"], row["name"], row["layout"], row["math"])


def kernel_values(kernel: Kernel) -> dict[str, Any]:
    numbers = (*kernel.block, kernel.registers, kernel.shared_bytes, *(kernel.tile or ()))
    return {"name": kernel.name, "shape": " ".join(map(str, numbers))}


@_decodes
def to_kernel(row: RowMapping) -> Kernel:
    x, y, z, registers, shared_bytes, *tile = map(int, row["shape"].split())
    grid = (row["grid_x"], row["grid_y"], row["grid_z"])
    return Kernel(row["name"], grid, (x, y, z), registers, shared_bytes, (tile[0], tile[1], tile[2]) if tile else None)


def timing_values(timing: Timing) -> dict[str, Any]:
    """The columns of ``timing`` that refer to no other table."""
    return {**{name: _finite(getattr(timing, name)) for name in PLAIN_TIMING}, "status": str(timing.status)}


def _finite(value: Any) -> Any:
    """``value``, or ``None`` for infinity and not-a-number: the databases disagree on what those are."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


@_decodes
def to_timing(row: RowMapping, kernels: tuple[Kernel, ...]) -> Timing:
    return Timing(
        implementation=to_implementation(row),
        status=to_status(row["status"]),
        reason=row["reason"],
        gpu_uuid=row["gpu_uuid"],
        kernels=kernels,
        **{name: row[name] for name in PLAIN_TIMING},
    )


@_decodes
def to_counters(row: RowMapping) -> Counters:
    return Counters(to_implementation(row), *(row[name] for name in COUNTED))


def network_values(network: NetworkTiming) -> dict[str, Any]:
    values = {name: getattr(network, name) for name in _NETWORK}
    return {**values, "dtype": str(network.dtype), "status": str(network.status)}


@_decodes
def to_network(row: RowMapping) -> NetworkTiming:
    values = {name: row[name] for name in _NETWORK}
    return NetworkTiming(**{**values, "dtype": to_dtype(row["dtype"]), "status": to_status(row["status"])})
