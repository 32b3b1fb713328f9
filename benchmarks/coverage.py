"""What the ONNX reader understands of every shared model.

    python benchmarks/coverage.py [DATA_FOLDER]

Writes ``benchmarks/results/coverage.json`` and ``docs/coverage.md``. Each model is read the way users read it,
by the capped child process; the seconds are those of a warm one, the median of three.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import onnx

from headroom.errors import ModelError
from headroom.files import write_whole
from headroom.graph.onnx.client import ReaderWorker
from headroom.graph.tensor import DataType
from record import ROOT, read_data_folder, write_result

OTHER_BATCH, RUNS = 8, 3

COLUMNS = (
    "model", "opset", "nodes", "working layers", "configurations", "nodes known", "macs known", "GMACs",
    "weights MB", "peak activations MB", f"batch {OTHER_BATCH}", "seconds",
)  # fmt: skip

PAGE = """# What the ONNX reader understands

<!-- Written by benchmarks/coverage.py; do not edit. -->

Every model of the data folder that the tests use (`$HEADROOM_SHARED`, or `shared` beside the repository), read by
`headroom` (onnx {versions[onnx]}; {machine}). They are exports of public networks without their weights: `light_` is
ONNX's own test set, `stream_` comes from the Stream project, the rest from torchvision, timm and transformers. *Nodes*
are those in the file; *working layers* those that launch something once weight plumbing is folded away, views are
dropped, and attention, normalisations, activations and recurrent stacks that the exporter wrote out are one layer
again. *Nodes known* and
*macs known* are the shares of working layers and of multiply-adds that no unknown operator hides. Weights and peak
activations are for fp32 at the exported batch. *Batch {batch}* says whether the model can be carried over to that
batch: every layer's multiply-adds then equal {batch} times those of one sample, or the model is refused.

On the {inference} inference graphs {known_nodes:.2%} of the working nodes and {known_macs:.2%} of the multiply-adds are
known, and {rebatched} of them take another batch. {unknown}

{table}

{notes}
"""


def describe(path: Path, worker: ReaderWorker) -> dict[str, Any]:
    """One row: what the file is, and what the reader made of it."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        graph = worker.read(path)
        seconds.append(time.perf_counter() - start)
    file = onnx.load(path, load_external_data=False)
    coverage = graph.coverage
    return {
        "model": path.stem,
        "opset": next(entry.version for entry in file.opset_import if entry.domain in ("", "ai.onnx")),
        "nodes": len(file.graph.node),
        "working_layers": len(graph.working_layers),
        "configurations": len(graph.configurations),
        "known_share": coverage.known_share,
        "known_macs_share": coverage.known_macs_share,
        "macs": graph.macs,
        "weight_bytes": graph.weight_bytes(DataType.FP32),
        "peak_activation_bytes": graph.peak_activation_bytes(DataType.FP32),
        "unknown_layers": list(coverage.unknown_layers),
        "notes": list(graph.notes),
        "batch": graph.batch,
        "refusal": refusal(path, worker, graph.macs, graph.batch),
        "seconds": statistics.median(seconds),
    }


def refusal(path: Path, worker: ReaderWorker, macs: int, batch: int) -> str | None:
    """Why the model does not take another batch; ``None`` if it does."""
    try:
        carried = worker.read(path, batch=OTHER_BATCH)
    except ModelError as error:
        return str(error).partition(f"{path.name}: ")[2]
    if carried.macs * batch != macs * OTHER_BATCH:
        raise SystemExit(f"{path.stem}: {carried.macs} macs at batch {OTHER_BATCH}, {macs} at {batch}")
    return None


def table_row(row: dict[str, Any]) -> str:
    cells = (
        row["model"],
        row["opset"],
        row["nodes"],
        row["working_layers"],
        row["configurations"],
        f"{row['known_share']:.1%}",
        f"{row['known_macs_share']:.1%}",
        f"{row['macs'] / 1e9:.3f}",
        f"{row['weight_bytes'] / 1e6:.1f}" if row["weight_bytes"] else "–",
        f"{row['peak_activation_bytes'] / 1e6:.1f}",
        "refused" if row["refusal"] else "yes",
        f"{row['seconds']:.3f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def page(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    inference = [row for row in rows if "training" not in row["model"]]
    nodes = sum(row["working_layers"] for row in inference)
    unknown = [(row["model"], name) for row in rows for name in row["unknown_layers"]]
    listed = ", ".join(f"`{name}` in {model}" for model, name in unknown)
    notes = [f"- {row['model']}: {note}" for row in rows for note in row["notes"]]
    notes += [f"- {row['model']}: {row['refusal']}" for row in rows if row["refusal"]]
    notes += [
        f"- {row['model']}: its weights are inputs of the graph, so they count as activations"
        for row in rows
        if not row["weight_bytes"]
    ]
    return PAGE.format(
        batch=OTHER_BATCH,
        inference=len(inference),
        known_nodes=sum(row["known_share"] * row["working_layers"] for row in inference) / nodes,
        known_macs=sum(row["known_macs_share"] * row["macs"] for row in inference)
        / sum(row["macs"] for row in inference),
        rebatched=sum(row["refusal"] is None for row in inference),
        unknown=f"Unknown are {listed}." if unknown else "No operator is unknown.",
        table="\n".join(
            (
                "| " + " | ".join(COLUMNS) + " |",
                "|" + "---|" * len(COLUMNS),
                *map(table_row, rows),
            )
        ),
        notes="\n".join(notes),
        **about,
    )


def main() -> None:
    models = sorted((read_data_folder() / "models").glob("*.onnx"))
    with ReaderWorker() as worker:
        rows = [describe(path, worker) for path in models]
    result = write_result("coverage", {"models": rows})
    about = json.loads(result.read_text())["about"]
    write_whole(ROOT / "docs" / "coverage.md", page(rows, about))
    print(f"wrote {result.name} and docs/coverage.md; slowest {max(row['seconds'] for row in rows):.3f} s")


if __name__ == "__main__":
    main()
