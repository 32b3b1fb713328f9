"""EfficientNet-B0, B1 and B2 made wider and sharper until they take longer: what batch 1 leaves unused on a GPU.

    python benchmarks/efficientnet_scaling.py measure OUT [--limit SECONDS] [--dry-run]
    python benchmarks/efficientnet_scaling.py page [OUT]

``measure`` times every width and resolution by turns with the network as published, eager and as a CUDA graph, in bf16;
it goes on where it stopped. Eager mode decides, as in the paper, whose baseline waits for the host; a CUDA graph shows
how much of the gain is that. ``page`` copies the rows to ``benchmarks/results`` and writes ``docs/efficientnet.md``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from headroom.change.widths.scaling import Scaled, at_equal_latency
from page_tables import table
from record import RESULTS, ROOT

NAME, PAGE = "efficientnet_scaling.jsonl", ROOT / "docs" / "efficientnet.md"

WIDTHS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0)
#: Multiples of the published resolution.
SHARPER = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)

#: Gains in achieved FLOP/s that the paper has at equal latency.
PAPER = {"b0": 6.7, "b1": 5.6, "b2": 5.0}
TOLERANCE = 0.01

ROUNDS, TURN_S = 9, 0.03


def sizes(base: str, rehearsal: bool) -> Iterator[tuple[float, int]]:
    """Every (width, resolution) of a network, the published one first."""
    from efficientnet import SIZES

    own = SIZES[base].resolution
    for width in WIDTHS[:2] if rehearsal else WIDTHS:
        for sharper in SHARPER[:1] if rehearsal else SHARPER:
            yield width, (32 if rehearsal else round(own * sharper / 8) * 8 if sharper > 1 else own)


def measure(out: Path, limit_s: float, rehearsal: bool) -> int:
    """Measure what is missing; return how many sizes are left."""
    out.mkdir(parents=True, exist_ok=True)
    done = {(row["base"], row["width"], row["resolution"]) for row in rows_in(out / NAME)}
    end, left = time.monotonic() + limit_s, 0
    for base in PAPER:
        for width, resolution in sizes(base, rehearsal):
            if (base, width, resolution) in done:
                continue
            if time.monotonic() >= end:
                left += 1
                continue
            row = _measured(base, width, resolution, rehearsal)
            with (out / NAME).open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)
    return left


def _measured(base: str, width: float, resolution: int, rehearsal: bool) -> dict[str, Any]:
    """The network as published and the scaled one by turns."""
    import torch

    from efficientnet import SIZES, build
    from trained_networks import macs_and_parameters
    from training_study.timing import captured, turn_us

    device, kind = ("cpu", torch.float32) if rehearsal else ("cuda", torch.bfloat16)
    own = SIZES[base]
    pairs = [build(own, 1.0, 32 if rehearsal else own.resolution), build(own, width, resolution)]
    macs, parameters = macs_and_parameters(pairs[1][0], (3, resolution, resolution))
    turns: dict[str, tuple[list[float], list[float]]] = {}
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        runs = []
        for module, image in pairs:
            module, image = module.to(device, kind), image.to(device, kind)
            module, image = (each.to(memory_format=torch.channels_last) for each in (module, image))
            runs.append(lambda module=module, image=image: module(image))
        with torch.inference_mode():
            for run in runs:
                for _ in range(3):
                    run()
            ways = {"eager": runs} if rehearsal else {"eager": runs, "graph": [captured(run) for run in runs]}
            for way, both in ways.items():
                repeats = [max(1, int(TURN_S * 1e6 / turn_us(run, 3, not rehearsal))) for run in both]
                taken = [
                    [turn_us(run, count, not rehearsal) for run, count in zip(both, repeats, strict=True)]
                    for _ in range(2 if rehearsal else ROUNDS)
                ]
                turns[way] = ([each[0] for each in taken], [each[1] for each in taken])
    finally:
        torch.backends.cudnn.benchmark = before
    row: dict[str, Any] = {"base": base, "width": width, "resolution": resolution, "macs": macs}
    row |= {"parameters": parameters, "machine": "CPU" if rehearsal else torch.cuda.get_device_name()}
    row |= {"torch": torch.__version__, "date": time.strftime("%Y-%m-%d", time.gmtime())}
    for way, (published, scaled) in turns.items():
        row[f"{way}_us"] = statistics.median(scaled)
        row[f"{way}_of_published"] = statistics.median(b / a for a, b in zip(published, scaled, strict=True))
    return row


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def fronts(rows: Sequence[dict[str, Any]], way: str) -> Iterator[tuple[str, Scaled, tuple[Scaled, ...]]]:
    """For each network the published size, and the sizes that take no longer and that none beats.

    Times are relative to the published network's in the same turns, because a host's pace drifts over minutes.
    """
    for base in PAPER:
        points = [
            Scaled(row["width"], row["resolution"], row[f"{way}_of_published"], row["macs"], row["parameters"])
            for row in rows
            if row["base"] == base and f"{way}_of_published" in row
        ]
        if points:
            yield base, points[0], at_equal_latency(points, 1.0, TOLERANCE)


def page(rows: Sequence[dict[str, Any]]) -> str:
    told = sorted({f"{row['machine']}, PyTorch {row['torch']}, {row['date']}" for row in rows})
    lines = [
        "# EfficientNet: width and resolution that cost nothing",
        "",
        f"{'; '.join(told)}." if rows else "Nothing is measured yet: the tables wait for their rows.",
        "Written by `benchmarks/efficientnet_scaling.py`; rows in `benchmarks/results/efficientnet_scaling.jsonl`.",
        "",
        "EfficientNet-B0, B1 and B2 at batch 1 in bf16, wider and at higher resolutions, at the published network's "
        f"latency (within {100 * TOLERANCE:g} %). Depth stays (section 5.3 of the tail-effect paper). Gains are in "
        "achieved FLOP/s, which at equal latency is the gain in arithmetic.",
        "",
    ]
    for way, title in (("eager", "Eager mode, as in the paper"), ("graph", "As a CUDA graph")):
        body = [
            (f"EfficientNet-{base.upper()}", f"{each.width:g}", each.resolution, f"{each.macs / own.macs:.1f}x",
             f"{each.parameters / own.parameters:.1f}x", f"{100 * (each.time_us - 1):+.1f} %", f"{PAPER[base]:g}x")
            for base, own, front in fronts(rows, way)
            for each in front
        ]  # fmt: skip
        lines += [f"## {title}", ""]
        lines += table(("network", "width", "resolution", "FLOP/s", "parameters", "time", "paper's FLOP/s"), body)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("measure", "page"))
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--limit", type=float, default=450.0, help="seconds after which nothing new begins")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, a few small sizes")
    asked = parser.parse_args()
    if asked.what == "page":
        if asked.out is not None:
            shutil.copy(asked.out / NAME, RESULTS / NAME)
        PAGE.write_text(page(rows_in(RESULTS / NAME)), "utf-8")
        return
    if asked.out is None:
        raise SystemExit("say in which folder the rows are kept")
    left = measure(asked.out, asked.limit, asked.dry_run)
    print(f"{left} sizes are left; run again to go on" if left else "every size is there")


if __name__ == "__main__":
    main()
