"""What Headroom advised on recorded runs, beside what each setting then gained: ``advice_gains.py page``."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import headroom as hr
from advice_gains import FILE
from bound_networks import BOUNDS
from headroom.advise.analysis import Analysis, Finding
from record import DATA, RESULTS, ROOT, write_result

PROFILES = RESULTS / "advice_profiles"

#: Targets: the error as a share of the predicted gain in the median, and how often the sign is right.
TARGET_PCT, TARGET_SIGNS = 15.0, 0.95

#: A gain of less than this share of the run is none: two measurements of one run differ by as much.
NO_GAIN = 0.02

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
    """A setting on one run: what it was predicted to gain, if it was advised, and what it gained. Microseconds."""

    network: str
    batch: int
    before: str
    setting: str
    before_us: float
    gained_us: float
    predicted_us: float | None
    error_pct: float | None

    @property
    def off_pct(self) -> float | None:
        """How far the prediction is off, as a share of itself."""
        return None if self.predicted_us is None else 100 * abs(self.gained_us / self.predicted_us - 1)

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
    trials = [trial for row in rows if "gain_us" in row for trial in _trials(row, data or DATA)]
    write_result(
        "advice", {"method": __doc__, "trials": [vars(trial) | {"off_pct": trial.off_pct} for trial in trials]}
    )
    (ROOT / "docs" / "advice-figures.md").write_text("\n".join(_page(trials)) + "\n")


def _trials(row: dict[str, Any], data: Path) -> Iterator[Trial]:
    advises = ADVISES.get(row["setting"])
    profile = PROFILES / f"{row['network']}-{row['batch']}-{row['before'].replace(' ', '_')}.json.gz"
    if advises is None or not profile.exists():
        return
    analysis = _analysis(data / "models" / BOUNDS[row["network"]], row["batch"], profile)
    # Findings of several places (branches, say) are tried together; of several reasons for one remedy the first is.
    found = [finding for finding in _all_findings(analysis) if advises(finding)]
    together = found if row["setting"] == "streams" else found[:1]
    predicted_us = sum(finding.saves_us for finding in together) or None
    yield Trial(
        row["network"],
        row["batch"],
        row["before"],
        row["setting"],
        row["before_us"],
        row["gain_us"],
        predicted_us,
        max((finding.error_pct for finding in together), default=None),
    )


@lru_cache(maxsize=4)
def _analysis(model: Path, batch: int, profile: Path) -> Analysis:
    return hr.analyze(hr.load(model, batch=batch), "h200", profile=profile)


def _all_findings(analysis: Analysis) -> Sequence[Finding]:
    """Those of the questions too, which the ranking leaves out because another has the same remedy."""
    return [*analysis.findings, *(finding for answer in analysis.questions for finding in answer.findings)]


def _page(trials: Sequence[Trial]) -> Iterator[str]:
    advised = [trial for trial in trials if trial.predicted_us is not None]
    yield from (
        "# Predicted and realised gains",
        "",
        "Every setting beside the very run that it changes, timed by turns on an H200; the prediction is what",
        "`headroom analyze MODEL --profile TRACE` said of a profile of that run. *Off* is the distance as a share of",
        "the predicted gain. The sign is right where an advised setting gained anything, and where one was not advised",
        f"and gained less than {NO_GAIN:.0%} of the run. Written by `benchmarks/advice_gains.py page`.",
        "",
        f"{len(advised)} of {len(trials)} trials were advised. Off by {_median_off(advised)} in the median (target "
        f"{TARGET_PCT:.0f} %); signs right in {_signs(trials)} of all trials (target {TARGET_SIGNS:.0%}).",
        "",
        "| setting | trials | advised | off, median | inside the error bar | sign right, advised | sign right, all |",
        "|---|---:|---:|---:|---:|---:|---:|",
    )
    for setting in sorted({trial.setting for trial in trials}):
        these = [trial for trial in trials if trial.setting == setting]
        told = [trial for trial in these if trial.predicted_us is not None]
        inside = f"{sum(trial.is_inside_its_bar for trial in told) / len(told):.0%}" if told else "–"
        cells = (setting, len(these), len(told), _median_off(told), inside, _signs(told), _signs(these))
        yield f"| {' | '.join(map(str, cells))} |"
    misses = [trial for trial in trials if not trial.is_sign_right or (trial.off_pct or 0.0) > TARGET_PCT]
    yield from ("", f"## Misses: {len(misses)}", "", "The largest share of the run first.", "")
    yield "| network | batch | run | setting | run us | predicted us | gained us | off | why |"
    yield "|---|---:|---|---|---:|---:|---:|---:|---|"
    for trial in sorted(misses, key=lambda each: -abs(each.gained_us - (each.predicted_us or 0.0)) / each.before_us):
        yield _miss(trial)


def _miss(trial: Trial) -> str:
    predicted = "none" if trial.predicted_us is None else f"{trial.predicted_us:.0f}"
    off = "–" if trial.off_pct is None else f"{trial.off_pct:.0f} %"
    cells = (trial.network, trial.batch, trial.before, trial.setting, f"{trial.before_us:.0f}", predicted)
    return f"| {' | '.join(map(str, cells))} | {trial.gained_us:.0f} | {off} | {_why(trial)} |"


def _why(trial: Trial) -> str:
    """What kind of miss it is, from the figures alone."""
    if trial.predicted_us is None:
        return "not advised"
    if trial.gained_us <= 0:
        return "lost instead"
    if trial.is_inside_its_bar:
        return "inside its error bar"
    return "less than predicted" if trial.gained_us < trial.predicted_us else "more than predicted"


def _median_off(trials: Sequence[Trial]) -> str:
    off = [trial.off_pct for trial in trials if trial.off_pct is not None]
    return f"{statistics.median(off):.0f} %" if off else "–"


def _signs(trials: Sequence[Trial]) -> str:
    return f"{sum(trial.is_sign_right for trial in trials) / len(trials):.0%}" if trials else "–"
