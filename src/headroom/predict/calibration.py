"""What measured tables taught the theory: constants and error bars, read from one data file.

``calibration.json`` is written by ``benchmarks/calibrate.py`` and never edited by hand. It holds the
constants that most GPUs share, the share of its peak rate that each architecture's main loop reaches, the
constants of architectures that work in another way, and how far off the predictions were on rows that no
constant was fitted on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from statistics import median
from typing import TypeVar

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.constants import (
    GENERAL_SORT,
    AttentionConstants,
    GemmConstants,
    KernelCost,
    StreamConstants,
    TransformConstants,
    family_of,
    unit_of,
)
from headroom.predict.kernel_record import kernel_set
from headroom.predict.kernel_sorts import GRADIENT_SORTS, direction_of, unseen_kind
from headroom.predict.kernel_time import KernelSet

_Set = TypeVar("_Set", GemmConstants, KernelSet)

#: How much wider than its nearest relative the bar of a layer becomes that no table covers.
UNLIKE_FACTOR = 2.0

#: The measured kind that is most like a kind without a table, or without one on some unit.
STAND_INS = {
    "convolution": "matmul",
    "transformed": "convolution",
    "fused transform": "convolution",
    "attention": "matmul",
    "recurrent": "matmul",
    "depthwise": "convolution",
    "column reduction": "elementwise",
    "reduction": "elementwise",
    "transposition": "movement",
    "movement": "elementwise",
    "embedding": "elementwise",
}

#: The data type whose kernels are measured in place of one that no table has: as wide, or nearest to it.
_MEASURED_FOR = {DataType.FP16: DataType.BF16, DataType.FP8: DataType.BF16}

#: The year in which each architecture's first GPU appeared.
_INTRODUCED = {
    "kepler": 2012, "maxwell": 2014, "pascal": 2016, "volta": 2017, "turing": 2018, "ampere": 2020, "ada": 2022,
    "hopper": 2022, "blackwell": 2024,
}  # fmt: skip

#: Architectures that run another's kernels or have its machinery (clusters, asynchronous copies into shared memory).
_LIKE = {"blackwell": "hopper", "maxwell": "pascal", "kepler": "pascal"}

#: The bar of a layer with no calibrated relative at all, in percent.
BLIND_ERROR_PCT = 100.0


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Held-out residuals of one group of rows: nine of ten lie within ``error_pct``.

    ``dtype`` and ``l2`` are empty where rows of several data types or cache states were taken together.
    """

    kind: str
    unit: str
    family: str
    regime: str
    error_pct: float
    rows: int
    dtype: str = ""
    l2: str = ""


@dataclass(frozen=True)
class Calibration:
    """The whole data file.

    ``plain`` (convolutions), ``plain_matmul``, ``tensor``, ``stream`` and ``transforms`` hold for every architecture
    that is not in ``own_gemm`` (by family, unit or data type, and library or sort of kernel: ``hopper tensor matmul``)
    or ``own_stream`` (by family). Sorts without a family there (``plain wgrad``) are those of architectures that have
    no convolutions of their own. Where a library's kernels were timed one by one, ``own_kernels`` (named as
    ``own_gemm``) and ``own_transforms`` (by family) go before either. ``own_fused`` are the factors of
    :mod:`.fused`, by family and data type and by what is fused how.
    """

    date: str
    plain: GemmConstants
    plain_matmul: GemmConstants
    tensor: GemmConstants
    stream: StreamConstants
    attention: AttentionConstants
    transforms: TransformConstants
    own_gemm: Mapping[str, GemmConstants]
    own_stream: Mapping[str, StreamConstants]
    errors: tuple[ErrorRow, ...]
    own_kernels: Mapping[str, KernelSet] = field(default_factory=dict)
    own_transforms: Mapping[str, TransformConstants] = field(default_factory=dict)
    own_fused: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def gemm(self, gpu: GpuSpec, dtype: DataType, sort: str) -> GemmConstants:
        """The tile model's constants.

        ``sort`` is ``matmul``, a convolution's direction, or what :mod:`.kernel_sorts` calls a forward one.
        """
        own = self._own(gpu, dtype, sort)
        if own is not None:
            return own[1]
        if unit_of(gpu, dtype) == "tensor":
            return self.tensor
        return self.plain_matmul if sort == "matmul" else self.plain

    def has_own(self, gpu: GpuSpec, dtype: DataType, sort: str) -> bool:
        """Whether there are constants for this very sort, not only for what it is a sort of."""
        own = self._own(gpu, dtype, sort)
        return own is not None and own[0] == sort

    def kernels(self, gpu: GpuSpec, dtype: DataType, sort: str) -> KernelSet | None:
        """The library's own kernels for ``sort`` (as in :meth:`gemm`) where they were timed one by one.

        Forward kernels do not stand in for filter gradients, whose few results each sum over all images: a library
        divides that sum among CTAs, and has other kernels for it.
        """
        if sort == "wgrad":
            return None
        own = _nearest(self.own_kernels, gpu, dtype, sort)
        if own is None or (own[0] != sort and self.has_own(gpu, dtype, sort)):
            return None
        return own[1]

    def transformed(self, gpu: GpuSpec, dtype: DataType, sort: str) -> tuple[TransformConstants, GemmConstants] | None:
        """Constants of the transformed kernels for ``sort`` and of the products inside them: on plain units, for fp32.

        Where an architecture's own were timed, nothing is known of any but its forward ones.
        """
        if unit_of(gpu, dtype) != "plain" or dtype is not DataType.FP32:
            return None
        own = self.own_transforms.get(family_with_own(gpu))
        if own is None:
            # The products inside are the convolution library's own kernels.
            return self.transforms, self.plain
        return (own, self.gemm(gpu, dtype, "forward")) if direction_of(sort) == "forward" else None

    def fused_factor(self, gpu: GpuSpec, dtype: DataType, ways: Sequence[str]) -> float:
        """How much longer a chain takes than its first layer alone, fused in the first of ``ways`` that is known."""
        known = self.own_fused.get(f"{family_with_own(gpu)} {_MEASURED_FOR.get(dtype, dtype)}", {})
        return next((known[way] for way in ways if way in known), 1.0)

    def gathering(self, gpu: GpuSpec, dtype: DataType) -> GemmConstants | None:
        """Constants of forward kernels that work out each load's address as they go; None where none are known."""
        own = self._own(gpu, dtype, "gathering")
        return own[1] if own is not None and own[0] == "gathering" else None

    def _own(self, gpu: GpuSpec, dtype: DataType, sort: str) -> tuple[str, GemmConstants] | None:
        """The set nearest to ``sort``: the architecture's own, else that of all without convolutions of their own."""
        own = _nearest(self.own_gemm, gpu, dtype, sort)
        if own is not None:
            return own
        every = self.own_gemm.get(f"{unit_of(gpu, dtype)} {sort}")
        return None if every is None else (sort, every)

    def streams(self, gpu: GpuSpec) -> StreamConstants:
        """The streaming model's constants."""
        return self.own_stream.get(family_with_own(gpu), self.stream)

    def error_pct(
        self, kind: str, unit: str, gpu: GpuSpec, regime: str, dtype: DataType | None = None, l2_state: str = ""
    ) -> float:
        """The error bar of a layer: its own group's, else that of its nearest relative, widened.

        Of several bars those of the layer's data type, cache state and regime count, as far as there are any.

        Relatives run on the same unit (where there are any) and are of the same kind or its stand-in
        (:data:`STAND_INS`); the nearest is the one whose architecture is closest in time. Gradients have no stand-in:
        where constants of forward kernels alone predict them, the bar is that of such predictions, but in the data
        types and of the lengths that some were timed in.
        """
        asked = (kind, unit, family_of(gpu), regime, dtype, l2_state)
        if asked not in self._bars:
            self._bars[asked] = self._error_pct(*asked)
        return self._bars[asked]

    @cached_property
    def _bars(self) -> dict[tuple[str, str, str, str, DataType | None, str], float]:
        """Error bars by what was asked: a network asks for the same few again and again."""
        return {}

    def _error_pct(
        self, kind: str, unit: str, family: str, regime: str, dtype: DataType | None, l2_state: str
    ) -> float:
        types = (str(dtype or ""), str(_MEASURED_FOR.get(dtype, "")) if dtype else "", "")
        like = {"dtype": types, "l2": (l2_state, ""), "regime": (regime, "any")}
        gradient = next((name for name in GRADIENT_SORTS if kind.endswith(name)), None)
        for name in (kind, GENERAL_SORT.get(kind, kind)):
            own = [r for r in self.errors if (r.kind, r.unit, r.family) == (name, unit, family)]
            if gradient is not None:  # few were timed, none of them in other data types or longer than the others
                own = [r for r in own if r.dtype in types and r.regime in (regime, "any")]
            if own:
                return _bar(own, like)
        if gradient is not None and not self._knows_gradient(kind, unit, family):
            unseen = [r for r in self.errors if r.kind == unseen_kind(gradient)]
            return _bar(unseen, like) if unseen else BLIND_ERROR_PCT
        kinds = (kind, GENERAL_SORT.get(kind, kind), STAND_INS.get(kind, kind))
        relatives = [r for r in self.errors if r.kind in kinds and r.unit == unit]
        relatives = relatives or [r for r in self.errors if r.kind in kinds]
        if not relatives:
            return BLIND_ERROR_PCT
        distance = min(_years_apart(row.family, family) for row in relatives)
        nearest = [row for row in relatives if _years_apart(row.family, family) == distance]
        same_kind = [row for row in nearest if row.kind == kind]
        return UNLIKE_FACTOR * _bar(same_kind or nearest, like)

    def _knows_gradient(self, kind: str, unit: str, family: str) -> bool:
        """Whether the constants that predict a gradient were fitted on gradients, if only another architecture's."""
        own = f"{_LIKE.get(family, family)} {unit}"
        prefix = own if f"{own} convolution" in self.own_gemm else unit
        is_fitted = f"{prefix} {GRADIENT_SORTS.get(kind, kind)}" in self.own_gemm
        return is_fitted and any((row.kind, row.unit) == (kind, unit) for row in self.errors)


def family_with_own(gpu: GpuSpec) -> str:
    """The architecture whose own constants hold for ``gpu``, if any does."""
    family = family_of(gpu)
    return _LIKE.get(family, family)


def _nearest(sets: Mapping[str, _Set], gpu: GpuSpec, dtype: DataType, sort: str) -> tuple[str, _Set] | None:
    """The architecture's own set that is nearest to ``sort``, and the sort that it is for.

    A set for the data type goes before one for its unit: its kernels are other kernels.
    """
    library = "matmul" if sort == "matmul" else "convolution"
    for kernels in (str(dtype), unit_of(gpu, dtype)):
        for name in (sort, library):
            own = sets.get(f"{family_with_own(gpu)} {kernels} {name}")
            if own is not None:
                return name, own
    return None


def _bar(rows: Sequence[ErrorRow], like: Mapping[str, Sequence[str]]) -> float:
    """The median bar of the rows most ``like`` the layer, by values in order of preference, where any row has one."""
    for name, values in like.items():
        alike = ([row for row in rows if getattr(row, name) == value] for value in values)
        rows = next(filter(None, alike), rows)
    return median(row.error_pct for row in rows)


def _years_apart(family: str, other: str) -> int:
    """Distance between two architectures in years of introduction; unknown ones are as far as any."""
    if family in _INTRODUCED and other in _INTRODUCED:
        return abs(_INTRODUCED[family] - _INTRODUCED[other])
    return max(_INTRODUCED.values()) - min(_INTRODUCED.values())


@cache
def load_calibration() -> Calibration:
    """The calibration that ships with the package."""
    text = resources.files("headroom.predict").joinpath("calibration.json").read_text(encoding="utf-8")
    return parse_calibration(json.loads(text))


def parse_calibration(data: Mapping[str, object]) -> Calibration:
    """The data file's content as records; the benchmark script calls it on what it is about to write."""
    record: dict[str, dict[str, object]] = data["constants"]  # type: ignore[assignment]
    rows: list[dict[str, object]] = data["errors"]  # type: ignore[assignment]
    own: dict[str, dict[str, object]] = record["own_gemm"]  # type: ignore[assignment]
    own_stream: dict[str, dict[str, object]] = record["own_stream"]  # type: ignore[assignment]
    return Calibration(
        date=str(data["date"]),
        plain=GemmConstants(**record["plain"]),  # type: ignore[arg-type]
        plain_matmul=GemmConstants(**record["plain_matmul"]),  # type: ignore[arg-type]
        tensor=GemmConstants(**record["tensor"]),  # type: ignore[arg-type]
        stream=_streams(record["stream"]),
        attention=AttentionConstants(**record["attention"]),  # type: ignore[arg-type]
        transforms=TransformConstants(**record["transforms"]),  # type: ignore[arg-type]
        own_gemm={name: GemmConstants(**values) for name, values in own.items()},  # type: ignore[arg-type]
        own_stream={name: _streams(values) for name, values in own_stream.items()},
        errors=tuple(ErrorRow(**row) for row in rows),  # type: ignore[arg-type]
        own_kernels={name: kernel_set(one) for name, one in record.get("own_kernels", {}).items()},  # type: ignore[arg-type]
        own_transforms={
            name: TransformConstants(**one)  # type: ignore[arg-type]
            for name, one in record.get("own_transforms", {}).items()
        },
        own_fused=record.get("own_fused", {}),  # type: ignore[arg-type]
    )


def _streams(record: Mapping[str, object]) -> StreamConstants:
    kernels: dict[str, dict[str, float]] = record["kernels"]  # type: ignore[assignment]
    costs = {sort: KernelCost(**cost) for sort, cost in kernels.items()}
    return StreamConstants(**{**record, "kernels": costs})  # type: ignore[arg-type]
