"""Small extracts of measured databases, for tests that replay real rows through answers and reports.

    python benchmarks/recorded_rows.py                       ResNet-50 at batch 1 in bf16, of the shipped database
    python benchmarks/recorded_rows.py counted DATABASE      what ``headroom measure --counters`` counted
    python benchmarks/recorded_rows.py gradients DATABASE    what ``headroom measure --direction training`` added

Each writes a file of ``tests/rows``: an export that ``headroom db import`` reads, cut down to layers and fusible chains
at batch 1 in bf16, each with its fastest implementation. The first holds those of ``examples/resnet50.onnx``, the other
two are of ResNet-18. The system, the GPU and the time of every measurement are inside. Tests compare figures with these
files, not with the shipped database, which grows; make one again only to renew it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headroom as hr
from headroom.advise.passes import graph_of_passes
from headroom.graph.chain import Chain
from headroom.graph.chains import fusible_chains, segments
from headroom.store.default import shipped_files
from headroom.store.export import select, to_json
from headroom.store.store import Store
from record import DATA, ROOT

MODEL = "examples/resnet50.onnx"
ROWS = ROOT / "tests" / "rows"


def write(database: Path, name: str, what: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Write ``tests/rows/NAME.json``: those rows of ``database`` that are ``wanted``."""
    with Store.open(database, read_only=True) as store:
        exported = json.loads("".join(to_json(store, select(store, gpu="NVIDIA H200", best=1))))
    rows = [row for row in exported["measurements"] if row["dtype"] == "bf16" and wanted(row)]
    about = f"Measurements of {what} at batch 1 in bf16; by benchmarks/recorded_rows.py"
    head = {"about": about, **{key: exported[key] for key in ("format", "version", "headroom_version", "systems")}}
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    target = ROWS / f"{name}.json"
    target.write_text(f'{json.dumps(head, indent=1)[:-2]},\n "measurements": [\n{lines}\n ],\n "networks": []\n}}\n')
    print(f"{target.name}: {len(rows)} chains, {target.stat().st_size / 1e3:.0f} kB")


def answered() -> set[str]:
    """What an answer about the model at batch 1 asks the database for."""
    graph = hr.load(ROOT / MODEL)
    chains = [Chain.of([configuration.layer]) for configuration in graph.configurations]
    for members in fusible_chains(graph):
        layers = [graph.layers[index] for index in members]
        chains += [Chain.of(layers[start:stop]) for start, stop in segments(layers)]
    return {chain.digest for chain in chains}


def gradients() -> set[str]:
    """The gradients of ResNet-18's convolutions and products."""
    graph = hr.load(DATA / "models" / "resnet18.onnx")
    passes = (graph_of_passes(graph, direction) for direction in ("dgrad", "wgrad"))
    return {Chain.of([configuration.layer]).digest for each in passes for configuration in each.configurations}


def main() -> None:
    match sys.argv[1:]:
        case []:
            known = answered()
            what = f"{MODEL}, shipped with Headroom,"
            write(shipped_files()[0], "h200_resnet50_b1_bf16", what, lambda row: row["chain"]["digest"] in known)
        case ["counted", database]:
            what = "ResNet-18's costliest layers with hardware counters"
            write(Path(database), "h200_resnet18_counted", what, lambda row: bool(row["counters"]))
        case ["gradients", database]:
            known = gradients()
            what = "the gradients of ResNet-18's convolutions and products"
            write(Path(database), "h200_resnet18_gradients", what, lambda row: row["chain"]["digest"] in known)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
