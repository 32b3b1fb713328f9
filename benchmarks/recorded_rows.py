"""A small extract of the shipped database, for tests that replay real rows through answers and reports.

    python benchmarks/recorded_rows.py

Writes ``tests/rows/h200_resnet50_b1_bf16.json``: an export that ``headroom db import`` reads, cut down to the layers
and fusible chains of ``examples/resnet50.onnx`` at batch 1 in bf16, each with its fastest implementation. The system,
the GPU and the time of every measurement are inside. Tests compare figures with this file, not with the
shipped database, which grows; make it again only to renew them.
"""

from __future__ import annotations

import json

import headroom as hr
from headroom.graph.chain import Chain
from headroom.graph.chains import fusible_chains, segments
from headroom.store.default import shipped_files
from headroom.store.export import select, to_json
from headroom.store.store import Store
from record import ROOT

MODEL = "examples/resnet50.onnx"
TARGET = ROOT / "tests" / "rows" / "h200_resnet50_b1_bf16.json"


def main() -> None:
    wanted = digests()
    with Store.open(shipped_files()[0], read_only=True) as store:
        exported = json.loads("".join(to_json(store, select(store, gpu="NVIDIA H200", best=1))))
    rows = [row for row in exported["measurements"] if row["chain"]["digest"] in wanted and row["dtype"] == "bf16"]
    about = f"Measurements shipped with Headroom, of {MODEL} at batch 1 in bf16; by benchmarks/recorded_rows.py"
    head = {"about": about, **{key: exported[key] for key in ("format", "version", "headroom_version", "systems")}}
    TARGET.parent.mkdir(exist_ok=True)
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    TARGET.write_text(f'{json.dumps(head, indent=1)[:-2]},\n "measurements": [\n{lines}\n ],\n "networks": []\n}}\n')
    print(f"{TARGET.name}: {len(rows)} of {len(wanted)} chains, {TARGET.stat().st_size / 1e3:.0f} kB")


def digests() -> set[str]:
    """What an answer about the model at batch 1 asks the database for."""
    graph = hr.load(ROOT / MODEL)
    chains = [Chain.of([configuration.layer]) for configuration in graph.configurations]
    for members in fusible_chains(graph):
        layers = [graph.layers[index] for index in members]
        chains += [Chain.of(layers[start:stop]) for start, stop in segments(layers)]
    return {chain.digest for chain in chains}


if __name__ == "__main__":
    main()
