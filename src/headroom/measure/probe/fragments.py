"""Matrices of small whole numbers as tensor cores want them: encoded, then laid out in registers or shared memory.

Values from -2 to 2 are exact in every data type, and so are the sums that the kernels make of their products.
Layouts are those of the PTX ISA: fragments of ``mma.sync``, and ``wgmma``'s tiles without swizzle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int64]
Words = NDArray[np.uint32]

#: The largest magnitude of an operand.
LARGEST = 2

#: e4m3 of -2, -1, 0, 1, 2: exponent bias 7, three bits of mantissa.
_E4M3 = np.array([0xC0, 0xB8, 0x00, 0x38, 0x40], np.uint8)

#: Bytes per element. tf32 is stored as fp32.
WIDTHS = {"tf32": 4, "fp16": 2, "bf16": 2, "fp8": 1, "int8": 1}


def random_matrix(rows: int, columns: int, seed: int) -> Matrix:
    """Whole numbers from -2 to 2."""
    return np.random.default_rng(seed).integers(-LARGEST, LARGEST + 1, (rows, columns))


def encode(matrix: Matrix, kind: str) -> NDArray[Any]:
    """The bits of each value in data type ``kind``, as unsigned numbers of its width, in the matrix's shape."""
    match kind:
        case "tf32":
            return matrix.astype(np.float32).view(np.uint32)
        case "fp16":
            return matrix.astype(np.float16).view(np.uint16)
        case "bf16":
            return (matrix.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        case "fp8":
            return _E4M3[matrix + LARGEST]
        case "int8":
            return matrix.astype(np.int8).view(np.uint8)
    raise ValueError(f"no encoding for {kind}")


def a_fragments(matrix: Matrix, kind: str) -> Words:
    """A (m x k) as ``mma.sync`` takes it: registers of each of the 32 lanes, shape (32, registers).

    Register r of lane l holds row l / 4 + 8 (r mod 2) and as many neighbouring columns as fit into 32 bits, from
    column (l mod 4 + 4 (r / 2)) times that number on. With 8 rows there is no second row, hence half the registers.
    """
    bits, per = encode(matrix, kind), 4 // WIDTHS[kind]
    rows, columns = matrix.shape
    halves = rows // 8
    registers = halves * columns // (4 * per)
    return _packed(
        bits,
        [
            [(lane // 4 + 8 * (r % halves), per * (lane % 4 + 4 * (r // halves))) for r in range(registers)]
            for lane in range(32)
        ],
        per,
    )


def b_fragments(matrix: Matrix, kind: str) -> Words:
    """B (k x 8) likewise: register r of lane l holds column l / 4, and rows from (l mod 4 + 4 r) on."""
    return a_fragments(matrix.T, kind)


def _packed(bits: NDArray[Any], places: list[list[tuple[int, int]]], per: int) -> Words:
    """Words of ``per`` neighbouring values of a row, the first in the lowest bits."""
    values = [[bits[row, column : column + per] for row, column in lane] for lane in places]
    return np.ascontiguousarray(np.array(values)).view(np.uint32).reshape(len(places), -1)


def d_of_fragments(fragments: NDArray[Any]) -> NDArray[Any]:
    """The matrix D (m x 8) whose fragments each lane holds: shape (..., 32, m / 4) to (..., m, 8).

    Registers 2i and 2i + 1 of lane l hold row l / 4 + 8 i, columns 2 (l mod 4) and the next.
    """
    *batch, lanes, registers = fragments.shape
    split = fragments.reshape(*batch, lanes // 4, 4, registers // 2, 2)
    last = split.ndim
    order = (*range(last - 4), last - 2, last - 4, last - 3, last - 1)
    return split.transpose(order).reshape(*batch, registers // 2 * 8, 8)


def tile_words(matrix: Matrix, kind: str) -> Words:
    """A tile (rows x 32 bytes, K innermost) as ``wgmma`` finds it in shared memory, as 32-bit words.

    Pieces of 8 rows x 16 bytes stand in one run of 128 bytes: the two of a row block side by side, then the next rows.
    """
    bits = np.ascontiguousarray(encode(matrix, kind)).view(np.uint8)
    rows, width = bits.shape
    pieces = bits.reshape(rows // 8, 8, width // 16, 16).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(pieces).reshape(-1).view(np.uint32)
