"""The tile of a kernel, read off its name: libraries write it there, and persistent kernels tell it nowhere else."""

from __future__ import annotations

import re
from functools import cache

Tile = tuple[int, int, int]

# A number of a tile is no part of a longer one, and not the shape of one instruction (``s256x256x16gemm``) or of a
# group of warps (``warpsize2x2x1``), which stand behind letters.
_M, _N, _K = r"(?P<m>\d+)", r"(?P<n>\d+)", r"(?P<k>\d+)"
_END = r"(?![\dx])"

#: In order of precedence.
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        # xmma kernels of cuDNN, cuBLAS and TensorRT: ``…_tilesize128x128x64_stage3_…``.
        rf"tilesize{_M}x{_N}x{_K}{_END}",
        # cuDNN's generated kernels and CUTLASS 3: ``…_knob_21_128x128x32_4_0``, ``…_bf16_128x128x64_2x1x1_…``.
        rf"_{_M}x{_N}x{_K}{_END}",
        # nvjet and CUTLASS 2, depth and stages last: ``nvjet_tst_128x256_64x4_…``, ``…_f16_256x128_32x3_tn_align8``.
        rf"_{_M}x{_N}_{_K}x\d+{_END}",
        # cuBLAS's kernels for Ampere: ``ampere_fp16_s16816gemm_fp16_128x64_ldg8_f2f_stages_64x5_tn``.
        rf"_{_M}x{_N}_ldg\w*?_stages_{_K}x\d+{_END}",
        # FlashAttention: head width, queries and keys of a block, in its mangled name and as written.
        rf"Flash_\w+?_kernel_traitsILi{_K}ELi{_M}ELi{_N}E",
        rf"Flash_\w+?_kernel_traits<(?:\(int\))?{_K}, ?(?:\(int\))?{_M}, ?(?:\(int\))?{_N}{_END}",
        # Older kernels do not tell their depth: ``ampere_sgemm_128x64_nn``, ``volta_scudnn_128x32_relu_medium_nn_v1``.
        rf"(?:gemm|scudnn|hcudnn|winograd|icudnn)\w*?_{_M}x{_N}{_END}",
    )
)


@cache
def tile_of(name: str) -> Tile | None:
    """(m, n, k) in the order of the name, k being 0 where it does not tell; ``None`` for kernels without a tile.

    cuBLAS counts columns first: the m of its names runs along the columns of a row-major result.
    """
    for pattern in _PATTERNS:
        if match := pattern.search(name):
            sizes = match.groupdict()
            return int(sizes["m"]), int(sizes["n"]), int(sizes.get("k") or 0)
    return None
