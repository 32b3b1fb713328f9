"""Predictions for layers of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headroom.errors import UsageError
from headroom.gpu.spec import GpuSpec
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.kinds import PREDICTORS, Context
from headroom.predict.own.choice import calibration_of
from headroom.predict.prediction import Prediction
from headroom.predict.sheet_doubt import rule_error_pct, widened

#: States of the last-level cache that a prediction can be asked for.
L2_STATES = ("warm", "cold")

#: Tensor orders of a convolution.
LAYOUTS = ("nchw", "nhwc")


def predict_layers(
    layers: Sequence[Layer],
    gpu: GpuSpec,
    dtype: DataType,
    *,
    l2_state: str = "warm",
    layout: str | None = None,
    calibration: Calibration | None = None,
) -> list[Prediction]:
    """Predict each layer on ``gpu``; the answers stand in the order of ``layers``.

    A time is the device's, per launch in a back-to-back stream or CUDA graph. ``l2_state`` says whether the
    last-level cache holds what fits of a layer's operands (``"warm"``) or nothing (``"cold"``). ``layout`` is
    ``"nchw"``, ``"nhwc"`` or ``None``, the order that the library runs fastest. ``calibration`` replaces
    the one that answers for the GPU (:func:`headroom.predict.own.choice.calibration_of`).

    Raises:
        UsageError: an unknown cache state or layout, or a data type that the GPU does not multiply.
    """
    check_asked(gpu, dtype, l2_state, layout)
    context = Context(gpu, dtype, l2_state, layout, calibration or calibration_of(gpu))
    # Networks repeat themselves: equal layers are predicted once.
    keys = [(layer.configuration, layer.parts) for layer in layers]
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    groups: dict[LayerKind, list[int]] = {}
    for index in first.values():
        groups.setdefault(layers[index].kind, []).append(index)
    answers: dict[int, Prediction] = {}
    for kind, members in groups.items():
        predictions = PREDICTORS[kind]([layers[i] for i in members], context)
        predictions = [_doubted(p, gpu) for p in predictions] if gpu.derived else predictions
        answers.update(zip(members, predictions, strict=True))
    return [answers[first[key]] for key in keys]


def _doubted(prediction: Prediction, gpu: GpuSpec) -> Prediction:
    """With what a derived figure of the sheet adds to the error bar."""
    if prediction.error_pct is None or not rule_error_pct(gpu, prediction.bottleneck):
        return prediction
    return replace(prediction, error_pct=widened(prediction.error_pct, prediction.bottleneck, gpu))


def check_asked(gpu: GpuSpec, dtype: DataType, l2_state: str, layout: str | None) -> None:
    """Refuse circumstances that no prediction is made for, with a ``UsageError``."""
    if l2_state not in L2_STATES:
        raise UsageError(f"unknown cache state {l2_state!r}: choose warm or cold")
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f"unknown layout {layout!r}: choose nchw or nhwc")
    if not gpu.supports(dtype):
        known = ", ".join(sorted({*gpu.plain_tflops, *gpu.tensor_tflops}))
        raise UsageError(f"{gpu.name} does not multiply {dtype}: choose one of {known}")
