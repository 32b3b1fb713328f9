"""One way to describe a chain to libraries, as plain data: tensors, and operations on them in order."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fill:
    """What a tensor holds before anything runs: ``normal`` values of deviation ``a``, ``uniform`` ones from ``a`` to
    ``b``, the ``number`` ``a``, or ``nothing``: an operation writes it."""

    kind: str
    a: float = 0.0
    b: float = 0.0


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a case: ``uid`` counts from 1; ``type`` is a data type's name; ``strides`` count elements."""

    uid: int
    type: str
    dims: Shape
    strides: Shape
    fill: Fill


@dataclass(frozen=True, slots=True)
class Operation:
    """``name`` of the tensors ``reads`` gives the tensor ``writes``; ``numbers`` are its settings by name."""

    name: str
    reads: Shape
    writes: int
    numbers: tuple[tuple[str, tuple[float, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Tensors and operations for the ``libraries`` that take them so described.

    ``layout`` and ``math`` are those of the rows; ``suffix`` ends the names of implementations, as the stopwatch has
    them in its rows.
    The last operation writes the result.
    """

    libraries: tuple[str, ...]
    layout: str
    math: str
    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A chain in one data type, with every case of it."""

    chain: Chain
    dtype: DataType
    cases: tuple[Case, ...]
