"""Logs as NVIDIA's libraries write them, for made-up calls: the forms are those of the published extracts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_CUDNN_TENSOR = """\
I! CuDNN (v91900 46) function cudnnBackendFinalize() called:
i!     descriptor: type=CUDNN_BACKEND_TENSOR_DESCRIPTOR:
i!         type: type=cudnnDataType_t; val=CUDNN_DATA_FLOAT (0);
i!         nbDims: type=int; val={rank};
i!         dimA: type=int; val=[{dims}];
i!         uid: type=int64_t; val=119;
i! Time: 2025-11-14T23:49:41.702901 (0d+0h+1m+39s since start)

I! CuDNN (v91900 46) function cudnnBackendFinalize() called:
i!     status: type=cudnnStatus_t; val=CUDNN_STATUS_SUCCESS (0);
"""
_CUDNN_EXECUTES = """\
I! CuDNN (v91900 46) function cudnnBackendExecute() called:
i!     handle: type=cudnnHandle_t; streamId=0x0;
"""
_CUBLAS = """\
I! cuBLAS (v13.1.0) function cublasStatus_t cublasSgemm_v2(cublasHandle_t, cublasOperation_t, int, int, int) called:
i!  handle: type=cublasHandle_t; val=POINTER (IN HEX:0x0x2d3c1100)
i!  m: type=int; val={m}
i!  n: type=int; val={n}
i!  k: type=int; val={k}
i! Time: 2026-09-11T18:38:49 elapsed from start 0.016667 minutes or 1.000000 seconds
"""
_CUBLASLT = (
    "[2026-01-01 10:00:00][cublasLt][7][Trace][cublasLtTSTMatmul] A=0X1 Adesc=[type=R_16BF rows={k} cols={m} ld={k}] "
    "B=0X2 Bdesc=[type=R_16BF rows={k} cols={n} ld={k}] computeDesc=[computeType=COMPUTE_32F transa=OP_T]\n"
)


def plans(*tensors: tuple[int, ...]) -> str:
    """cuDNN is told of tensors, once."""
    return "".join(_CUDNN_TENSOR.format(rank=len(dims), dims=",".join(map(str, dims))) for dims in tensors)


def executions(number: int) -> str:
    """cuDNN executes as many plans."""
    return _CUDNN_EXECUTES * number


def gemms(*sizes: tuple[int, int, int]) -> str:
    """cuBLAS multiplies."""
    return "".join(_CUBLAS.format(m=m, n=n, k=k) for m, n, k in sizes)


def lt_gemms(*sizes: tuple[int, int, int]) -> str:
    """cuBLASLt multiplies, its first operand transposed."""
    return "".join(_CUBLASLT.format(m=m, n=n, k=k) for m, n, k in sizes)


def write(folder: Path, **logs: str | Iterable[str]) -> None:
    """A log per library (``cudnn``, ``cublas``, ``cublaslt``) in ``folder``."""
    folder.mkdir(exist_ok=True)
    for library, text in logs.items():
        (folder / f"{library}.log").write_text(text if isinstance(text, str) else "".join(text))
