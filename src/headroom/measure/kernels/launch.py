"""Launching our kernels on this process's GPU. Only the worker imports PyTorch and CUDA, and only from here on.

PyTorch owns the memory, the streams and the context; cuda-core compiles and launches.
"""

from __future__ import annotations

from typing import Any

from headroom.errors import GpuError
from headroom.measure.kernels.compile import compile_kernel
from headroom.measure.kernels.registry import KERNELS, Capability


class Launcher:
    """Our kernels on GPU ``gpu``; each is compiled when it is first asked for.

    Raises:
        GpuError: PyTorch or cuda-core is missing or finds no GPU; later, what
            :func:`~headroom.measure.kernels.compile.compile_kernel` raises.
    """

    def __init__(self, gpu: int = 0) -> None:
        try:
            import torch
            from cuda.core import Device
        except ImportError as error:
            raise GpuError(
                f"our own kernels need more libraries ({error}); pip install 'headroom[gpu,torch]'"
            ) from error
        if not torch.cuda.is_available():
            raise GpuError("PyTorch finds no GPU to run kernels on; install a CUDA build of PyTorch")
        self.torch = torch
        self.device = torch.device("cuda", gpu)
        torch.cuda.set_device(self.device)
        torch.cuda.init()
        torch.zeros(1, device=self.device)  # makes the context that cuda-core then finds
        self.cuda = Device(gpu)
        self.cuda.set_current()
        self.properties = torch.cuda.get_device_properties(self.device)
        self._kernels: dict[str, Any] = {}
        self._streams: dict[int, Any] = {}

    @property
    def capability(self) -> Capability:
        return self.properties.major, self.properties.minor

    @property
    def sms(self) -> int:
        return int(self.properties.multi_processor_count)

    def has(self, name: str) -> bool:
        """Whether this GPU has the instructions of kernel ``name``."""
        return KERNELS[name].runs_on(self.capability)

    def prepare(self, name: str) -> Any:
        """Kernel ``name``, compiled and loaded: launching it later allocates nothing."""
        if name not in self._kernels:
            self._kernels[name] = compile_kernel(KERNELS[name], self.capability).get_kernel(name)
        return self._kernels[name]

    def launch(self, name: str, grid: int, block: int, *arguments: Any) -> None:
        """Enqueue kernel ``name`` on PyTorch's current stream.

        Args:
            grid: CTAs.
            block: threads per CTA.
            arguments: tensors, passed as their addresses, and NumPy scalars of the parameters' own types.
        """
        from cuda.core import LaunchConfig, launch

        passed = [value.data_ptr() if self.torch.is_tensor(value) else value for value in arguments]
        launch(self._stream(), LaunchConfig(grid=grid, block=block), self.prepare(name), *passed)

    def zeros(self, *shape: int, dtype: Any = None) -> Any:
        """A new tensor on this GPU, of 64-bit whole numbers unless told otherwise, all zero."""
        return self.torch.zeros(shape, dtype=dtype or self.torch.int64, device=self.device)

    def _stream(self) -> Any:
        from cuda.core import LEGACY_DEFAULT_STREAM, Stream

        handle = self.torch.cuda.current_stream(self.device).cuda_stream
        if handle == 0:
            return LEGACY_DEFAULT_STREAM
        if handle not in self._streams:
            self._streams[handle] = Stream.from_handle(handle)
        return self._streams[handle]
