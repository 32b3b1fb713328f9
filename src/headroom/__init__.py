"""Headroom: how fast could this network run on this GPU, what stands in the way, and what to change.

>>> import headroom as hr
>>> sorted(hr.__all__)[:3]
['Analysis', 'DataType', 'Exploration']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from headroom._version import __version__
from headroom.errors import GpuError, HeadroomError, ModelError, StoreError, UsageError

if TYPE_CHECKING:
    from headroom.api import Analysis, analyze, load_profile
    from headroom.calibrating import calibrate
    from headroom.change.fission.modules import PackedConv2d, PackedLinear
    from headroom.exploring import Exploration, explore
    from headroom.fitted import Fit
    from headroom.fitting import fit, measure_fit, width_space
    from headroom.graph.graph import Graph
    from headroom.graph.layer import Layer
    from headroom.graph.tensor import DataType, TensorSpec
    from headroom.loading import load
    from headroom.packing import Packing, pack
    from headroom.slimmed import Slimming
    from headroom.slimming import load_frontier, slim
    from headroom.staircases import Study, measure_staircase, staircase

#: Where each lazily exported name lives (PEP 562): ``import headroom`` loads neither numpy nor onnx.
_EXPORTS = {
    "Analysis": "headroom.api",
    "Exploration": "headroom.exploring",
    "Fit": "headroom.fitted",
    "analyze": "headroom.api",
    "calibrate": "headroom.calibrating",
    "explore": "headroom.exploring",
    "fit": "headroom.fitting",
    "load": "headroom.loading",
    "load_profile": "headroom.api",
    "Graph": "headroom.graph.graph",
    "Layer": "headroom.graph.layer",
    "DataType": "headroom.graph.tensor",
    "PackedConv2d": "headroom.change.fission.modules",
    "PackedLinear": "headroom.change.fission.modules",
    "TensorSpec": "headroom.graph.tensor",
    "Packing": "headroom.packing",
    "pack": "headroom.packing",
    "Slimming": "headroom.slimmed",
    "load_frontier": "headroom.slimming",
    "slim": "headroom.slimming",
    "Study": "headroom.staircases",
    "measure_fit": "headroom.fitting",
    "measure_staircase": "headroom.staircases",
    "staircase": "headroom.staircases",
    "width_space": "headroom.fitting",
}

__all__ = [
    "Analysis",
    "DataType",
    "Exploration",
    "Fit",
    "GpuError",
    "Graph",
    "HeadroomError",
    "Layer",
    "ModelError",
    "PackedConv2d",
    "PackedLinear",
    "Packing",
    "Slimming",
    "StoreError",
    "Study",
    "TensorSpec",
    "UsageError",
    "__version__",
    "analyze",
    "calibrate",
    "explore",
    "fit",
    "load",
    "load_frontier",
    "load_profile",
    "measure_fit",
    "measure_staircase",
    "pack",
    "slim",
    "staircase",
    "width_space",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'headroom' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)
