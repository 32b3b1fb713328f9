"""A slim network as ONNX: selections are Gather nodes before smaller layers. Importing it loads PyTorch."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headroom.change.synapses.modules import SlimConv2d
from headroom.errors import ModelError, UsageError
from headroom.text import plain_line

#: Outputs of two runtimes that are further apart, as a share of the largest, are different: in float16, and in others.
_EQUAL_HALF, _EQUAL = 2e-2, 1e-4


def export_onnx(network: nn.Module, example: Tensor, path: Path) -> list[str]:
    """Write ``network`` to ``path``, its batch free, and run the file where ONNX Runtime is; what has to be said.

    Raises:
        UsageError: the exporter is not installed, or the place cannot be written.
        ModelError: the network cannot be exported, or the file gives other outputs.
    """
    if importlib.util.find_spec("onnx") is None:
        raise UsageError("exporting needs onnx; install it with: pip install onnx")
    network = network.eval()
    partial = path.with_name(f".{path.name}.partial")
    try:
        with warnings.catch_warnings():
            # The exporter that needs nothing but PyTorch tells of its successor with every call.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network, (example,), partial, dynamo=False, input_names=["input"], output_names=["output"],
                dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
            )  # fmt: skip
        notes = _checked(network, example, partial)
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; choose another path") from error
    except ModelError:
        raise
    # The exporter fails in as many ways as networks have operators.
    except Exception as error:
        reason = plain_line(f"{type(error).__name__}: {error}")
        raise ModelError(f"the slim network cannot be exported to ONNX: {reason}; leave out --onnx") from error
    finally:
        partial.unlink(missing_ok=True)
    columns = sum(isinstance(each, SlimConv2d) for each in network.modules())
    if columns:
        notes.append(
            f"In the ONNX file {columns} convolutions at the column grain are a Gather and a MatMul, which no runtime "
            "joins: they are right there, and slow."
        )
    return notes


def _checked(network: nn.Module, example: Tensor, path: Path) -> list[str]:
    """Run the file on the example, and on as many samples again.

    Raises:
        ModelError: it gives something else.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return ["The ONNX file was not run: pip install onnxruntime, and export again to have it checked."]
    if any(each.dtype == torch.bfloat16 for each in network.parameters()):
        return ["The ONNX file was not run: ONNX Runtime has no bf16 on the CPU."]
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for inputs in (example, torch.cat([example, example])):
        (found,) = session.run(None, {"input": inputs.numpy()})
        with torch.no_grad():
            expected = network(inputs)
        scale = float(expected.abs().max()) or 1.0
        most = (_EQUAL_HALF if expected.dtype == torch.float16 else _EQUAL) * scale
        same = found.shape == tuple(expected.shape)
        if not same or not float((torch.from_numpy(found) - expected).abs().max()) <= most:
            raise ModelError("ONNX Runtime gives other outputs than the slim network; leave out --onnx")
    return []
