"""What Headroom advised on recorded runs, beside what each setting then gained: ``advice_gains.py page``."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import headroom as hr
from advice_kept import FILE, kept, profile_name, write_profile
from bound_networks import BOUNDS
from headroom.advise.analysis import Analysis, Finding
from record import DATA, RESULTS, ROOT, write_result

#: Targets: the error as a share of the predicted gain in the median, and how often the sign is right.
TARGET_PCT, TARGET_SIGNS = 15.0, 0.95

#: A gain of less than this share of the run is none: two measurements of one run differ by as much.
NO_GAIN = 0.02

#: Constants of the advice were laid out on runs of these networks, the others judge them.
LAID_OUT_ON = ("resnet50", "bert_base", "googlenet", "convnext_tiny", "resnet18", "shufflenet_v2_x1_0")

_CHANNELS_LAST, _SEARCH = "channels_last", "cudnn.benchmark = True"


def _setting(needs: str, without: str) -> Callable[[Finding], bool]:
    return lambda found: found.kind == "algorithm_setting" and needs in found.code and without not in found.code


#: Which findings advise a setting.
ADVISES: dict[str, Callable[[Finding], bool]] = {
    "cuda-graph": lambda found: found.kind == "launch_gaps",
    "channels-last": _setting(_CHANNELS_LAST, _SEARCH),
    "benchmark": _setting(_SEARCH, _CHANNELS_LAST),
    "tf32": lambda found: found.kind == "data_type" and "tf32" in found.code,
    "bf16": lambda found: found.kind == "data_type" and "bfloat16" in found.code,
    "autocast": lambda found: found.kind == "data_type" and "autocast" in found.code,
    "compiled pooling": lambda found: found.kind == "slow_pooling",
    "fold": lambda found: found.kind == "recomputed_constants",
    "streams": lambda found: found.kind == "parallel_branches",
    "without padding": lambda found: found.kind in ("padding", "needless_padding"),
    "without host looks": lambda found: found.kind == "host_waits",
    "without copies": lambda found: found.kind == "copies",
}


@dataclass(frozen=True)
class Trial:
    """A setting on one run: what it was predicted to gain, if it was advised, and what it gained. Microseconds.

    ``noise_us`` is how far the realised gain may be off by the machine's doing alone.
    """

    network: str
    batch: int
    before: str
    setting: str
    before_us: float
    gained_us: float
    noise_us: float
    predicted_us: float | None
    error_pct: float | None

    @property
    def off_pct(self) -> float | None:
        """How far the prediction is off, as a share of itself."""
        return None if self.predicted_us is None else 100 * abs(self.gained_us / self.predicted_us - 1)

    @property
    def judges(self) -> bool:
        """Whether the noise is less than what is to be told: the target's share of the gain, or no gain at all."""
        told_us = TARGET_PCT / 100 * max(abs(self.gained_us), self.predicted_us or 0.0)
        return self.noise_us <= max(told_us, NO_GAIN * self.before_us if self.predicted_us is None else 0.0)

    @property
    def is_sign_right(self) -> bool:
        """A gain where one was predicted; where none was, no gain that can be told from none."""
        if self.predicted_us is None:
            return self.gained_us < NO_GAIN * self.before_us
        return self.gained_us > 0

    @property
    def is_inside_its_bar(self) -> bool:
        return self.off_pct is not None and self.error_pct is not None and self.off_pct <= self.error_pct


def write(data: Path | None) -> None:
    """Ask for advice on every run of the file and write the page."""
    rows = [json.loads(line) for line in (RESULTS / FILE).read_text().splitlines()]
    runs: dict[tuple[str, int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if "gain_us" in row:
            runs[row["network"], row["batch"], row["before"]].append(row)
    drifts = _drifts(runs)
    trials = [trial for run, tried in runs.items() for trial in _trials(run, tried, drifts, data or DATA)]
    found = [vars(trial) | {"off_pct": trial.off_pct, "judges": trial.judges} for trial in trials]
    write_result("advice", {"method": __doc__, "trials": found})
    (ROOT / "docs" / "advice-figures.md").write_text("\n".join(_page(trials)) + "\n")


def _drifts(runs: Mapping[tuple[str, int, str], Sequence[Mapping[str, Any]]]) -> Mapping[tuple[str, int], float]:
    """By how much of itself the same run differs from row to row: the worst eager run of each network and batch."""
    drifts: dict[tuple[str, int], float] = defaultdict(float)
    for (network, batch, way), rows in runs.items():
        if _is_eager(way):
            took_us = [row["before_us"] for row in rows]
            spread = (max(took_us) - min(took_us)) / statistics.median(took_us)
            drifts[network, batch] = max(drifts[network, batch], spread)
    return drifts


def _is_eager(way: str) -> bool:
    return "graph" not in way.split()


def _trials(
    run: tuple[str, int, str], rows: Sequence[Mapping[str, Any]], drifts: Mapping[tuple[str, int], float], data: Path
) -> Iterator[Trial]:
    network, batch, way = run
    profile = profile_name(network, batch, way)
    if profile not in kept(network):
        return
    latency_us = statistics.median(row["before_us"] for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        write_profile(network, profile, path, latency_us)
        model = hr.load(data / "models" / BOUNDS[network], batch=batch)
        findings = _all_findings(hr.analyze(model, "h200", profile=path))
    for row in rows:
        advises = ADVISES.get(row["setting"])
        if advises is None:
            continue
        found = [finding for finding in findings if advises(finding)]
        # Findings of several places (branches, say) are tried together; of several reasons for one remedy the first is.
        together = found if row["setting"] == "streams" else found[:1]
        predicted_us = sum(finding.saves_us for finding in together) or None
        error_pct = max((finding.error_pct for finding in together), default=None)
        drift_us = drifts[network, batch] * row["before_us"] if _is_eager(way) else 0.0
        noise_us = max(row["gain_iqr_us"], drift_us)
        setting, before_us, gain_us = row["setting"], row["before_us"], row["gain_us"]
        yield Trial(network, batch, way, setting, before_us, gain_us, noise_us, predicted_us, error_pct)


def _all_findings(analysis: Analysis) -> Sequence[Finding]:
    """Those of the questions too, which the ranking leaves out because another has the same remedy; each once."""
    found = [*analysis.findings, *(finding for answer in analysis.questions for finding in answer.findings)]
    return list({(finding.kind, finding.title, finding.code): finding for finding in reversed(found)}.values())[::-1]


def _page(trials: Sequence[Trial]) -> Iterator[str]:
    judging = [trial for trial in trials if trial.judges]
    advised = [trial for trial in judging if trial.predicted_us is not None]
    yield from (
        "# Predicted and realised gains",
        "",
        "Every setting beside the very run that it changes, timed by turns on an H200. The prediction is what",
        "`headroom analyze MODEL --profile TRACE` said of a profile of that run, with the run's unrecorded time in it,",
        "as `headroom profile` writes it. *Off* is the distance as a share of the predicted gain. The sign is right",
        "where an advised setting gained anything, and where one was not advised and gained less than "
        f"{NO_GAIN:.0%} of the run.",
        "Written by `benchmarks/advice_gains.py page`.",
        "",
        f"**{len(judging)} of {len(trials)} trials judge the advice**, {len(advised)} of them advised. "
        f"Off by {_median_off(advised)} in the median (target {TARGET_PCT:.0f} %); signs right in "
        f"{_signs(advised)} of the advised trials and in {_signs(judging)} of all (target {TARGET_SIGNS:.0%}).",
        "",
        "## Which trials judge",
        "",
        "The machine's host was a virtual one whose speed changes from minute to minute. A trial's noise is the",
        "interquartile range of its seven differences; of a run that is not a replayed graph also the range in which",
        "the same run's time lay in the trials of that network and batch (the widest of its runs), if that is more: a",
        "pair of runs cannot tell a drift that meets one of them. A trial judges if its noise is at most",
        f"{TARGET_PCT:.0f} % of the gain, predicted or realised, or, where nothing was predicted, {NO_GAIN:.0%} of the",
        "run.",
        "",
        "Kinds of mistakes were looked for on all twelve networks; the constants of what was mended were laid out on",
        "the first six (ResNet-50, ResNet-18, GoogLeNet, ShuffleNet, ConvNeXt, BERT), but for two: concatenation in",
        "channels_last on SqueezeNet at batch 32, a bias's kernel on networks that have no BatchNorm to fold.",
        "",
        "| runs | trials | judge | advised | off, median | sign right, advised | sign right, all |",
        "|---|---:|---:|---:|---:|---:|---:|",
    )
    eager = [trial for trial in trials if _is_eager(trial.before)]
    graphs = [trial for trial in trials if not _is_eager(trial.before)]
    laid = [trial for trial in judging if trial.network in LAID_OUT_ON]
    others = [trial for trial in judging if trial.network not in LAID_OUT_ON]
    yield _group("replayed graphs", graphs)
    yield _group("launch by launch", eager)
    yield _group(f"networks that constants were laid out on ({len(LAID_OUT_ON)})", laid)
    yield _group("the other networks", others)
    yield _group("all that judge", judging)
    yield _group("all, noise and all", trials, whole=True)
    yield from (
        "",
        "## By setting, of the trials that judge",
        "",
        "| setting | trials | advised | off, median | inside the error bar | sign right, advised | sign right, all |",
        "|---|---:|---:|---:|---:|---:|---:|",
    )
    for setting in sorted({trial.setting for trial in trials}):
        these = [trial for trial in judging if trial.setting == setting]
        told = [trial for trial in these if trial.predicted_us is not None]
        inside = f"{sum(trial.is_inside_its_bar for trial in told) / len(told):.0%}" if told else "–"
        cells = (setting, len(these), len(told), _median_off(told), inside, _signs(told), _signs(these))
        yield f"| {' | '.join(map(str, cells))} |"
    misses = [trial for trial in judging if not trial.is_sign_right or (trial.off_pct or 0.0) > TARGET_PCT]
    yield from _table(f"Misses: {len(misses)}", "The largest share of the run first.", misses)
    planted = [trial for trial in trials if trial.setting.startswith("without")]
    yield from _table("Planted losses", "All of them, whether they judge or not.", planted)
    noisy = [trial for trial in trials if not trial.judges]
    yield from _table(f"Trials that judge nothing: {len(noisy)}", "Their noise is as large as what they show.", noisy)


def _group(name: str, trials: Sequence[Trial], *, whole: bool = False) -> str:
    judging = [trial for trial in trials if whole or trial.judges]
    advised = [trial for trial in judging if trial.predicted_us is not None]
    cells = (name, len(trials), len(judging), len(advised), _median_off(advised), _signs(advised), _signs(judging))
    return f"| {' | '.join(map(str, cells))} |"


def _table(title: str, said: str, trials: Sequence[Trial]) -> Iterator[str]:
    yield from ("", f"## {title}", "", said, "")
    yield "| network | batch | run | setting | run us | predicted us | gained us | noise us | off | why |"
    yield "|---|---:|---|---|---:|---:|---:|---:|---:|---|"
    for trial in sorted(trials, key=lambda each: -abs(each.gained_us - (each.predicted_us or 0.0)) / each.before_us):
        yield _line(trial)


def _line(trial: Trial) -> str:
    bar = f" ± {trial.error_pct:.0f} %" if trial.error_pct is not None else ""
    predicted = "none" if trial.predicted_us is None else f"{trial.predicted_us:.0f}{bar}"
    off = "–" if trial.off_pct is None else f"{trial.off_pct:.0f} %"
    cells = (trial.network, trial.batch, trial.before, trial.setting, f"{trial.before_us:.0f}", predicted)
    gained = f"{trial.gained_us:.0f} | {trial.noise_us:.0f}"
    return f"| {' | '.join(map(str, cells))} | {gained} | {off} | {_why(trial)} |"


def _why(trial: Trial) -> str:
    """What kind of miss it is, from the figures, and its cause where it is known."""
    if not trial.judges:
        return "noise"
    cause = next((why for meets, why in _CAUSES if meets(trial)), "")
    if trial.predicted_us is None:
        kind = "not advised" if not trial.is_sign_right else "rightly not advised"
    elif trial.gained_us <= 0:
        kind = "lost instead"
    elif trial.is_inside_its_bar:
        kind = "inside its error bar"
    else:
        kind = "less than predicted" if trial.gained_us < trial.predicted_us else "more than predicted"
    return f"{kind}: {cause}" if cause else kind


#: What is known of misses beyond their figures.
_CAUSES: tuple[tuple[Callable[[Trial], bool], str], ...] = (
    (
        lambda each: each.setting == "autocast",
        "the finding is the model in bf16, which gains more; its limits name autocast as the slower way",
    ),
    (
        lambda each: each.setting == "compiled pooling" and each.batch > 1,
        "PyTorch's limit of 8 compiled shapes was reached in the measuring process (its log says so), which left "
        "pooling layers as they were; the advice now raises the limit",
    ),
    (
        lambda each: _is_eager(each.before) and each.setting in ("tf32", "bf16"),
        "a run in fewer bits waits for the host, which was slower at that moment than when the profile was taken: "
        "replayed as a graph the same change was predicted well",
    ),
    (
        lambda each: each.setting == "fold",
        "the kernel that adds a bias is known within 30 %, and its sum over all layers comes off the saving",
    ),
    (
        lambda each: each.setting == "benchmark",
        "a search picks anew on every machine and day: its row is one such pick",
    ),
    (
        lambda each: each.setting == "channels-last" and each.network in ("vit_b_16", "alexnet"),
        "one or five convolutions: the saving is the difference of single kernels, of which cuDNN pads some anew",
    ),
    (
        lambda each: each.setting == "channels-last",
        "the few convolutions without rows, pooling (known within 20 %) and what PyTorch's BatchNorm takes for few "
        "channels",
    ),
)


def _median_off(trials: Sequence[Trial]) -> str:
    off = [trial.off_pct for trial in trials if trial.off_pct is not None]
    return f"{statistics.median(off):.0f} %" if off else "–"


def _signs(trials: Sequence[Trial]) -> str:
    return f"{sum(trial.is_sign_right for trial in trials) / len(trials):.0%}" if trials else "–"
