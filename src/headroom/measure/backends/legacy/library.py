"""libcudnn by its C interface: loaded once, every status checked, every descriptor destroyed."""

from __future__ import annotations

import ctypes
import sysconfig
import weakref
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from headroom.errors import GpuError
from headroom.graph.tensor import DataType
from headroom.measure.bench import UnsupportedError

#: ``cudnnDataType_t`` of what is stored in memory (cudnn_graph.h).
STORED = {DataType.FP32: 0, DataType.TF32: 0, DataType.FP16: 2, DataType.BF16: 9}

#: ``CUDNN_DATA_FLOAT``.
FLOAT = 0

#: Statuses in these thousands say that the arguments are not taken: 2 bad parameter, 3 not supported.
_DECLINES = (2, 3)


class Descriptor:
    """One of the library's descriptors, destroyed with this object."""

    def __init__(self, library: Library, kind: str) -> None:
        self.value = ctypes.c_void_p()
        library.call(f"cudnnCreate{kind}Descriptor", ctypes.byref(self.value))
        weakref.finalize(self, library.call, f"cudnnDestroy{kind}Descriptor", self.value).atexit = False


class Library:
    """The loaded library; its handle is made when it is first needed, on the current GPU."""

    def __init__(self, path: str) -> None:
        self._functions = ctypes.CDLL(path)
        self._functions.cudnnGetErrorString.restype = ctypes.c_char_p

    def open(self) -> None:
        """Make the handle, to see that it can be made."""
        assert self.handle

    @cached_property
    def handle(self) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self.call("cudnnCreate", ctypes.byref(handle))
        return handle

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function that returns a status.

        Raises:
            UnsupportedError: it does not take the arguments.
            RuntimeError: it failed.
        """
        status = getattr(self._functions, function)(*arguments)
        if status:
            text = self._functions.cudnnGetErrorString(status).decode()
            if status // 1000 in _DECLINES:
                raise UnsupportedError(f"{function}: {text}")
            raise RuntimeError(f"{function}: {text}")

    def tensor(self, dtype: int, dims: Sequence[int], strides: Sequence[int]) -> Descriptor:
        """A descriptor of a tensor in memory."""
        descriptor = Descriptor(self, "Tensor")
        self.call("cudnnSetTensorNdDescriptor", descriptor.value, dtype, len(dims), ints(dims), ints(strides))
        return descriptor

    def on_stream(self, stream: int) -> ctypes.c_void_p:
        """The handle, set to launch on ``stream``."""
        self.call("cudnnSetStream", self.handle, ctypes.c_void_p(stream))
        return self.handle


def ints(values: Sequence[int]) -> Any:
    return (ctypes.c_int * len(values))(*values)


@cache
def library() -> Library:
    """The library that PyTorch brings along, or the system's.

    Raises:
        GpuError: there is none.
    """
    packaged = Path(sysconfig.get_path("purelib")) / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    for path in (str(packaged), "libcudnn.so.9"):
        try:
            return Library(path)
        except OSError:
            continue
    raise GpuError("libcudnn.so.9 cannot be loaded: install PyTorch's CUDA build or the package nvidia-cudnn-cu13")
