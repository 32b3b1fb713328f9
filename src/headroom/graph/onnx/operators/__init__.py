"""Every operator that the ONNX reader knows, by family."""

from __future__ import annotations

from headroom.graph.onnx.operators import (
    attention,
    convolution,
    einsum,
    elementwise,
    matmul,
    movement,
    normalization,
    pooling,
    recurrent,
    reduction,
    unsupported,
)
from headroom.graph.onnx.operators.registry import Describe, Family, ShapeRule

FAMILIES: tuple[Family, ...] = (
    attention.FAMILY,
    convolution.FAMILY,
    einsum.FAMILY,
    elementwise.FAMILY,
    matmul.FAMILY,
    movement.FAMILY,
    normalization.FAMILY,
    pooling.FAMILY,
    recurrent.FAMILY,
    reduction.FAMILY,
    unsupported.FAMILY,
)

DESCRIBE: dict[str, Describe] = {}
SHAPES: dict[str, ShapeRule] = {}
SETTINGS: dict[str, tuple[int, ...]] = {}
for _family in FAMILIES:
    DESCRIBE.update(_family.describe)
    SHAPES.update(_family.shapes)
    SETTINGS.update(_family.settings)
