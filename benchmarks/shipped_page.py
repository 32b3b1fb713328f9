"""What the database that ships with the package answers: per network, how much of its bound is measured.

    python benchmarks/shipped_page.py [DATA_FOLDER]

Reads the package's database and ``results/h200_database.json``; writes ``results/shipped.json`` and
``docs/shipped.md``. Nothing is measured here. The networks are those that ``h200_database.py`` plans.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import headroom as hr
from h200_database import CIFAR_BATCH, SLICES, Slice, cifar_graphs
from record import RESULTS, ROOT, read_data_folder, write_result

DATABASE = ROOT / "src" / "headroom" / "store" / "shipped" / "h200.sqlite"

Case = dict[str, Any]


def cases(data: Path) -> Iterator[Case]:
    """A row per network, batch and data type of the plan; what cannot be read is no part of the database."""
    for part in SLICES:
        for name, graph in graphs(part, data):
            answer = hr.analyze(graph, "h200", part.dtype, db=DATABASE)
            yield {
                "network": name,
                "batch": part.batch or (CIFAR_BATCH if part.models == ("cifar",) else "own"),
                "dtype": part.dtype,
                "layers": len(answer.answers),
                "measured": sum(one.is_measured for one in answer.answers),
                "fused_share": answer.bounds.fused_measured_share,
            }


def graphs(part: Slice, data: Path) -> Iterator[tuple[str, hr.Graph]]:
    if part.models == ("cifar",):
        yield from cifar_graphs(data)
        return
    for path in sorted((data / "models").glob("*.onnx")):
        if part.models is None or path.stem in part.models:
            try:
                yield path.stem, hr.load(path, batch=part.batch)
            except hr.ModelError as error:
                print(f"left out: {error}", flush=True)


def text(contents: dict[str, Any], rows: list[Case]) -> str:
    return "\n".join([*_head(contents, rows), *_contents(contents["systems"]), *_networks(rows), ""])


def _head(contents: dict[str, Any], rows: list[Case]) -> list[str]:
    layers, measured = (sum(row[key] for row in rows) for key in ("layers", "measured"))
    return [
        "# What ships with the package",
        "",
        f"Measurements of an H200, {contents['bytes'] / 1e6:.1f} MB: the fastest implementation of every layer and",
        "fusible chain, warm and cold, and what PyTorch chooses itself. `headroom db list` shows what your own",
        f"database has. Of {layers:,} distinct layers in the second table, network by network,",
        f"{measured:,} are measured ({measured / layers:.1%}). Written by",
        "`benchmarks/shipped_page.py`.",
        "",
    ]


def _contents(systems: list[dict[str, Any]]) -> Iterator[str]:
    yield "| data type | layers and chains | rows | GPUs | measured |"
    yield "|---|---:|---:|---:|---|"
    for one in systems:
        days = " to ".join(dict.fromkeys((one["first"][:10], one["last"][:10])))
        yield f"| {one['dtype']} | {one['chains']:,} | {one['rows']:,} | {len(one['gpus'])} | {days} |"
    yield ""


def _networks(rows: list[Case]) -> Iterator[str]:
    """Distinct layers that are measured, and the share of the fused bound that is."""
    columns = list(dict.fromkeys((row["batch"], row["dtype"]) for row in rows))
    found = {(row["network"], row["batch"], row["dtype"]): _cell(row) for row in rows}
    yield from (
        "## Per network",
        "",
        "Distinct layers that are measured, and the share of the fused bound that rests on measurements; the rest is",
        "predicted, and every answer says so. *Own* is the batch that the model's file holds.",
        "",
        "| network |" + "".join(f" {dtype}, batch {batch} |" for batch, dtype in columns),
        "|---|" + "---:|" * len(columns),
    )
    for network in dict.fromkeys(row["network"] for row in rows):
        yield f"| {network} |" + "".join(f" {found.get((network, *column), '')} |" for column in columns)


def _cell(row: Case) -> str:
    layers = str(row["layers"]) if row["measured"] == row["layers"] else f"{row['measured']} of {row['layers']}"
    share = row["fused_share"]
    return layers if share is None else f"{layers}, {share:.0%}"


def main() -> None:
    rows = list(cases(read_data_folder()))
    write_result("shipped", {"cases": rows})
    page = text(json.loads((RESULTS / "h200_database.json").read_text()), rows)
    (ROOT / "docs" / "shipped.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
