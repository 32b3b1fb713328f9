"""ONNX Runtime on the GPU, inputs and outputs bound to GPU memory so that nothing crosses the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headroom.measure.bench import UnsupportedError
from headroom.measure.networks.device import Device, Run
from headroom.measure.networks.network import Network
from headroom.measure.networks.runtimes.export import exported, input_tensors

if TYPE_CHECKING:
    import torch

_PROVIDER = "CUDAExecutionProvider"


def onnxruntime_run(network: Network, device: Device) -> Run:
    """An inference through ONNX Runtime's CUDA provider.

    Raises:
        UnsupportedError: ONNX Runtime is missing, was built without CUDA, or declines the network.
    """
    import torch

    try:
        import onnxruntime
    except ImportError as error:
        raise UnsupportedError("ONNX Runtime is not installed; install onnxruntime-gpu") from error
    providers = onnxruntime.get_available_providers()
    if _PROVIDER not in providers:
        raise UnsupportedError(
            f"this ONNX Runtime {onnxruntime.__version__} runs on {', '.join(providers)} and not on a GPU; "
            "install onnxruntime-gpu"
        )
    kind, index = device.torch.type, device.torch.index or 0
    # Unless told otherwise it rounds fp32 products to tf32.
    options = {"device_id": index, "use_tf32": int(torch.backends.cudnn.allow_tf32)}
    with exported(network) as path:
        session = onnxruntime.InferenceSession(str(path), providers=[(_PROVIDER, options)])
    if session.get_providers()[0] != _PROVIDER:
        raise UnsupportedError("ONNX Runtime could not load its CUDA libraries and would run on the CPU")
    binding = session.io_binding()
    inputs = input_tensors(network)
    for described, tensor in zip(session.get_inputs(), inputs, strict=True):
        binding.bind_input(
            described.name, kind, index, _element_type(tensor.dtype), tuple(tensor.shape), tensor.data_ptr()
        )
    for described in session.get_outputs():
        binding.bind_output(described.name, kind, index)

    def run(_kept: Any = inputs) -> None:  # the binding holds addresses, not tensors
        session.run_with_iobinding(binding)

    return run


def _element_type(dtype: torch.dtype) -> Any:
    """NumPy's type, or ONNX's number where NumPy has none."""
    import numpy as np
    import onnx
    import torch

    if dtype is torch.bfloat16:
        return onnx.TensorProto.BFLOAT16
    return np.dtype(str(dtype).removeprefix("torch.")).type
