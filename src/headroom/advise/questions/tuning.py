"""The settings of PyTorch that change which implementation runs, and what each gains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.channels_last import channels_last_costs_us
from headroom.advise.choices import Choices, Setting
from headroom.advise.findings.common import counted
from headroom.advise.measurements import REPEATABILITY_PCT
from headroom.advise.picks import Pick
from headroom.advise.recorded import Recorded
from headroom.advise.settings import changed_to, layout_of
from headroom.graph.kinds import LayerKind
from headroom.predict.prediction import Source

_BENCHMARK, _NHWC, _BOTH = Setting("nchw", benchmark=True), Setting("nhwc"), Setting("nhwc", benchmark=True)

NAMES = {
    Setting(): "the default",
    _BENCHMARK: "cudnn.benchmark",
    _NHWC: "channels_last",
    _BOTH: "channels_last and cudnn.benchmark",
}

_BENCHMARK_CODE = "torch.backends.cudnn.benchmark = True\ntorch.backends.cudnn.benchmark_limit = 0"
_NHWC_CODE = "model = model.to(memory_format=torch.channels_last)\nx = x.to(memory_format=torch.channels_last)"
_NCHW_CODE = "model = model.to(memory_format=torch.contiguous_format)\nx = x.contiguous()"

_BENCHMARK_LIMITS = (
    "cuDNN times each plan once: another process may pick another plan, and the first inference of every new shape "
    "takes seconds."
)
_NHWC_LIMITS = (
    "PyTorch's own pooling, concatenation and BatchNorm are slower in channels_last, which is taken off; a layer that "
    "returns another order makes every later layer convert again."
)

#: Error of the predicted time under another setting, as a share of the time of the launches that it changes: half of
#: 24 replayed runs of 12 networks lie within 2 % of the whole, four of five within this.
SETTING_ERROR = 0.05

#: From this error bar on, in percent, a saving may be none.
_CERTAIN_PCT = 100.0

#: A combination is worth naming beside a single setting if it saves this much more.
_MORE = 1.05


def tuned(case: Case, choices: Choices, run: Recorded | None, found: Sequence[Pick]) -> Iterator[Finding]:
    """One finding per setting that gains; the two together only where they beat each alone."""
    now = "nchw" if run is None else str(layout_of(run, choices))
    candidates = [Setting(now, benchmark=True), Setting(_other(now)), Setting(_other(now), benchmark=True)]
    gains = {setting: _saves_us(choices, run, found, setting) for setting in candidates}
    single = max(gains[candidates[0]], gains[candidates[1]])
    for setting, saves_us in gains.items():
        both = setting == candidates[2]
        if saves_us <= 0 or (both and saves_us < _MORE * single):
            continue
        finding = _finding(case, choices, run, found, setting, saves_us)
        if finding.error_pct < _CERTAIN_PCT:
            yield finding


def _other(layout: str) -> str:
    return "nchw" if layout == "nhwc" else "nhwc"


def _saves_us(choices: Choices, run: Recorded | None, found: Sequence[Pick], setting: Setting) -> float:
    if run is None:
        kernels_us = sum(pick.time_us - pick.settings.get(setting, pick.time_us) for pick in found)
        return kernels_us - (channels_last_costs_us(choices.timed) if setting.layout == "nhwc" else 0.0)
    return run.latency_us - run.timelines.latency_us(changed_to(run, choices, setting))


def _finding(
    case: Case, choices: Choices, run: Recorded | None, found: Sequence[Pick], setting: Setting, saves_us: float
) -> Finding:
    faster = [pick for pick in found if pick.settings.get(setting, pick.time_us) < 0.99 * pick.time_us]
    layers = [pick.layer for pick in faster if _is_convolution(case, pick)]
    ran_us, lost_us = sum(pick.time_us for pick in found), sum(pick.loss_us for pick in found)
    after_us = sum(pick.settings.get(setting, pick.time_us) for pick in found)
    recovered = figures.percent((ran_us - after_us) / lost_us) if lost_us > 0 and after_us < ran_us else ""
    kept = f", which is {recovered} of what picking loses" if recovered else ""
    name = NAMES[setting] if setting.layout == "nhwc" or setting.benchmark else "the default layout (NCHW)"
    whole_us = _whole_us(case, run, found)
    error_us = _error_us(choices, run, ran_us + after_us, setting)
    return Finding(
        kind="algorithm_setting",
        title=f"{counted(len(layers), 'convolution')} faster with {name}",
        saves_us=saves_us,
        error_pct=100 * error_us / saves_us,
        speedup=whole_us / (whole_us - saves_us) if saves_us < whole_us else 1.0,
        layers=case.timed.names(layers),
        modules=case.timed.modules(layers),
        action=(
            f"Run the model with {name}: its convolutions and products then keep the GPU busy for "
            f"{figures.time(after_us, 5.0)} instead of {figures.time(ran_us, 5.0)}{kept}."
        ),
        source=Source.PREDICTED if run else Source.MEASURED,
        limits=_limits(run, setting),
        code=_code(run, choices, setting),
    )


def _is_convolution(case: Case, pick: Pick) -> bool:
    return case.timed.graph.layers[pick.layer].kind is LayerKind.CONVOLUTION


def _whole_us(case: Case, run: Recorded | None, found: Sequence[Pick]) -> float:
    """What the saving comes off: the run, or without one the layers as PyTorch's default runs them."""
    if run is not None:
        return run.latency_us
    return case.timed.sequential_us + sum(pick.time_us - case.timed.times_us[pick.layer] for pick in found)


def _error_us(choices: Choices, run: Recorded | None, compared_us: float, setting: Setting) -> float:
    if run is None:
        return compared_us * REPEATABILITY_PCT / 100
    change = changed_to(run, choices, setting)
    saves_us, error_pct = run.timelines.saves(change)
    return SETTING_ERROR * run.time_us({*change.launches, *change.gpu_us}) + saves_us * error_pct / 100


def _limits(run: Recorded | None, setting: Setting) -> str:
    said = [_BENCHMARK_LIMITS] if setting.benchmark else []
    said += [_NHWC_LIMITS] if setting.layout == "nhwc" else []
    if run is not None and run.timelines.is_host_bound and not run.is_graph:
        said.append("The host sets the pace of this run: most of the kernels' gain shows only in a CUDA graph.")
    return " ".join(said)


def _code(run: Recorded | None, choices: Choices, setting: Setting) -> str:
    now = "nchw" if run is None else str(layout_of(run, choices))
    lines = [_BENCHMARK_CODE] if setting.benchmark else []
    if setting.layout != now:
        lines.append(_NHWC_CODE if setting.layout == "nhwc" else _NCHW_CODE)
    return "\n".join(lines)
