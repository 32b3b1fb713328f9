"""Other data types: what they take, as a table, and what running the model in them saves, as findings."""

from __future__ import annotations

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.kernel_names import Unit
from headroom.advise.pytorch_lines import CHANNELS_LAST, MAX_AUTOTUNE
from headroom.advise.questions.answer import Table
from headroom.advise.recorded import Recorded
from headroom.advise.savings import beyond_a_graph
from headroom.advise.type_gains import TypeGain
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType

_CODE = {
    DataType.TF32: 'torch.set_float32_matmul_precision("high")\ntorch.backends.cudnn.allow_tf32 = True',
    DataType.BF16: "model = model.to(torch.bfloat16)\nx = x.to(torch.bfloat16)  # inputs that are no whole numbers",
    DataType.FP16: "model = model.half()\nx = x.half()  # inputs that are no whole numbers",
    DataType.FP8: "from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, quantize_\n"
    f"quantize_(model, Float8DynamicActivationFloat8WeightConfig())\n{MAX_AUTOTUNE}",
}

_HOST = "A run that waits for the host (question 8) gains nothing before that is gone."

_LIMITS = {
    DataType.TF32: "PyTorch lets cuDNN's convolutions use tf32 unless that was switched off; matrix products it does "
    f"not. Products keep 10 bits of each factor's fraction. {_HOST}",
    DataType.BF16: f"Check the accuracy: 7 bits of each value's fraction are kept. {_HOST} `torch.autocast` keeps some "
    "layers in fp32 and adds casts.",
    DataType.FP16: f"Check the accuracy: values beyond 65,504 overflow. {_HOST}",
    DataType.FP8: "PyTorch has fp8 for matrix products alone, not for convolutions or attention. A kernel for "
    "each cast is in this figure; check the accuracy.",
}


def type_table(case: Case) -> Table:
    """The bounds in every type that the GPU has units for."""
    rows = []
    for dtype, timed in case.dtypes.items():
        bounds, gpu = case.bounds_by_dtype[dtype], case.timed.gpu
        products_us = sum(
            (prediction.time_us or 0.0) * configuration.count
            for configuration, prediction in timed.pairs()
            if configuration.layer.kind.computes_gemm
        )
        rows.append(
            (
                str(dtype),
                str(Unit.TENSOR_CORES if dtype in gpu.tensor_tflops else Unit.CUDA_CORES),
                gpu.peak_tflops(dtype),
                products_us,
                bounds.sequential_us,
                bounds.fused_us,
                case.bounds.sequential_us / bounds.sequential_us if bounds.sequential_us else None,
                100 * timed.measured_share,
            )
        )
    return Table(
        title="Bounds by data type",
        heads=(
            "data type", "units", "peak tflops", "products us", "one by one us", "fused us", "gain x",
            "measured share pct",
        ),
        rows=tuple(rows),
        note=f"Gain: over {case.timed.dtype}, layers one by one. In fp8 every layer counts as if it had a kernel; "
        "PyTorch has them for matrix products alone.",
    )  # fmt: skip


def type_sentence(case: Case, gain: TypeGain) -> str:
    """What the type of ``gain`` would save, or why it is not sure to save anything."""
    begin = f"In {gain.dtype} {_what(gain)} would"
    if gain.is_sure(case):
        saves = figures.time_with_error(gain.saves_us, gain.error_pct)
        hidden = f" {_hidden(case)}" if gain.beyond_graph else ""
        return f"{begin} save {saves} ({gain.source}){hidden}."
    assert gain.replayed_us is not None
    now_us, then_us = gain.replayed_us
    return (
        f"{begin} not surely be faster: your run's kernels would take a predicted {figures.time(then_us)} instead of "
        f"{figures.time(now_us)}."
    )


def type_finding(case: Case, gain: TypeGain) -> Finding:
    """Running the model, or its products, in the type of ``gain``."""
    timed, total_us, what = case.timed, case.comes_off_us, _what(gain)
    graph = ", replayed as a CUDA graph" if gain.beyond_graph else ""
    hidden = f" The saving is what that gives {_hidden(case)}." if gain.beyond_graph else ""
    return Finding(
        kind="data_type_in_a_graph" if gain.beyond_graph else "data_type",
        title=f"{what[0].upper()}{what[1:]} in {gain.dtype} instead of {timed.dtype}{graph}",
        saves_us=gain.saves_us,
        error_pct=gain.error_pct,
        speedup=total_us / (total_us - gain.saves_us) if gain.saves_us < total_us else 1.0,
        layers=timed.names(gain.layers),
        modules=timed.modules(gain.layers),
        action=f"Run {what} in {gain.dtype}, on tensor cores at up to "
        f"{case.timed.gpu.peak_tflops(gain.dtype):,.0f} TFLOP/s instead of {timed.gpu.peak_tflops(timed.dtype):,.0f}."
        f"{hidden}",
        source=gain.source,
        limits=_LIMITS[gain.dtype],
        code=_code(case, gain.dtype),
    )


def _what(gain: TypeGain) -> str:
    return "its matrix products" if gain.dtype is DataType.FP8 else "the model"


def _hidden(case: Case) -> str:
    run = Recorded.of(case)
    return "" if run is None else beyond_a_graph(run)


def _code(case: Case, dtype: DataType) -> str:
    convolves = any(layer.kind is LayerKind.CONVOLUTION for layer in case.timed.graph.layers)
    return _CODE[dtype] + (f"\n{CHANNELS_LAST}" if convolves and dtype in (DataType.BF16, DataType.FP16) else "")
