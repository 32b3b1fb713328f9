"""One product as the library has it: descriptors, algorithms, and the call itself."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from headroom.graph.tensor import DataType
from headroom.measure.backends.lt.library import (
    added_type,
    bindings,
    compute_type,
    declined,
    handle,
    is_declined,
    is_tensor_core,
    scale_type,
    stored_type,
)
from headroom.measure.backends.lt.names import ATTRIBUTES, Algorithm
from headroom.measure.backends.lt.problem import Factor, Problem
from headroom.measure.bench import UnsupportedError

#: What an algorithm may take beside the operands; the library itself recommends 32 MiB on Hopper.
WORKSPACE_LIMIT_BYTES = 64 << 20


class Call:
    """The descriptors of one product, destroyed with this object; pointers of operands come with each run."""

    def __init__(self, problem: Problem, dtype: DataType, *, fast_accumulation: bool = False) -> None:
        self._problem, self._dtype, self._fast = problem, dtype, fast_accumulation
        self._alpha = np.ones(1, np.float32)
        self._beta = np.full(1, 1 if problem.residual is not None else 0, np.float32)
        library = bindings()
        self._owned: list[tuple[Any, int]] = []
        weakref.finalize(self, _destroy, self._owned).atexit = False
        self._product = self._own(library.matmul_desc_create(compute_type(dtype), scale_type()), "matmul_desc")
        self._set("TRANSA", int(problem.right.transposed))
        self._set("TRANSB", int(problem.left.transposed))
        self._set("EPILOGUE", int(library.Epilogue[problem.epilogue]))
        if dtype is DataType.FP8:
            self._set("FAST_ACCUM", int(fast_accumulation))
        if problem.has_bias:
            self._set("BIAS_DATA_TYPE", added_type(dtype))
        self._right = self._factor(problem.right)
        self._left = self._factor(problem.left)
        self._residual = self._matrix(added_type(dtype))
        self._result = self._matrix(stored_type(dtype))

    def _own(self, descriptor: int, kind: str) -> int:
        self._owned.append((getattr(bindings(), f"{kind}_destroy"), descriptor))
        return descriptor

    def _set(self, attribute: str, value: int) -> None:
        library = bindings()
        which = library.MatmulDescAttribute[attribute]
        buffer = np.array([value], library.get_matmul_desc_attribute_dtype(which))
        library.matmul_desc_set_attribute(self._product, which, buffer.ctypes.data, buffer.nbytes)

    def _factor(self, factor: Factor) -> int:
        return self._layout(stored_type(self._dtype), factor.rows, factor.columns, factor.batch_stride)

    def _matrix(self, data_type: int) -> int:
        problem = self._problem
        return self._layout(data_type, problem.n, problem.m, problem.n * problem.m)

    def _layout(self, data_type: int, rows: int, columns: int, batch_stride: int) -> int:
        library = bindings()
        layout = self._own(library.matrix_layout_create(data_type, rows, columns, rows), "matrix_layout")
        if self._problem.batch > 1:
            for name, value in (("BATCH_COUNT", self._problem.batch), ("STRIDED_BATCH_OFFSET", batch_stride)):
                which = library.MatrixLayoutAttribute[name]
                buffer = np.array([value], library.get_matrix_layout_attribute_dtype(which))
                library.matrix_layout_set_attribute(layout, which, buffer.ctypes.data, buffer.nbytes)
        return int(layout)

    def bind(self, *, bias: int, scales: int) -> None:
        """Addresses of the bias and of fp8's scale of one; 0 where there is none."""
        if bias:
            self._set("BIAS_POINTER", bias)
        if scales:
            for operand in "ABD":
                self._set(f"{operand}_SCALE_POINTER", scales)

    def proposals(self, count: int) -> Iterator[tuple[Algorithm, Any]]:
        """At most ``count`` algorithms in the order of the library's preference, with their bytes."""
        library = bindings()
        results, found = library.MatmulHeuristicResult(count), np.zeros(1, np.int32)
        preference = library.matmul_preference_create()
        try:
            which = library.MatmulPreferenceAttribute.MAX_WORKSPACE_BYTES
            limit = np.array([WORKSPACE_LIMIT_BYTES], np.uint64)
            library.matmul_preference_set_attribute(preference, which, limit.ctypes.data, limit.nbytes)
            library.matmul_algo_get_heuristic(
                handle(), self._product, self._right, self._left, self._residual, self._result,
                preference, count, results.ptr, found.ctypes.data,
            )  # fmt: skip
        except library.cuBLASLtError:
            return  # No algorithm at all is how the library declines a product.
        finally:
            library.matmul_preference_destroy(preference)
        raw = np.frombuffer(_bytes_of(results.ptr, count), dtype=library.matmul_heuristic_result_dtype)
        for result in raw[: int(found[0])]:
            if result["state"] == 0:
                data = np.array(result["algo"]["data_"], np.uint64)
                if self._dtype is not DataType.FP32 or not is_tensor_core(self._flags(data)):
                    yield self.described(data), data

    def _flags(self, data: Any) -> int:
        library = bindings()
        flags, written = np.zeros(1, np.uint64), np.zeros(1, np.uint64)
        which = library.MatmulAlgoCapAttribute.NUMERICAL_IMPL_FLAGS
        library.matmul_algo_cap_get_attribute(data.ctypes.data, which, flags.ctypes.data, 8, written.ctypes.data)
        return int(flags[0])

    def described(self, data: Any) -> Algorithm:
        """An algorithm's attributes, with its bytes where the attributes alone do not bring them back."""
        library = bindings()
        attributes = {}
        for key, name in ATTRIBUTES.items():
            which = library.MatmulAlgoConfigAttribute[name]
            buffer = np.zeros(1, library.get_matmul_algo_config_attribute_dtype(which))
            written = np.zeros(1, np.uint64)
            with suppress(library.cuBLASLtError):  # An attribute that the algorithm lacks reads as 0.
                library.matmul_algo_config_get_attribute(
                    data.ctypes.data, which, buffer.ctypes.data, buffer.nbytes, written.ctypes.data
                )
            attributes[key] = int(buffer[0])
        plain = Algorithm(attributes, fast_accumulation=self._fast)
        try:
            same = bool((self.made(plain) == data).all())
        except UnsupportedError:
            same = False
        return plain if same else Algorithm(attributes, data.tobytes(), self._fast)

    def made(self, algorithm: Algorithm) -> Any:
        """The bytes of ``algorithm``.

        Raises:
            UnsupportedError: the library has no such algorithm for these types.
        """
        if algorithm.opaque:
            return np.frombuffer(algorithm.opaque, np.uint64).copy()
        library, data = bindings(), np.zeros(8, np.uint64)
        stored, added = stored_type(self._dtype), added_type(self._dtype)
        try:
            library.matmul_algo_init(
                handle(), compute_type(self._dtype), scale_type(), stored, stored, added, stored,
                algorithm.attributes["algo"], data.ctypes.data,
            )  # fmt: skip
            for key, name in list(ATTRIBUTES.items())[1:]:
                which = library.MatmulAlgoConfigAttribute[name]
                buffer = np.array([algorithm.attributes[key]], library.get_matmul_algo_config_attribute_dtype(which))
                library.matmul_algo_config_set_attribute(data.ctypes.data, which, buffer.ctypes.data, buffer.nbytes)
        except library.cuBLASLtError as error:
            raise declined(error) from error
        return data

    def workspace_bytes(self, data: Any) -> int:
        """What the algorithm needs beside the operands.

        Raises:
            UnsupportedError: it does not run this product.
        """
        library = bindings()
        result = library.MatmulHeuristicResult(1)
        try:
            library.matmul_algo_check(
                handle(), self._product, self._right, self._left, self._residual, self._result,
                data.ctypes.data, result.ptr,
            )  # fmt: skip
        except library.cuBLASLtError as error:
            raise declined(error) from error
        return int(np.frombuffer(_bytes_of(result.ptr, 1), library.matmul_heuristic_result_dtype)[0]["workspace_size"])

    def run(self, data: Any, addresses: dict[str, int], workspace: int, workspace_bytes: int, stream: int) -> None:
        """Enqueue the product. ``addresses`` are those of ``left``, ``right``, ``result`` and any ``residual``.

        Raises:
            UnsupportedError: the library does not take these arguments.
        """
        library = bindings()
        # Nothing is read where there is no residual. The result's address would not do for it: the library takes one
        # address for both only if both have one type, and fp8 products have bf16 residuals.
        residual = addresses.get("residual", 0)
        try:
            library.matmul(
                handle(), self._product, self._alpha.ctypes.data,
                addresses["right"], self._right, addresses["left"], self._left, self._beta.ctypes.data,
                residual, self._residual, addresses["result"], self._result,
                data.ctypes.data, workspace, workspace_bytes, stream,
            )  # fmt: skip
        except library.cuBLASLtError as error:
            if is_declined(error):
                raise declined(error) from error
            raise


def _destroy(owned: list[tuple[Any, int]]) -> None:
    while owned:
        destroy, descriptor = owned.pop()
        destroy(descriptor)


def _bytes_of(pointer: int, count: int) -> bytes:
    import ctypes

    return ctypes.string_at(pointer, count * bindings().matmul_heuristic_result_dtype.itemsize)
