"""Whole networks on an H200: what they take, and what Headroom predicted without one.

    python benchmarks/h200_networks.py measure OUT_FOLDER     (needs PyTorch, torchvision and the GPU)
    python benchmarks/h200_networks.py page [DATA_FOLDER]     (needs the shared models; writes docs/networks.md)

Networks are torchvision's, in bf16 and channels-last, BatchNorm kept apart from the convolutions. *One kernel per
layer* is eager PyTorch replayed as one CUDA graph, which is what the sequential bound stands for; *compiled* is
torch.compile, what the fused bound stands for. Times are medians of replays on random images.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

BATCHES = (1, 32)
EAGER = (
    "alexnet", "googlenet", "mobilenet_v2", "mobilenet_v3_large", "resnet18", "resnet50", "resnet152", "vgg16",
    "vgg16_bn", "shufflenet_v2_x1_0", "efficientnet_b0", "squeezenet1_1",
)  # fmt: skip
COMPILED = ("resnet50", "mobilenet_v2", "vgg16_bn", "googlenet")
REPLAYS = 15
TIME_LIMIT_S = 420.0


def measure(out: Path) -> None:
    """Write ``h200_networks.json``; networks that time did not suffice for are absent."""
    import torch

    begin = time.monotonic()
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.benchmark_limit = 0
    rows = []
    wanted = [(name, batch, False) for name in EAGER for batch in BATCHES]
    wanted += [(name, batch, True) for name in COMPILED for batch in BATCHES]
    for name, batch, compiled in wanted:
        if time.monotonic() - begin > TIME_LIMIT_S:
            break
        time_us, spread_us = network_us(name, batch, compiled)
        rows.append({"model": name, "batch": batch, "compiled": compiled, "time_us": time_us, "iqr_us": spread_us})
        print(name, batch, "compiled" if compiled else "eager", round(time_us, 1), flush=True)
        write(out, rows)


def write(out: Path, rows: list[dict[str, Any]]) -> None:
    """After every network, so that running out of time loses only the one in flight."""
    import torch

    about = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cudnn": torch.backends.cudnn.version()}
    date = time.strftime("%Y-%m-%d", time.gmtime())
    content = {"about": {"date": date, **about, "method": __doc__}, "rows": rows}
    (out / "h200_networks.json").write_text(json.dumps(content, indent=1) + "\n")


def network_us(name: str, batch: int, compiled: bool) -> tuple[float, float]:
    """Median and interquartile range of one inference in microseconds."""
    import torch
    import torchvision

    torch.manual_seed(0)
    extra = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    network = torchvision.models.get_model(name, weights=None, **extra).eval()
    network = network.to("cuda", torch.bfloat16, memory_format=torch.channels_last)
    images = torch.randn(batch, 3, 224, 224, device="cuda").to(torch.bfloat16)
    images = images.contiguous(memory_format=torch.channels_last)
    run = torch.compile(network) if compiled else network
    with torch.inference_mode():
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                run(images)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run(images)
        samples = []
        for _ in range(REPLAYS):
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            for _ in range(10):
                graph.replay()
            stop.record()
            stop.synchronize()
            samples.append(start.elapsed_time(stop) * 100.0)
    low, _, high = statistics.quantiles(samples, n=4)
    return statistics.median(samples), high - low


def page() -> None:
    """Predict the same networks and write the comparison."""
    import headroom as hr
    from record import DATA, RESULTS, ROOT, write_result

    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else DATA
    measured = json.loads((RESULTS / "h200_networks.json").read_text())
    rows = []
    for row in measured["rows"]:
        graph = hr.load(folder / "models" / f"{row['model']}.onnx", batch=row["batch"])
        bounds = hr.analyze(graph, "h200", "bf16", source="predicted").bounds
        fused = row["compiled"] and bounds.fused_us is not None
        predicted = bounds.fused_us if fused else bounds.sequential_us
        bar = bounds.fused_error_pct if fused else bounds.sequential_error_pct
        rows.append({**row, "predicted_us": predicted, "error_pct": bar, "light_us": bounds.speed_of_light_us})
    write_result("h200_networks_predicted", {"measured": measured["about"], "rows": rows})
    (ROOT / "docs" / "networks.md").write_text(text(measured["about"], rows))
    print(text(measured["about"], rows))


def text(about: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    lines = [
        "# Whole networks: predicted and measured",
        "",
        f"Measured on an {about['gpu']} ({about['date']}, PyTorch {about['torch']}, cuDNN {about['cudnn']}), bf16,",
        "channels-last, random images of 224x224. *One kernel per layer* is eager PyTorch replayed as a CUDA graph,",
        "beside the sequential bound; *compiled* is torch.compile, beside the fused bound. A bound adds up the fastest",
        "kernels known for each layer, each with its operands in the L2 cache: frameworks lie above it by what their",
        "own choice of kernels, their copies and the cache cost them, and its error bar is not meant for their times.",
        "Written by `benchmarks/h200_networks.py`.",
        "",
    ]
    for compiled, title in ((False, "One kernel per layer"), (True, "Compiled")):
        group = [row for row in rows if row["compiled"] is compiled]
        if not group:
            continue
        ratios = [row["predicted_us"] / row["time_us"] for row in group]
        below = sum(ratio < 1 for ratio in ratios)
        off = statistics.fmean(abs(ratio - 1) for ratio in ratios)
        lines += [
            f"## {title}",
            "",
            f"Mean distance {100 * off:.0f} %; {below} of {len(group)} predictions lie below the measured time.",
            "",
            "| network | batch | measured us | predicted us | bar | predicted / measured | speed of light us |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        lines += [
            f"| {row['model']} | {row['batch']} | {row['time_us']:.0f} | {row['predicted_us']:.0f} | "
            f"± {row['error_pct']:.0f} % | {ratio:.2f} | {row['light_us']:.1f} |"
            for ratio, row in zip(ratios, group, strict=True)
        ]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"] and len(sys.argv) == 3:
        measure(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["page"]:
        page()
    else:
        raise SystemExit(__doc__)
