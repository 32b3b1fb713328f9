"""Runtimes beside PyTorch, where the user has them. Adding one means adding a file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from headroom.measure.networks.device import Device, Run
from headroom.measure.networks.network import Network
from headroom.measure.networks.runtimes.onnxruntime import onnxruntime_run
from headroom.measure.networks.runtimes.tensorrt import tensorrt_run

#: An inference of a network through the runtime; it raises ``UnsupportedError`` where that cannot be.
RUNTIMES: dict[str, Callable[[Network, Device], Run]] = {
    "onnxruntime": onnxruntime_run,
    "tensorrt": tensorrt_run,
}
