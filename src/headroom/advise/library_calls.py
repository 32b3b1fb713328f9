"""What cuDNN and cuBLAS logged that they were asked for, per inference, in the terms of a model's layers.

A log holds a few inferences and whatever came before them, and does not say how many. A product is known again by its
three sizes and its batch, whichever way round the library was called; a convolution by the dimensions of its tensors.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from headroom.graph.layer import Layer
from headroom.graph.work import Attention
from headroom.measure.profiles.library_logs import LibraryCall

#: Three sizes of a product in ascending order, then how many such products one call makes.
Sizes = tuple[int, int, int, int]
Dims = tuple[int, ...]

_PRODUCT = re.compile(r"gemm|gemv", re.IGNORECASE)
_EXECUTES = frozenset({"cudnnBackendExecute", "cudnnConvolutionForward", "cudnnConvolutionBiasActivationForward"})


def sizes_of(layer: Layer) -> tuple[Sizes, ...]:
    """The products that a layer may be called as: a batch of them, or all rows in one. Attention makes two."""
    work, gemm = layer.work, layer.gemm
    if isinstance(work, Attention):
        heads, q, keys = work.batch * work.heads, work.query_length, work.key_length
        return _sizes(q, keys, work.head_dim, heads), _sizes(q, keys, work.value_dim, heads)
    if gemm is None:
        return ()
    found = (_sizes(gemm.m, gemm.n, gemm.k, gemm.batch), _sizes(gemm.m * gemm.batch, gemm.n, gemm.k, 1))
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class LoggedCalls:
    """The calls of the logs of one run.

    ``expected`` counts the products that an inference of the model asks for, ``convolutions`` its convolutions: from
    both it is told how many inferences there were.
    """

    calls: Sequence[LibraryCall]
    expected: Mapping[Sizes, int]
    convolutions: int

    @cached_property
    def products(self) -> Mapping[Sizes, float]:
        """How often an inference asked for each product.

        cuBLAS runs most of its products by cuBLASLt, which logs them again: of two counts the larger is the true one.
        """
        both = [Counter(self._sequence(library)) for library in ("cublas", "cublaslt")]
        return {sizes: max(each[sizes] for each in both) / self.inferences for sizes in both[0] | both[1]}

    @cached_property
    def inferences(self) -> int:
        """How many the log holds: as many as most products of the model stand there more often than in the model."""
        counts = [Counter(self._sequence(library)) for library in ("cublas", "cublaslt")]
        logged = counts[0] | counts[1]
        ratios = Counter(logged[sizes] // count for sizes, count in self.expected.items() if logged[sizes] >= count)
        if ratios:
            return min((-often, ratio) for ratio, often in ratios.items())[1]
        return max(1, self._executions // self.convolutions) if self.convolutions else 1

    @property
    def executed_by_cudnn(self) -> float:
        """How often an inference asked cuDNN to execute something."""
        return self._executions / self.inferences

    @cached_property
    def _executions(self) -> int:
        return sum(call.library == "cudnn" and call.function in _EXECUTES for call in self.calls)

    @cached_property
    def dims(self) -> Mapping[Dims, int]:
        """Dimensions of cuDNN's tensors and filters, ones left out, with the place of the first call that has them."""
        found: dict[Dims, int] = {}
        for place, call in enumerate(self.calls):
            if call.library == "cudnn":
                for parameter in call.parameters:
                    if parameter.name.lower().endswith("dima") and parameter.numbers:
                        found.setdefault(without_ones(parameter.numbers), place)
        return found

    def in_order(self) -> Sequence[Sizes]:
        """The products of the last inference in the order of the library that logged most of them."""
        longest = max((self._sequence(library) for library in ("cublas", "cublaslt")), key=len)
        return longest[-(len(longest) // self.inferences) :] if longest else ()

    def _sequence(self, library: str) -> list[Sizes]:
        found = (_called(call) for call in self.calls if call.library == library)
        return [sizes for sizes in found if sizes is not None]


def without_ones(dims: Iterable[int]) -> Dims:
    """``dims`` as a convolution over fewer dimensions has them too."""
    return tuple(size for size in dims if size != 1)


def _called(call: LibraryCall) -> Sizes | None:
    """The sizes of the product that a call of cuBLAS or cuBLASLt asks for; ``None`` for one that multiplies nothing."""
    if call.library == "cublaslt":
        return _called_lt(call) if call.function.endswith("Matmul") else None
    if not _PRODUCT.search(call.function):
        return None
    m, n, k = (_number(call, name) for name in "mnk")
    if not m or not n:
        return None
    return _sizes(m, n, k or 1, _number(call, "batchCount") or 1)


def _called_lt(call: LibraryCall) -> Sizes | None:
    left = _turned(call, "Adesc", "transa")
    right = _turned(call, "Bdesc", "transb")
    if left is None or right is None or left[1] != right[0]:
        return None
    return _sizes(left[0], right[1], left[1], _number(call, "Adesc.batchCount") or 1)


def _turned(call: LibraryCall, matrix: str, operation: str) -> tuple[int, int] | None:
    """Rows and columns of a matrix as the product takes them."""
    rows, columns = _number(call, f"{matrix}.rows"), _number(call, f"{matrix}.cols")
    if not rows or not columns:
        return None
    told = (p.value for p in call.parameters if p.name.lower() == f"computedesc.{operation}")
    return (columns, rows) if next(told, "OP_N") not in ("OP_N", "N") else (rows, columns)


def _number(call: LibraryCall, name: str) -> int:
    """A parameter that is one whole number; 0 where there is none."""
    numbers = next((p.numbers for p in call.parameters if p.name == name), ())
    return numbers[0] if len(numbers) == 1 else 0


def _sizes(m: int, n: int, k: int, batch: int) -> Sizes:
    low, middle, high = sorted((m, n, k))
    return low, middle, high, batch
