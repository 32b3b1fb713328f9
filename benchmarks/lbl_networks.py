"""The lower-bound latency of whole networks: predicted by constants that never saw them, and measured.

    python benchmarks/lbl_networks.py fold NUMBER OUT.json [DATA_FOLDER]   fit without one fold and predict it
    python benchmarks/lbl_networks.py join FOLD.json...                    write results/lbl_networks.json
    python benchmarks/lbl_networks.py bars [DATA_FOLDER]                   take its error bars anew

Families of networks are dealt into folds. For each fold the constants of Hopper's kernels, streams and fusions are
fitted anew on the layers and chains that no network of the fold has, and those networks' sequential and fused bounds
are predicted with them; beside them stand the same bounds from the measurements that come with the package. Networks
count where all of their layers were measured.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import headroom as hr
from fused_fit import TimedChain, timed_chains, with_fused
from h200_database import SLICES
from h200_fit import FAMILY, GPU, TILED_OPS, with_kernels
from h200_rows import Timed
from h200_shipped import DATABASE, timed_layers
from h200_streams import fit_streams
from headroom.graph.chain import Chain
from headroom.graph.chains import LONGEST_KERNEL, fusible_chains, segments
from headroom.predict.calibration import Calibration, load_calibration
from network_bars import family_of
from record import DATA, RESULTS, write_result
from shipped_page import graphs

FOLDS = 4

Case = dict[str, Any]


def fold_of(network: str) -> int:
    """The fold of the network's family."""
    return family_of(network) % FOLDS


def networks(data: Path) -> Iterator[tuple[str, int | None, str, hr.Graph]]:
    """Network, batch (none for its file's own), data type and graph of what the package's database was planned for."""
    for part in SLICES:
        if part.models != ("cifar",):
            yield from ((name, part.batch, part.dtype, graph) for name, graph in graphs(part, data))


def without(found: list[tuple[str, int | None, str, hr.Graph]], fold: int) -> list[Timed]:
    """Rows of layers that no network of the fold has."""
    held = {Chain.of([x]).digest for name, _, _, graph in found if fold_of(name) == fold for x in graph.layers}
    return [row for row in timed_layers() if row.digest not in held]


def chains_without(found: list[tuple[str, int | None, str, hr.Graph]], fold: int) -> list[TimedChain]:
    """Fused chains that no network of the fold has, whole or in part."""
    held = {digest for name, _, _, graph in found if fold_of(name) == fold for digest in chains_of(graph)}
    return [chain for chain in timed_chains() if chain.digest not in held]


def chains_of(graph: hr.Graph) -> Iterator[str]:
    """The digests of whatever the stopwatch times as one kernel."""
    for chain in fusible_chains(graph, LONGEST_KERNEL):
        layers = [graph.layers[index] for index in chain]
        yield from (Chain.of(layers[start:stop]).digest for start, stop in segments(layers))


def fitted(rows: list[Timed], chains: list[TimedChain]) -> Calibration:
    """The shipped calibration with Hopper's kernels and streams fitted on ``rows``, and its fusions on ``chains``."""
    streams = fit_streams([row for row in rows if row.op not in (*TILED_OPS, "attention")], GPU)
    return with_fused(with_kernels(replace(load_calibration(), own_stream={FAMILY: streams}), rows), chains)


@contextmanager
def calibrated(calibration: Calibration) -> Iterator[None]:
    """Predictions within come from ``calibration``."""
    with (
        patch("headroom.predict.model.calibration_of", lambda gpu: calibration),
        patch("headroom.predict.fused.calibration_of", lambda gpu: calibration),
    ):
        yield


def predict_fold(fold: int, data: Path) -> list[Case]:
    found = list(networks(data))
    calibration = fitted(without(found, fold), chains_without(found, fold))
    rows = []
    for name, batch, dtype, graph in found:
        if fold_of(name) != fold:
            continue
        measured = hr.analyze(graph, "h200", dtype, db=DATABASE)
        if not all(answer.is_measured for answer in measured.answers):
            continue
        shipped = hr.analyze(graph, "h200", dtype, source="predicted")
        with calibrated(calibration):
            bounds = hr.analyze(graph, "h200", dtype, source="predicted").bounds
        rows.append(
            {
                "network": name, "batch": batch or "own", "dtype": dtype, "fold": fold,
                "measured_us": measured.bounds.sequential_us, "predicted_us": bounds.sequential_us,
                "shipped_us": shipped.bounds.sequential_us, "fused_measured_us": measured.bounds.fused_us,
                "fused_predicted_us": bounds.fused_us, **bars_of(shipped),
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def bars_of(answer: hr.Analysis) -> dict[str, float | None]:
    """The bounds' error bars, the mean of the layers', and the root of the sum of the different layers' squares."""
    bars_us = [
        len(layer.indices) * (layer.prediction.time_us or 0.0) * (layer.prediction.error_pct or 0.0)
        for layer in answer.answers
    ]
    bounds = answer.bounds
    return {
        "error_pct": bounds.sequential_error_pct, "fused_error_pct": bounds.fused_error_pct,
        "mean_bar_pct": sum(bars_us) / bounds.sequential_us,
        "apart_bar_pct": math.hypot(*bars_us) / bounds.sequential_us,
    }  # fmt: skip


def with_bars(rows: list[Case], data: Path) -> list[Case]:
    """``rows`` with the error bars that the shipped calibration gives now."""
    graphs_of = {(name, batch or "own", dtype): graph for name, batch, dtype, graph in networks(data)}
    for row in rows:
        graph = graphs_of[row["network"], row["batch"], row["dtype"]]
        row.update(bars_of(hr.analyze(graph, "h200", row["dtype"], source="predicted")))
    return rows


def main() -> None:
    if sys.argv[1:2] == ["fold"] and len(sys.argv) in (4, 5):
        data = Path(sys.argv[4]) if len(sys.argv) > 4 else DATA
        Path(sys.argv[3]).write_text(json.dumps(predict_fold(int(sys.argv[2]), data)))
    elif sys.argv[1:2] == ["join"]:
        rows = [row for path in sys.argv[2:] for row in json.loads(Path(path).read_text())]
        write_result("lbl_networks", {"folds": FOLDS, "rows": sorted(rows, key=lambda r: tuple(map(str, r.values())))})
    elif sys.argv[1:2] == ["bars"] and len(sys.argv) in (2, 3):
        kept = json.loads((RESULTS / "lbl_networks.json").read_text())["rows"]
        data = Path(sys.argv[2]) if len(sys.argv) > 2 else DATA
        write_result("lbl_networks", {"folds": FOLDS, "rows": with_bars(kept, data)})
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
