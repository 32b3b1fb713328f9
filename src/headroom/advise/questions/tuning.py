"""The settings of PyTorch that change which implementation runs, and what each gains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.channels_last import channels_last_costs_us, sets_its_layout, told_costs
from headroom.advise.choices import Choices, Setting
from headroom.advise.findings.common import CERTAIN_PCT, counted
from headroom.advise.measurements import REPEATABILITY_PCT
from headroom.advise.picks import Pick
from headroom.advise.pytorch_lines import CHANNELS_LAST, CONTIGUOUS, SEARCH
from headroom.advise.recorded import Recorded
from headroom.advise.settings import changed_to, layout_of, nhwc_costs_us
from headroom.graph.kinds import LayerKind
from headroom.predict.prediction import Source

_BENCHMARK, _NHWC, _BOTH = Setting("nchw", benchmark=True), Setting("nhwc"), Setting("nhwc", benchmark=True)

NAMES = {
    Setting(): "the default",
    _BENCHMARK: "cudnn.benchmark",
    _NHWC: "channels_last",
    _BOTH: "channels_last and cudnn.benchmark",
}

_BENCHMARK_LIMITS = (
    "cuDNN times each plan once: another process may pick another plan, and the first inference of every new shape "
    "takes seconds."
)
_NHWC_LIMITS = "a layer that returns another order makes every later layer convert again."

#: Error of the predicted time under another setting, as a share of the time of the launches that it changes: half of
#: 24 replayed runs of 12 networks lie within 2 % of the whole, four of five within 5 %, so nine of ten of a bell curve
#: within this.
SETTING_ERROR = 0.065

#: A combination is worth naming beside a single setting if it saves this much more.
_MORE = 1.05

#: Error of the time by which a replayed run changes, for the digits that are printed.
_LONGER_ERROR_PCT = 20.0


def tuned(case: Case, choices: Choices, run: Recorded | None, found: Sequence[Pick]) -> Iterator[Finding]:
    """One finding per setting by which convolutions gain; the two together only where they beat each alone, by the host
    and in their kernels.

    Another layout is offered only where the caller decides on it: a model that permutes its activations before a
    convolution comes out in the order of its permutes, whatever is asked for.
    """
    now = _layout_now(choices, run)
    other = "nchw" if now == "nhwc" else "nhwc"
    search, layout, both = Setting(now, benchmark=True), Setting(other), Setting(other, benchmark=True)
    candidates = (search,) if sets_its_layout(choices.timed.graph) else (search, layout, both)
    gains = {setting: _saves_us(choices, run, found, setting) for setting in candidates}
    for setting, saves_us in gains.items():
        if saves_us <= 0 or not _is_faster(case, found, setting):
            continue
        if setting == both and (
            saves_us < _MORE * max(gains[search], gains[layout])
            or _kernels_us(found, both) > min(_kernels_us(found, each) for each in (search, layout))
        ):
            continue
        finding = _finding(case, choices, run, found, setting, saves_us)
        if finding.error_pct < CERTAIN_PCT:
            yield finding


def _kernels_us(found: Sequence[Pick], setting: Setting) -> float:
    """The kernels of all layers under ``setting``."""
    return sum(pick.settings.get(setting, pick.time_us) for pick in found)


def _layout_now(choices: Choices, run: Recorded | None) -> str:
    return "nchw" if run is None else str(layout_of(run, choices))


def _is_faster(case: Case, found: Sequence[Pick], setting: Setting) -> bool:
    """Whether convolutions gain, and all that change together by more than measuring again may change."""
    changed = [pick for pick in found if pick.settings.get(setting, pick.time_us) != pick.time_us]
    ran_us, after_us = sum(pick.time_us for pick in changed), sum(pick.settings[setting] for pick in changed)
    return ran_us - after_us > REPEATABILITY_PCT / 100 * ran_us and bool(_faster(case, found, setting))


def _faster(case: Case, found: Sequence[Pick], setting: Setting) -> list[int]:
    """The convolutions (indices) that take less time under ``setting``."""
    return [
        pick.layer
        for pick in found
        if pick.settings.get(setting, pick.time_us) < 0.99 * pick.time_us and _is_convolution(case, pick)
    ]


def _saves_us(choices: Choices, run: Recorded | None, found: Sequence[Pick], setting: Setting) -> float:
    if run is None:
        kernels_us = sum(pick.time_us - pick.settings.get(setting, pick.time_us) for pick in found)
        return kernels_us - (channels_last_costs_us(choices.timed)[0] if setting.layout == "nhwc" else 0.0)
    return run.latency_us - run.timelines.latency_us(changed_to(run, choices, setting))


def _finding(
    case: Case, choices: Choices, run: Recorded | None, found: Sequence[Pick], setting: Setting, saves_us: float
) -> Finding:
    layers = _faster(case, found, setting)
    ran_us, lost_us = sum(pick.time_us for pick in found), sum(pick.loss_us for pick in found)
    after_us = _kernels_us(found, setting)
    recovered = figures.percent((ran_us - after_us) / lost_us) if lost_us > 0 and after_us < ran_us else ""
    kept = f", which is {recovered} of what picking loses" if recovered else ""
    name = _name(setting, _layout_now(choices, run))
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
        limits=_limits(run, choices, setting),
        code=_code(run, choices, setting),
    )


def _name(setting: Setting, now: str) -> str:
    """What is to be changed of a run in the layout ``now``."""
    search = NAMES[_BENCHMARK]
    if setting.layout == now:
        return search
    layout = NAMES[_NHWC] if setting.layout == "nhwc" else "the default layout (NCHW)"
    return f"{layout} and {search}" if setting.benchmark else layout


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


def _limits(run: Recorded | None, choices: Choices, setting: Setting) -> str:
    now = _layout_now(choices, run)
    said = [_BENCHMARK_LIMITS] if setting.benchmark else []
    if now != setting.layout == "nhwc":
        costs_us = channels_last_costs_us(choices.timed) if run is None else nhwc_costs_us(run)
        said.append(f"{told_costs(*costs_us)}; {_NHWC_LIMITS}")
    if run is not None and run.timelines.is_host_bound and not run.is_graph:
        said.append(_beside_the_host(run, choices, setting))
    return " ".join(said)


def _beside_the_host(run: Recorded, choices: Choices, setting: Setting) -> str:
    """What is left of a gain that the host hides, or gives alone, once the run is replayed as a CUDA graph."""
    lines = run.timelines
    longer_us = lines.replayed_with(changed_to(run, choices, setting)) - lines.replayed_us
    if longer_us <= 0:
        return "The host sets the pace of this run: most of the kernels' gain shows only in a CUDA graph."
    longer = figures.time(longer_us, _LONGER_ERROR_PCT)
    return (
        "The host sets the pace of this run, and asks for fewer launches: that alone is the gain. Replayed as a CUDA "
        f"graph, the run would take {longer} longer than without this change."
    )


def _code(run: Recorded | None, choices: Choices, setting: Setting) -> str:
    now = _layout_now(choices, run)
    lines = [SEARCH] if setting.benchmark else []
    if setting.layout != now:
        lines.append(CHANNELS_LAST if setting.layout == "nhwc" else CONTIGUOUS)
    return "\n".join(lines)
