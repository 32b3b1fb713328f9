"""Exported benchmarks beside the Python stopwatch on one GPU: the same layers, the same implementations, two programs.

    python benchmarks/travel.py run OUT_FOLDER [MODEL] [INCLUDE_FOLDER…]   (needs the GPU and g++; five minutes)
    python benchmarks/travel.py compare ROWS.jsonl DATABASE                (what ``run`` does at its end)

``run`` exports MODEL (ResNet-50) in bf16 at batch 1 and 32, compiles it against the headers and libraries that
PyTorch's CUDA build brings along, runs it, measures the same layers with ``headroom measure``, and writes
``travel.json``. Headers that no wheel on the machine has (CUDA's ``crt``) come from INCLUDE_FOLDERs. CMake is not
needed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import headroom as hr
from headroom.measure.run import Wishes, measure_graphs
from headroom.measure.travel.order import Order, fill
from headroom.store.rows import Status, Timing
from headroom.store.sources import source_of
from headroom.store.store import Store
from record import ROOT

FILE = "travel.json"
BATCHES = (1, 32)

#: Promised: of the layers that take at least so long, the share whose times differ by no more than that.
LONG_US, WITHIN, SHARE = 20.0, 0.03, 0.95

#: What both programs run; the stopwatch also has PyTorch's operators and compiler.
LIBRARIES = frozenset({"cudnn", "cudnn-legacy", "cublaslt"})

_LINKED = ("libcudnn.so.9", "libcublas.so.13", "libcublasLt.so.13", "libcudart.so.13", "libnvrtc.so.13")


def run(out: Path, model: str, includes: Sequence[Path]) -> None:
    """Export, build, run and compare; write one file."""
    out.mkdir(parents=True, exist_ok=True)
    graphs = [hr.load(model, batch=batch) for batch in BATCHES]
    print("\n".join(fill(out / "bench", graphs, Order((hr.DataType.BF16,), "h200"), Path(model).name)))
    spent = {}
    begin = time.monotonic()
    program = build(out / "bench", out, includes)
    spent["build_s"], begin = time.monotonic() - begin, time.monotonic()
    rows = out / "rows.jsonl"
    with rows.open("w") as file:
        libraries = os.pathsep.join(str(folder) for folder in library_folders())
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": f"{libraries}{os.pathsep}{os.environ.get('LD_LIBRARY_PATH', '')}",
        }
        subprocess.run([program], stdout=file, env=environment, check=True)
    spent["run_s"], begin = time.monotonic() - begin, time.monotonic()
    with Store.open(out / "stopwatch.sqlite") as store:
        measure_graphs(graphs, (hr.DataType.BF16,), store, wishes=Wishes(workers=1))
    spent["stopwatch_s"] = time.monotonic() - begin
    found = {**compared(rows, out / "stopwatch.sqlite"), "seconds": spent}
    (out / FILE).write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({key: value for key, value in found.items() if key != "layers"}, indent=1))


def build(folder: Path, out: Path, includes: Sequence[Path]) -> Path:
    """Compile and link the program of ``folder`` as its CMake file does, against the wheels' files."""
    headers = [*includes, *_wheel_folders("include"), folder / "cudnn_frontend" / "include"]
    flags = ["-std=c++17", "-O2", "-DTRAVEL_GRAPH_API", "-DCUDNN_FRONTEND_SKIP_JSON_LIB", f"-I{folder / 'runtime'}"]
    flags += [word for path in headers for word in ("-isystem", str(path))]
    sources = [*(folder / "runtime").glob("*.cpp"), *(folder / "tables").glob("*.cpp")]

    def compile_one(source: Path) -> str:
        made = str(out / f"{source.stem}.o")
        subprocess.run(["g++", *flags, "-c", str(source), "-o", made], check=True)
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sorted(sources, key=lambda path: path.name != "graph_api.cpp")))
    linked = [word for path in library_folders() for word in (f"-L{path}", f"-Wl,-rpath-link,{path}")]
    program = out / "headroom_benchmarks"
    subprocess.run(["g++", "-o", program, *objects, *linked, *(f"-l:{name}" for name in _LINKED), "-ldl"], check=True)
    return program


def library_folders() -> list[Path]:
    return _wheel_folders("lib")


def _wheel_folders(name: str) -> list[Path]:
    root = Path(sysconfig.get_path("purelib")) / "nvidia"
    return sorted(path for path in root.glob(f"*/{name}") if path.is_dir())


def compared(rows: Path, database: Path) -> dict[str, Any]:
    """The fastest implementation of each layer that both programs timed with care, and every such implementation."""
    layers = []
    with Store.open(database, read_only=True) as store:
        (summary,) = store.systems()
        for record in source_of([rows]).records():
            theirs = dict(_timed(store.timings(record.chain.digest, summary.system, record.dtype)))
            ours = dict(_timed(record.timings))
            both = sorted(set(ours) & set(theirs), key=str)
            if both:
                layers.append(
                    {
                        "layer": record.chain.title,
                        "digest": record.chain.digest,
                        "travelled_us": min(ours.values()),
                        "stopwatch_us": min(theirs.values()),
                        "same": [(ours[each], theirs[each]) for each in both],
                    }
                )
    best = [_difference(layer["travelled_us"], layer["stopwatch_us"]) for layer in layers if _is_long(layer)]
    same = [_difference(a, b) for layer in layers for a, b in layer["same"] if b >= LONG_US]
    return {"promise": {"long_us": LONG_US, "within": WITHIN, "share": SHARE}, "best": _spread(best),
            "same_implementation": _spread(same), "layers": layers}  # fmt: skip


def _timed(timings: Sequence[Timing]) -> Iterator[tuple[tuple[str, str, str], float]]:
    """Warm times that count, by implementation."""
    for row in timings:
        if row.status is Status.OK and row.l2 == "warm" and row.implementation.backend in LIBRARIES:
            implementation = row.implementation
            yield (implementation.backend, implementation.name, implementation.layout), row.median_us or 0.0


def _is_long(layer: dict[str, Any]) -> bool:
    return float(layer["stopwatch_us"]) >= LONG_US


def _difference(first: float, second: float) -> float:
    return abs(first - second) / second


def _spread(differences: Sequence[float]) -> dict[str, Any]:
    if not differences:
        return {"layers": 0}
    within = sum(each <= WITHIN for each in differences) / len(differences)
    return {
        "layers": len(differences),
        "share_within": within,
        "kept": within >= SHARE,
        "median": statistics.median(differences),
        "worst": max(differences),
    }


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["compare", rows, database]:
            told = compared(Path(rows), Path(database))
            print(json.dumps({key: value for key, value in told.items() if key != "layers"}, indent=1))
        case ["run", out, *rest]:
            model, *includes = rest or [str(ROOT / "examples" / "resnet50.onnx")]
            run(Path(out), model, [Path(folder) for folder in includes])
        case _:
            raise SystemExit(__doc__)
