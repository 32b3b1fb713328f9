"""Running the strict-fp32 product with fission on a GPU. Only code that already uses CUDA imports it."""

from __future__ import annotations

import numpy as np
import torch

from headroom.change.fission.formats import format_called
from headroom.change.fission.kernels.gemm_variants import FILE, SIMULATED, THREADS, GemmVariant, Side, Where
from headroom.change.fission.kernels.sources import FOLDERS
from headroom.change.kernels.launch import Shape, enqueue, loaded
from headroom.errors import UsageError

#: A simulated unit splits what has its format's size; what the bits mean is of no account.
_STANDS_FOR = {"deft16_unit": "deft16q", "deft8_unit": "deft8e4_paper"}


class GemmOperand:
    """One operand in device memory, as a :class:`Side` wants it.

    Args:
        rows: (rows, k) in fp32, on a GPU.

    Raises:
        UsageError: the format has scales of groups, which this product does not take.
    """

    def __init__(self, rows: torch.Tensor, side: Side) -> None:
        self.rows, self.k = rows.shape
        self.scales: torch.Tensor | None = None
        if side.form == "fp32" or side.where is Where.FUSED:
            padded = torch.zeros(self.rows, -(-self.k // 4) * 4, device=rows.device)
            padded[:, : self.k] = rows
            self.data = padded
        else:
            form = format_called(_STANDS_FOR.get(side.form, side.form))
            if form.group_of(self.k) not in (None, self.k):
                raise UsageError(f"{form.name} has scales of groups; this product takes one per row")
            packed = form.pack(rows.float().cpu().numpy())
            self.data = torch.from_numpy(packed.words.view(np.int32)).to(rows.device)
            if packed.scales is not None and side.form not in SIMULATED:
                self.scales = torch.from_numpy(packed.scales[:, 0].copy()).to(rows.device)

    @property
    def loads(self) -> int:
        """16-byte loads of a row."""
        return int(self.data.shape[1]) // 4


def run_gemm(
    variant: GemmVariant,
    left: GemmOperand,
    right: GemmOperand,
    outputs: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    relu: bool = False,
) -> None:
    """Enqueue ``outputs = left right^T + bias`` on the current stream; ``outputs`` is (m, n) in fp32."""
    device, shared_bytes = outputs.device, variant.shared_bytes
    kernel = loaded(FOLDERS, FILE, variant.entry, device.index, shared_bytes, variant.macros)
    shape = Shape((*variant.grid(left.rows, right.rows), 1), THREADS, shared_bytes)
    operands = (left.data, right.data, left.scales, right.scales, bias, outputs)
    enqueue(kernel, device, shape, *operands, left.rows, right.rows, left.k, left.loads, right.loads, int(relu))
