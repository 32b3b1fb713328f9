"""What every kind's predictor is given, and what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from headroom.gpu.spec import GpuSpec
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.constants import GemmConstants, StreamConstants, unit_of
from headroom.predict.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a prediction: one GPU, data type, cache state and layout for all layers.

    ``layout`` is ``"nchw"``, ``"nhwc"`` or ``None`` for what the library likes best.
    """

    gpu: GpuSpec
    dtype: DataType
    l2_state: str
    layout: str | None
    calibration: Calibration

    @property
    def unit(self) -> str:
        return unit_of(self.gpu, self.dtype)

    @property
    def transposes(self) -> bool:
        """Whether convolutions run between transposing kernels: tensor cores want channels innermost."""
        return self.layout == "nchw" and self.unit == "tensor"

    def gemm_constants(self, sort: str = "matmul") -> GemmConstants:
        """The tile model's constants for the unit that multiplies; ``sort`` as in :meth:`Calibration.gemm`."""
        return self.calibration.gemm(self.gpu, self.dtype, sort)

    @property
    def stream_constants(self) -> StreamConstants:
        """The streaming model's constants for the GPU's architecture."""
        return self.calibration.streams(self.gpu)


class Predictor(Protocol):
    """Predicts layers of one kind together."""

    def __call__(self, layers: Sequence[Layer], context: Context) -> list[Prediction]: ...
