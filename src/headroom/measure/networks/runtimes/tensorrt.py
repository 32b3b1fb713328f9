"""TensorRT: an engine built from the network's ONNX file, in the network's own data type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headroom.measure.bench import UnsupportedError
from headroom.measure.networks.device import Device, Run
from headroom.measure.networks.network import Network
from headroom.measure.networks.runtimes.export import exported, input_tensors


def tensorrt_run(network: Network, device: Device) -> Run:
    """An inference through a TensorRT engine (version 10 or later).

    Raises:
        UnsupportedError: TensorRT is missing, or declines the network.
    """
    try:
        import tensorrt
    except ImportError as error:
        raise UnsupportedError("TensorRT is not installed; install tensorrt") from error
    if device.torch.type != "cuda":
        raise UnsupportedError("TensorRT needs a GPU")
    with exported(network) as path:
        engine = _engine(tensorrt, path)
    return _bound(tensorrt, engine, network, device)


def _engine(tensorrt: Any, path: Path) -> Any:
    import torch

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    flags = tensorrt.NetworkDefinitionCreationFlag
    # Strongly typed: the engine keeps the data types of the file. From version 11 on there is no other kind.
    typed = 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0
    definition = builder.create_network(typed)
    parser = tensorrt.OnnxParser(definition, logger)
    if not parser.parse_from_file(str(path)):
        told = parser.get_error(0).desc() if parser.num_errors else "no reason given"
        raise UnsupportedError(f"TensorRT cannot read the network: {told}")
    config = builder.create_builder_config()
    if torch.backends.cudnn.allow_tf32:
        config.set_flag(tensorrt.BuilderFlag.TF32)
    else:
        config.clear_flag(tensorrt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise UnsupportedError("TensorRT could build no engine for the network")
    return tensorrt.Runtime(logger).deserialize_cuda_engine(plan)


def _bound(tensorrt: Any, engine: Any, network: Network, device: Device) -> Run:
    """The engine with an address for every input and output."""
    import torch

    context = engine.create_execution_context()
    inputs = iter(input_tensors(network))
    kept = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT:
            tensor = next(inputs)
        else:
            shape = tuple(engine.get_tensor_shape(name))
            element = getattr(torch, _TORCH_NAMES.get(engine.get_tensor_dtype(name).name, "float32"))
            tensor = torch.empty(shape, dtype=element, device=device.torch)
        context.set_tensor_address(name, tensor.data_ptr())
        kept.append(tensor)

    def run(_kept: Any = (engine, kept)) -> None:  # the context holds addresses, not tensors
        context.execute_async_v3(torch.cuda.current_stream().cuda_stream)

    return run


#: TensorRT's names of element types, where they are not ``FLOAT``.
_TORCH_NAMES = {"HALF": "float16", "BF16": "bfloat16", "INT32": "int32", "INT64": "int64", "BOOL": "bool"}
