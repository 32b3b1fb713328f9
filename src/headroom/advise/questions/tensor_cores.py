"""Are tensor cores used, and what would they give? (Benanza, question 6.)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.findings.common import CERTAIN_PCT, SMALLEST_SHARE, counted
from headroom.advise.kernel_names import Unit
from headroom.advise.products import Product, is_depthwise, products
from headroom.advise.questions.answer import Answer, Table
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import Change
from headroom.advise.type_gains import TypeGain, type_gains
from headroom.advise.widths import ALIGNED, Misaligned, misaligned
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Source

QUESTION = "Are tensor cores used, and what would they give?"

#: Layers that the table of the others shows.
_MOST_ROWS = 25

_CODE = {
    DataType.TF32: 'torch.set_float32_matmul_precision("high")\ntorch.backends.cudnn.allow_tf32 = True',
    DataType.BF16: "model = model.to(torch.bfloat16)\nx = x.to(torch.bfloat16)  # inputs that are no whole numbers",
    DataType.FP16: "model = model.half()\nx = x.half()  # inputs that are no whole numbers",
    DataType.FP8: "from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, quantize_\n"
    "quantize_(model, Float8DynamicActivationFloat8WeightConfig())\n"
    'model = torch.compile(model, mode="max-autotune")',
}

_CHANNELS_LAST = "\nmodel = model.to(memory_format=torch.channels_last)\nx = x.to(memory_format=torch.channels_last)"

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


def tensor_cores(case: Case) -> Answer:
    """Which unit every product runs on, what other data types would take, and the widths that stand in the way."""
    found = products(case)
    odd = misaligned(case)
    gains = tuple(type_gains(case))
    tables = [_unit_table(found)] if found else []
    if elsewhere := [product for product in found if product.unit not in (None, Unit.TENSOR_CORES)]:
        tables.append(_elsewhere_table(case, elsewhere))
    tables.append(_type_table(case))
    if odd:
        tables.append(_width_table(case, odd))
    findings = (*(_type_finding(case, gain) for gain in gains), *_width_findings(case, odd))
    return Answer(6, QUESTION, _sentence(case, found, gains), findings, tuple(tables), needs=_needs(case, found))


def _sentence(case: Case, found: Sequence[Product], gains: Sequence[TypeGain]) -> str:
    total_us = sum(product.total_us for product in found)
    if not total_us:
        return "This model multiplies no matrices, so that tensor cores could not help."
    if not case.timed.gpu.tensor_tflops:
        return f"{case.timed.gpu.name} has no tensor cores."
    told = [product for product in found if product.unit is not None]
    sentences = []
    if told:
        on = [product for product in told if product.unit is Unit.TENSOR_CORES]
        whose = "Your run's" if any(product.is_run for product in told) else "The fastest"
        share = figures.percent(sum(product.total_us for product in on) / sum(product.total_us for product in told))
        sentences.append(
            f"{whose} kernels in {case.timed.dtype} use tensor cores in {sum(p.configuration.count for p in on)} of "
            f"{counted(sum(p.configuration.count for p in told), 'product')}, {share} of their time."
        )
        if on and any(product.is_run for product in on) and case.timed.dtype not in case.timed.gpu.tensor_tflops:
            sentences.append(
                f"Tensor cores have no {case.timed.dtype}: those ran in a narrower type, tf32 as a rule, with which "
                "`--dtype tf32` compares them."
            )
        lone_us = sum(product.total_us for product in told if product not in on and is_depthwise(product.layer))
        if lone_us:
            sentences.append(
                f"Depthwise convolutions ({figures.time(lone_us)}) hold no matrix product: tensor cores have nothing "
                "to multiply there."
            )
    for gain in gains:
        saves = figures.time_with_error(gain.saves_us, gain.error_pct)
        what = "its matrix products" if gain.dtype is DataType.FP8 else "the model"
        sentences.append(f"In {gain.dtype} {what} would save {saves} ({gain.source}).")
    if not told:
        types = ", ".join(dtype for dtype in DataType if dtype in case.timed.gpu.tensor_tflops)
        sentences.insert(0, f"No kernel of this model is known; {case.timed.gpu.name} has tensor cores for {types}.")
    return " ".join(sentences)


def _unit_table(found: Sequence[Product]) -> Table:
    total_us = sum(product.total_us for product in found)
    rows = []
    for unit in (Unit.TENSOR_CORES, Unit.CUDA_CORES, Unit.UNTOLD, None):
        there = [product for product in found if product.unit is unit]
        if there:
            time_us = sum(product.total_us for product in there)
            name = "not known" if unit is None else "the name does not tell" if unit is Unit.UNTOLD else str(unit)
            rows.append((name, sum(p.configuration.count for p in there), time_us, 100 * time_us / total_us))
    return Table("Where products run", ("unit", "layers", "time us", "share of products pct"), tuple(rows))


def _elsewhere_table(case: Case, elsewhere: Sequence[Product]) -> Table:
    longest = sorted(elsewhere, key=lambda product: -product.total_us)
    return Table(
        title="Products off tensor cores",
        heads=("layer", "module", "count", "time us", "runs on", "kernel", "why"),
        rows=tuple(
            (
                product.layer.name,
                product.layer.module or None,
                product.configuration.count,
                product.total_us,
                str(product.unit),
                f"`{product.kernel[:80]}`",
                _why(case, product),
            )
            for product in longest[:_MOST_ROWS]
        ),
        note=f"{len(longest) - _MOST_ROWS} more." if len(longest) > _MOST_ROWS else "",
    )


def _why(case: Case, product: Product) -> str | None:
    dtype, layer = case.timed.dtype, product.layer
    if is_depthwise(layer):
        return "one channel per group: nothing to multiply matrices of"
    if dtype not in case.timed.gpu.tensor_tflops:
        return f"tensor cores have no {dtype}"
    if layer.kind is LayerKind.MATVEC:
        return "one row: reading the weights takes longer than multiplying"
    return None if product.is_run else "the fastest of all that were measured"


def _type_table(case: Case) -> Table:
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


def _width_table(case: Case, odd: Sequence[Misaligned]) -> Table:
    multiple = ALIGNED[case.timed.dtype]
    return Table(
        title=f"Widths that are no multiple of {multiple}, which 16 bytes hold in {case.timed.dtype}",
        heads=(
            "widths", "nearest", "layers", "first", "run on", "loads elements", "time us", "padded us", "narrowed us",
            "error us",
        ),
        rows=tuple(
            (
                ", ".join(map(str, group.widths)),
                ", ".join(f"{below or '–'} or {above}" for below, above in group.widths.values()),
                len(group.layers),
                group.products[0].layer.name,
                ", ".join(dict.fromkeys(str(each.unit) for each in group.products if each.unit is not None)) or None,
                _loads(group),
                group.total_us,
                group.padded_us,
                group.narrowed_us,
                None if group.padded_us is None else group.error_us,
            )
            for group in odd
        ),
        note="Padded and narrowed: at the multiples above and below, by theory as far off as it is for this model's "
        "aligned layers of the kind. Padding with zeros leaves the function as it is; narrowing needs retraining.",
    )  # fmt: skip


def _loads(group: Misaligned) -> int | None:
    """Fewest elements that one of the kernels loads at once."""
    return min((each for product in group.products if (each := product.alignment) is not None), default=None)


def _type_finding(case: Case, gain: TypeGain) -> Finding:
    timed, total_us = case.timed, case.comes_off_us
    what = "Its matrix products" if gain.dtype is DataType.FP8 else "The model"
    return Finding(
        kind="data_type",
        title=f"{what} in {gain.dtype} instead of {timed.dtype}",
        saves_us=gain.saves_us,
        error_pct=gain.error_pct,
        speedup=total_us / (total_us - gain.saves_us) if gain.saves_us < total_us else 1.0,
        layers=timed.names(gain.layers),
        modules=timed.modules(gain.layers),
        action=f"Run {what[0].lower()}{what[1:]} in {gain.dtype}, on tensor cores at up to "
        f"{case.timed.gpu.peak_tflops(gain.dtype):,.0f} TFLOP/s instead of {timed.gpu.peak_tflops(timed.dtype):,.0f}.",
        source=gain.source,
        limits=_LIMITS[gain.dtype],
        code=_code(case, gain.dtype),
    )


def _code(case: Case, dtype: DataType) -> str:
    convolves = any(layer.kind is LayerKind.CONVOLUTION for layer in case.timed.graph.layers)
    return _CODE[dtype] + (_CHANNELS_LAST if convolves and dtype in (DataType.BF16, DataType.FP16) else "")


def _width_findings(case: Case, odd: Sequence[Misaligned]) -> Iterator[Finding]:
    """Padding that is predicted to pay, as far as that can be told from the layers beside."""
    timed, total_us = case.timed, case.comes_off_us
    for group in odd:
        saves_us, error_pct = _padding_saves(case, group)
        if saves_us <= SMALLEST_SHARE * total_us or error_pct >= CERTAIN_PCT:
            continue
        widths, above = ", ".join(map(str, group.widths)), ", ".join(str(above) for _, above in group.widths.values())
        by = "a width" if len(group.widths) == 1 else "widths"
        yield Finding(
            kind="alignment",
            title=f"{counted(len(group.layers), 'product')} kept off wide loads by {by} of {widths}",
            saves_us=saves_us,
            error_pct=error_pct,
            speedup=total_us / (total_us - saves_us) if saves_us < total_us else 1.0,
            layers=timed.names(group.layers),
            modules=timed.modules(group.layers),
            action=f"Pad {widths} to {above} with zeros, which leave the function as it is.{_as_it_is(case, group)}",
            source=Source.PREDICTED,
            limits="Layers that share a width (residual sums, shuffles, concatenations) have to change together, and "
            "what lies between them moves more bytes; the model's own input has to be padded by whoever makes it.",
        )


def _as_it_is(case: Case, group: Misaligned) -> str:
    """What the library makes of odd widths today, where kernels tell."""
    loads = _loads(group)
    if any(product.is_padded for product in group.products):
        return " cuDNN does so itself before each run, in kernels of their own."
    if loads is not None and loads < ALIGNED[case.timed.dtype]:
        return f" Kernels now load as few as {counted(loads, 'value')} at once."
    return ""


def _padding_saves(case: Case, group: Misaligned) -> tuple[float, float]:
    """What padding saves in us and its error bar in percent: off the run where there is one, off the bound else."""
    if group.gain_us is None or group.padded_us is None or group.gain_us <= 0:
        return 0.0, CERTAIN_PCT
    run = Recorded.of(case)
    if run is None:
        return group.gain_us, group.error_pct
    factor = group.padded_us / group.total_us
    launches = (launch for launch, layers in run.layers_of.items() if set(layers) & set(group.layers))
    saves_us, error_pct = run.timelines.saves(
        Change(gpu_us={launch: factor * run.step.launches[launch].duration_us for launch in launches})
    )
    return saves_us, max(error_pct, group.error_pct)


def _needs(case: Case, found: Sequence[Product]) -> str:
    if all(product.unit is not None for product in found):
        return ""
    return (
        "Kernels are known of measured layers only: `headroom measure MODEL --batch "
        f"{case.timed.graph.batch} --dtype {case.timed.dtype}` on that GPU, or your own run by `--profile`."
    )
