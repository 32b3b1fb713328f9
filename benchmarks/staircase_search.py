"""What the search for a staircase finds with a quarter of the measurements, on curves whose every point is known.

    python benchmarks/staircase_search.py

Writes ``benchmarks/results/staircase_search.json`` and ``docs/staircase-search.md``. No GPU: the curves are the
theory's for the 30 layers of ``staircase_layers.py`` and made-up ones, "measured" with 1 % of noise. The search is
given a theory that is wrong: right in its steps but off by a factor and a bend; that of another GPU; with every step
mislaid; without any step. Regret is what the search's choice for each width costs more than the best choice, at the
true latencies; beside it stands that of a sweep over every width with the same noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headroom.change.widths.staircase.curve import Floats, Point, Staircase
from headroom.change.widths.staircase.search import regret_pct, search
from headroom.change.widths.staircase.table import width_table
from headroom.gpu.sheets import load_gpu
from headroom.predict.prediction import Source
from record import ROOT, write_result
from staircase_layers import CASES

GPU, OTHERS = "h200", ("h100-pcie", "a100-80gb-sxm", "l40s")
NOISE_PCT, SHARE, REGRET_PCT = 1.0, 0.25, 1.0
SEED, MADE_UP = 20261121, 100
WIDTHS = np.arange(64, 513, 4)


@dataclass(frozen=True)
class Trial:
    """A curve, and what the search is told of it."""

    theory: Staircase
    truth_us: Floats


def main() -> None:
    families = {
        "H200's theory, off by a factor and a bend of 15 %": list(bent()),
        **{f"H200's theory for what {other}'s says": list(other_gpu(other)) for other in OTHERS},
        "made up, steps mislaid by up to 24 widths": list(made_up("mislaid", dips=False)),
        "made up, steps unknown": list(made_up("unknown", dips=False)),
        "made up, steps mislaid and a dip unknown": list(made_up("mislaid", dips=True)),
    }
    rows = [judge(name, trials) for name, trials in families.items()]
    write_result("staircase_search", {"noise_pct": NOISE_PCT, "share": SHARE, "regret_pct": REGRET_PCT, "rows": rows})
    (ROOT / "docs" / "staircase-search.md").write_text(page(rows))


def bent() -> Iterator[Trial]:
    random = np.random.default_rng(SEED)
    for theory in (predicted(number, GPU) for number in range(len(CASES))):
        along = np.linspace(0, 1, len(theory.points))
        bend = 0.15 * np.sin(2 * np.pi * (along * random.uniform(0.3, 1.5) + random.uniform()))
        yield Trial(theory, theory.latencies_us * np.exp(bend) * random.uniform(0.6, 1.5))


def other_gpu(other: str) -> Iterator[Trial]:
    for number in range(len(CASES)):
        yield Trial(predicted(number, GPU), predicted(number, other).latencies_us)


def predicted(number: int, gpu: str) -> Staircase:
    case = CASES[number]
    subject = case.subject
    return width_table(subject.layer, load_gpu(gpu), case.dtype, subject.out_widths, subject.in_widths).staircases[0]


def made_up(kind: str, *, dips: bool) -> Iterator[Trial]:
    """Three to seven steps of 6 to 65 % anywhere; with ``dips`` half of them are 20 % faster below a multiple of 64."""
    random = np.random.default_rng(SEED)
    for _ in range(MADE_UP):
        count = int(random.integers(3, 8))
        edges, heights = random.choice(np.arange(80, 500), count, replace=False), random.uniform(0.06, 0.5, count)
        truth = stairs(edges, heights)
        guess = stairs(edges + random.integers(-24, 25, count), heights * random.uniform(0.6, 1.4, count))
        if kind == "unknown":
            guess = (WIDTHS / 64.0) ** 0.7
        if dips and random.random() < 0.5:
            end = 64 * int(random.integers(2, 9))
            truth = np.where((end - random.integers(4, 41) < WIDTHS) & (end >= WIDTHS), 0.8 * truth, truth)
        points = tuple(
            Point(int(width), 30.0 * float(time), int(width) * 1000, Source.PREDICTED)
            for width, time in zip(WIDTHS, guess, strict=True)
        )
        yield Trial(Staircase("made up", "out", 0, points), 20.0 * truth)


def stairs(edges: np.typing.NDArray[np.int64], heights: Floats) -> Floats:
    return np.asarray(np.exp(((WIDTHS[:, None] > edges) * heights).sum(axis=1)))


def judge(name: str, trials: list[Trial]) -> dict[str, Any]:
    found = [regret(trial, number) for number, trial in enumerate(trials)]
    means, worst, shares, swept = (np.array(column) for column in zip(*found, strict=True))
    row = {
        "curves": name,
        "count": len(trials),
        "largest_share": float(shares.max()),
        "mean_regret_pct": float(means.mean()),
        "within": float((means <= REGRET_PCT).mean()),
        "mean_regret_of_the_worst_curve_pct": float(means.max()),
        "median_of_worst_widths_pct": float(np.median(worst)),
        "mean_regret_of_a_full_sweep_pct": float(swept.mean()),
    }
    print(row, flush=True)
    return row


def regret(trial: Trial, seed: int) -> tuple[float, float, float, float]:
    """Mean and worst over the widths, the share that was measured, and the mean of a sweep over every width."""
    random = np.random.default_rng(seed)
    times = trial.truth_us * np.exp(random.normal(0, NOISE_PCT / 100, len(trial.truth_us)))
    points = [
        replace(point, latency_us=float(time), source=Source.MEASURED, noise_pct=NOISE_PCT)
        for point, time in zip(trial.theory.points, times, strict=True)
    ]
    found = search(trial.theory, {point.width: point for point in points}.get, budget_share=SHARE)
    regrets = regret_pct(found.staircase, trial.truth_us)
    swept = regret_pct(replace(trial.theory, points=tuple(points)), trial.truth_us)
    return float(regrets.mean()), float(regrets.max()), found.share, float(swept.mean())


def page(rows: list[dict[str, Any]]) -> str:
    lines = [
        "# A quarter of the measurements",
        "",
        f"The search for a staircase measures at most {100 * SHARE:.0f} % of the widths. How good are the widths that",
        "it leads to? On curves whose every point is known, because they are the theory's (every eighth width from 64",
        f"to 512) or made up (every fourth), with {NOISE_PCT:g} % of noise on each measurement. Written by",
        "`benchmarks/staircase_search.py`; sweeps on a GPU are made by `benchmarks/staircases.py`.",
        "",
        "*Regret*: whoever needs a width takes the fastest that is no narrower; what that costs more than the best",
        "choice, as a mean over the widths of a curve. A sweep over every width has some too, because of the noise.",
        "",
        f"| what the search is told, and the truth | curves | measured at most % | mean regret % | curves within "
        f"{REGRET_PCT:g} % | worst curve % | worst width of a curve %, median | a full sweep's regret % |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['curves']} | {row['count']} | {100 * row['largest_share']:.0f} | {row['mean_regret_pct']:.2f} "
        f"| {100 * row['within']:.0f} % | {row['mean_regret_of_the_worst_curve_pct']:.1f} "
        f"| {row['median_of_worst_widths_pct']:.1f} | {row['mean_regret_of_a_full_sweep_pct']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
