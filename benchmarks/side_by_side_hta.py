"""What Holistic Trace Analysis (HTA) says of the recorded profiles: benchmarks/results/hta.json.

HTA is no dependency of this project. Run this with a Python that has it (``pip install HolisticTraceAnalysis``) and
nothing else; ``side_by_side.py`` reads the figures.

    HTA_DISABLE_NS_ROUNDING=1 python benchmarks/side_by_side_hta.py
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hta.trace_analysis import TraceAnalysis

RESULTS = Path(__file__).parent / "results"

#: Kernels of the breakdown that are kept, the most expensive first.
_KERNELS = 3

#: Characters of a kernel's name that are kept.
_NAME = 80

#: Variants of the profiles; a replayed CUDA graph has no launches for HTA to lay beside its kernels.
_VARIANTS = ("default", "bf16", "bf16_channels_last")


def main() -> None:
    # Without this HTA cuts every duration down to whole microseconds, of which many a kernel has only one or two.
    if os.environ.get("HTA_DISABLE_NS_ROUNDING") != "1":
        raise SystemExit("set HTA_DISABLE_NS_ROUNDING=1, or kernels of a few microseconds are cut short")
    paths = [path for variant in _VARIANTS for path in sorted((RESULTS / "profiles").glob(f"*-{variant}.json.gz"))]
    runs = {path.name.removesuffix(".json.gz"): figures(path) for path in paths}
    about = {"hta": version("HolisticTraceAnalysis"), "pandas": version("pandas")}
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(run)}" for name, run in runs.items())
    text = f'{{"about": {json.dumps(about)}, "runs": {{\n{lines}\n}}}}\n'
    (RESULTS / "hta.json").write_text(text, "utf-8")


def figures(path: Path) -> dict[str, Any]:
    """HTA's own figures of a profile, over all of its steps, in microseconds."""
    with tempfile.TemporaryDirectory() as folder:
        steps, trace = readable(path, Path(folder))
        hta = TraceAnalysis(trace_files={0: str(trace)}, trace_dir=folder, include_last_profiler_step=True)
        temporal = hta.get_temporal_breakdown(visualize=False).iloc[0]
        idle, _ = hta.get_idle_time_breakdown(ranks=[0], visualize=False)
        _, kernels = hta.get_gpu_kernel_breakdown(visualize=False, num_kernels=_KERNELS)
        launches = hta.get_cuda_kernel_launch_stats(ranks=[0], visualize=False)[0]
        queue = hta.get_queue_length_summary()["queue_length"].iloc[0]
    named = [
        (one["name"][:_NAME], float(one["sum (us)"])) for one in kernels.to_dict("records") if one["name"] != "others"
    ]
    dearest = sorted(named, key=lambda one: -one[1])
    short = launches[launches.gpu_duration < launches.cpu_duration]
    return {
        "steps": steps,
        "idle_us": float(temporal["idle_time(us)"]),
        "compute_us": float(temporal["compute_time(us)"]),
        "kernel_us": float(temporal["kernel_time(us)"]),
        "idle_by_cause_us": {row.idle_category: float(row.idle_time) for row in idle.itertuples()},
        "kernels": dearest[:_KERNELS],
        "launches": len(launches),
        "short_launches": len(short),
        "short_launches_host_us": float(short.cpu_duration.sum()),
        "queue_mean": float(queue["mean"]),
        "queue_most": float(queue["max"]),
    }


def readable(path: Path, folder: Path) -> tuple[int, Path]:
    """A copy with what HTA asks for and the profiles lack, a rank and numbered steps; and how many steps there are."""
    trace = json.loads(gzip.decompress(path.read_bytes()))
    trace["distributedInfo"] = {"rank": 0, "world_size": 1, "backend": "nccl"}
    steps = 0
    for category in ("user_annotation", "gpu_user_annotation"):
        marks = [one for one in trace["traceEvents"] if one["name"] == "ProfilerStep" and one["cat"] == category]
        for number, mark in enumerate(sorted(marks, key=lambda one: one["ts"]), start=1):
            mark["name"] = f"ProfilerStep#{number}"
        steps = max(steps, len(marks))
    copy = folder / "trace.json.gz"
    copy.write_bytes(gzip.compress(json.dumps(trace).encode()))
    return steps, copy


if __name__ == "__main__":
    main()
