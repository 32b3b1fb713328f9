"""Small odd layers, their result in fp64, and our kernels' on the CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cuda_on_cpu.program import bf16_bits, cpu_program, from_bf16, tf32
from headroom.change.synapses.kernels.geometry import Layer
from headroom.change.synapses.kernels.pack import Packed, pack, usable_vectors
from headroom.change.synapses.kernels.variants import (
    FOLDER,
    FOLDERS,
    GEMV_OUTPUTS,
    GEMV_THREADS,
    Arithmetic,
    Gather,
    Gemv,
    gathers,
    sum_name,
)

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Case:
    """A layer with some of its columns, and its operands as each arithmetic holds them."""

    layer: Layer
    kernel: tuple[int, int]
    dilation: tuple[int, int]
    retained: Array
    inputs: Array
    weight: Array
    bias: Array | None

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.layer.channels, *self.kernel

    def packed(self, arithmetic: Arithmetic, vector: int) -> Packed:
        return pack(self.weight, self.retained, self.shape, arithmetic, vector, self.dilation)

    def held_inputs(self, arithmetic: Arithmetic) -> Array:
        """NHWC, as the kernel reads them; never to be written."""
        laid = np.ascontiguousarray(self.inputs.transpose(0, 2, 3, 1))
        held = bf16_bits(laid) if arithmetic is Arithmetic.BF16 else laid
        held.flags.writeable = False
        return held

    def expected(self, arithmetic: Arithmetic, relu: bool, *, cut: bool = True) -> tuple[Array, Array]:
        """(M, N) in fp64 from operands as the arithmetic rounds them, and the sum of magnitudes that bounds errors.

        Args:
            cut: whether inputs in tf32 lose their low bits, as in tensor cores.
        """
        inputs, weight = self.inputs, self.weight
        if arithmetic is Arithmetic.BF16:
            inputs, weight = from_bf16(bf16_bits(inputs)), from_bf16(bf16_bits(weight))
        elif arithmetic is Arithmetic.TF32:
            inputs = (inputs.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32) if cut else inputs
            weight = tf32(weight)
        columns = self.columns(inputs.astype(np.float64))
        out = columns @ weight.T.astype(np.float64)
        size = np.abs(columns) @ np.abs(weight.T)
        if self.bias is not None:
            out, size = out + self.bias, size + np.abs(self.bias)
        return (np.maximum(out, 0) if relu else out), size

    def columns(self, inputs: Array) -> Array:
        """(M, retained): the im2col matrix's retained columns, spelled out."""
        left, right, above, below = self.layer.padding
        padded = np.pad(inputs, ((0, 0), (0, 0), (above, below), (left, right)))
        (rows, columns), (down, along) = self.layer.size_out, self.layer.stride
        found = []
        for number in self.retained:
            channel, r, s = np.unravel_index(number, self.shape)
            r, s = r * self.dilation[0], s * self.dilation[1]
            part = padded[:, channel, r : r + (rows - 1) * down + 1 : down, s : s + (columns - 1) * along + 1 : along]
            found.append(part.reshape(-1))
        return np.stack(found, 1)


def case(
    layer: Layer,
    kernel: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    *,
    keep: Any = 0.5,
    bias: bool = True,
) -> Case:
    """Random operands. ``keep``: the share of columns that stay, or their numbers."""
    random = np.random.default_rng(7)
    extent = tuple((size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True))
    layer = replace(layer, extent=extent)
    count = layer.channels * kernel[0] * kernel[1]
    if isinstance(keep, float):
        keep = np.sort(random.permutation(count)[: max(1, round(keep * count))])
    retained = random.permutation(np.asarray(keep))
    inputs = random.standard_normal((layer.batch, layer.channels, *layer.size)).astype(np.float32)
    weight = random.standard_normal((layer.outputs, len(retained))).astype(np.float32)
    return Case(
        layer, kernel, dilation, retained, inputs, weight,
        random.standard_normal(layer.outputs).astype(np.float32) if bias else None,
    )  # fmt: skip


def numbers(values: tuple[int, ...]) -> tuple[np.int32, ...]:
    return tuple(np.int32(value) for value in values)


def run_gather(case: Case, variant: Gather, *, relu: bool = False, parts: int = 1, backwards: bool = False) -> Array:
    """(M, N) by the kernel, as float32."""
    arithmetic, layer = variant.arithmetic, case.layer
    packed = case.packed(arithmetic, variant.vector)
    names = (*(each.name for each in gathers(arithmetic)), sum_name(arithmetic))
    program = cpu_program(FOLDER / variant.file, names, FOLDERS)
    out = _empty(layer.pixels * layer.outputs, arithmetic)
    sums = np.full(parts * out.size, np.nan, np.float32)
    program.launch(
        variant.name, layer.grid(variant, parts), (variant.threads,),
        case.held_inputs(arithmetic), packed.table, packed.weight, case.bias, out if parts == 1 else sums,
        *numbers((packed.steps, packed.weight.shape[1], int(relu), *layer.arguments)),
        shared_bytes=variant.shared_bytes, backwards=backwards,
    )  # fmt: skip
    if parts > 1:
        count, last = np.uint64(out.size), numbers((parts, layer.outputs, int(relu)))
        grid = (-(-out.size // 256),)
        program.launch(sum_name(arithmetic), grid, (256,), sums, case.bias, out, count, *last)
    return _floats(out).reshape(layer.pixels, layer.outputs)


def run_gemv(case: Case, variant: Gemv, vector: int, *, relu: bool = False, backwards: bool = False) -> Array:
    """(rows, N) by the kernel of few rows, as float32."""
    arithmetic, layer = variant.arithmetic, case.layer
    packed = case.packed(arithmetic, vector)
    names = tuple(Gemv(arithmetic, rows).name for rows in (1, 2, 4, 8))
    program = cpu_program(FOLDER / variant.file, names, FOLDERS)
    out = _empty(layer.batch * layer.outputs, arithmetic)
    program.launch(
        variant.name, (-(-layer.outputs // GEMV_OUTPUTS),), (GEMV_THREADS,),
        case.held_inputs(arithmetic), packed.table, packed.weight, case.bias, out,
        *numbers((packed.steps, packed.weight.shape[1], int(relu), layer.batch, layer.outputs, layer.channels)),
        np.int32(vector.bit_length() - 1), backwards=backwards,
    )  # fmt: skip
    return _floats(out).reshape(layer.batch, layer.outputs)


def largest_error(found: Array, expected: tuple[Array, Array], arithmetic: Arithmetic) -> float:
    """The largest error in units of what sums of so many products in fp32, and the output's rounding, may err by."""
    exact, size = expected
    allowed = 2.0**-20 * size
    if arithmetic is Arithmetic.BF16:
        allowed = allowed + 2.0**-8 * np.abs(exact)
    return float((np.abs(found - exact) / np.maximum(allowed, 1e-30)).max())


def widest(arithmetic: Arithmetic, channels: int) -> int:
    return usable_vectors(arithmetic, channels)[-1]


def _empty(count: int, arithmetic: Arithmetic) -> Array:
    return np.full(count, 0x7FFF, np.uint16) if arithmetic is Arithmetic.BF16 else np.full(count, np.nan, np.float32)


def _floats(out: Array) -> Array:
    return from_bf16(out) if out.dtype == np.uint16 else out
