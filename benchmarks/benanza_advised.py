"""What the algorithm that cuDNN advised took, out of Benanza's totals.

The published tables hold the time of the advised algorithm only where it was the fastest one, and for the convolutions
of two networks. Every model's advised serial total, however, is the sum of its fastest calls plus what the advised
algorithms take on top, and models share convolutions: one linear equation per model, one unknown per convolution.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from headroom.advise.benanza import Times
from headroom.store.benanza.published import Published, PublishedLayer, PublishedTotal, Run
from headroom.store.benanza.timed import TimedCall
from headroom.store.rows import Implementation, System

#: An equation follows from others when it differs from their combination by less than this.
ROUNDING = 1e-7

Key = tuple[System, str, Implementation]


@dataclass(frozen=True)
class Excess:
    """One GPU at one batch: ``counts[run, convolution]`` times the unknown excess is ``missing_us[run]``.

    ``known_us`` is the excess where another run of Benanza's timed the advised algorithm, not a number elsewhere.
    """

    runs: tuple[Run, ...]
    convolutions: tuple[TimedCall, ...]
    counts: np.ndarray
    missing_us: np.ndarray
    known_us: np.ndarray

    def of_others(self, run: Run) -> float | None:
        """What the advised algorithms take on top in ``run``, from the totals of the *other* models alone.

        ``None`` where those do not tell.
        """
        index = self.runs.index(run)
        counts, missing_us = np.delete(self.counts, index, 0), np.delete(self.missing_us, index)
        wanted = self.counts[index]
        weights, *_ = np.linalg.lstsq(counts.T, wanted, rcond=None)
        follows = np.abs(counts.T @ weights - wanted).max(initial=0) < ROUNDING
        return float(weights @ missing_us) if follows else None

    def of_all(self) -> dict[Key, float]:
        """The time of each advised algorithm that all serial totals together make likeliest, none below the fastest.

        Where they leave it open, it is what another run says, else as near to the fastest as they allow.
        """
        if not self.convolutions:
            return {}
        hint = np.eye(len(self.convolutions)) * 1e-6
        rows = np.vstack([self.counts, hint])
        found, _ = nnls(rows, np.concatenate([self.missing_us, hint @ np.nan_to_num(np.maximum(self.known_us, 0))]))
        return {
            advised_key(call): call.time_us + excess
            for call, excess in zip(self.convolutions, found.tolist(), strict=True)
        }


def advised_key(call: TimedCall) -> Key:
    system, digest, _ = call.key
    return system, digest, call.implementation(call.advised or call.call.algorithm)


def differing(layers: Mapping[str, PublishedLayer]) -> Counter[TimedCall]:
    """The convolutions whose advised algorithm is not the fastest, with how often each counts in the serial total."""
    found: Counter[TimedCall] = Counter()
    for layer in layers.values():
        for call in layer.calls:
            if call.call.function == "CONV_FWD" and call.advised not in (None, call.call.algorithm):
                found[call] += layer.listed
    return found


def fastest_us(layers: Mapping[str, PublishedLayer]) -> float:
    return sum(call.time_us * layer.listed for layer in layers.values() for call in layer.calls)


def equations(published: Published, times: Times) -> Iterator[Excess]:
    """One system of equations per GPU and batch: its models' advised serial totals, of the rows they list."""
    advised = {
        total.run: total for total in published.totals if (total.strategy, total.choice) == ("serial", "cudnn_advised")
    }
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in sorted(published.runs):
        if run in advised:
            groups.setdefault((run.gpu, run.batch), []).append(run)
    for runs in groups.values():
        yield _equations(published, advised, runs, times)


def _equations(published: Published, advised: Mapping[Run, PublishedTotal], runs: list[Run], times: Times) -> Excess:
    counted = {run: differing(published.runs[run]) for run in runs}
    convolutions = tuple(dict.fromkeys(call for calls in counted.values() for call in calls))
    counts = np.array([[counted[run][call] for call in convolutions] for run in runs], float)
    return Excess(
        tuple(runs),
        convolutions,
        counts.reshape(len(runs), len(convolutions)),
        np.array([advised[run].rows_us - fastest_us(published.runs[run]) for run in runs]),
        np.array([times.get(advised_key(call), np.nan) - call.time_us for call in convolutions]),
    )
