"""What settings really gain: each beside the run that it changes, on an H200, with a profile of that run.

    python benchmarks/advice_gains.py measure OUT_FOLDER [--limit SECONDS] [--networks NAME,…] [--rehearse]
    python benchmarks/advice_gains.py page [DATA_FOLDER]

``measure`` needs the GPU, PyTorch, torchvision and transformers. It appends to ``OUT_FOLDER/advice_gains.jsonl``, skips
what is there, and stops in time for ``--limit``. A run and its change are timed by turns, block after block, so that a
drift meets both alike; a profile of the run, from which the advice is made, goes to ``OUT_FOLDER/profiles``;
``advice_kept.py`` keeps both. ``page`` needs neither: it reads what was kept, asks Headroom for advice on each run, and
writes ``docs/advice-figures.md``.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bound_networks
from advice_kept import FILE
from headroom.measure.bench import UnsupportedError
from headroom.measure.networks.device import Device, Gpu, Host, Run
from headroom.measure.profiles.recording.steps import keep_trace, record_steps
from planted_networks import PLANTED

if TYPE_CHECKING:
    import torch

NETWORKS = (
    "resnet50", "vit_b_16", "bert_base", "mobilenet_v2", "googlenet", "efficientnet_b0", "convnext_tiny", "vgg16",
    "resnet18", "squeezenet1_1", "shufflenet_v2_x1_0", "alexnet",
)  # fmt: skip
BATCHES = (1, 32)

#: Nothing to fold there.
WITHOUT_BATCH_NORM = ("vit_b_16", "bert_base", "convnext_tiny", "vgg16", "squeezenet1_1", "alexnet")

#: Whose pooling layers are modules that can be compiled by themselves.
POOLED = ("googlenet", "vgg16", "resnet18", "squeezenet1_1", "alexnet")

#: Where branches can be put on streams of their own, and where something is planted.
BRANCHED, PLANTED_IN = ("googlenet",), ("resnet50", "mobilenet_v2")

BLOCKS = 7
BLOCK_S = 0.03
STEPS = 3


@dataclass(frozen=True)
class Way:
    """How a network is run. ``pooling`` says that its pooling layers are compiled, ``planted`` names what is planted
    into it."""

    dtype: str = "fp32"
    channels_last: bool = False
    benchmark: bool = False
    tf32: bool = False
    autocast: bool = False
    captured: bool = False
    streams: bool = False
    folded: bool = False
    pooling: bool = False
    planted: str = ""

    @property
    def name(self) -> str:
        words = [self.dtype]
        words += [
            word.replace("_", "-") for word in ("channels_last", "benchmark", "tf32", "autocast") if getattr(self, word)
        ]
        words += ["graph"] if self.captured else []
        words += [word for word in ("streams", "folded", "pooling") if getattr(self, word)]
        return " ".join([*words, *([f"with {self.planted}"] if self.planted else [])])


@dataclass(frozen=True)
class Change:
    """A setting, and the run that it changes."""

    setting: str
    before: Way
    after: Way


def changes(network: str) -> Iterator[Change]:
    """What is tried on ``network``, grouped by the run that is changed."""
    plain, half = Way(), Way(dtype="bf16")
    graph = replace(half, captured=True)
    yield Change("cuda-graph", plain, replace(plain, captured=True))
    yield Change("tf32", plain, replace(plain, tf32=True))
    yield Change("autocast", plain, replace(plain, autocast=True))
    yield Change("bf16", plain, half)
    yield Change("channels-last", plain, replace(plain, channels_last=True))
    yield Change("benchmark", plain, replace(plain, benchmark=True))
    yield Change("cuda-graph", half, graph)
    yield Change("channels-last", half, replace(half, channels_last=True))
    yield Change("benchmark", half, replace(half, benchmark=True))
    yield Change("channels-last", graph, replace(graph, channels_last=True))
    yield Change("benchmark", graph, replace(graph, benchmark=True))
    last = replace(graph, channels_last=True)
    yield Change("benchmark", last, replace(last, benchmark=True))
    still = replace(graph, dtype="fp32")
    yield Change("tf32", still, replace(still, tf32=True))
    yield Change("bf16", still, graph)
    if network not in WITHOUT_BATCH_NORM:
        yield Change("fold", graph, replace(graph, folded=True))
    if network in POOLED:
        yield Change("compiled pooling", last, replace(last, pooling=True))
    if network in BRANCHED:
        yield Change("streams", graph, replace(graph, streams=True))
    if network in PLANTED_IN:
        for planted in PLANTED:
            yield Change(f"without {planted}", replace(half, planted=planted), half)


class Runner:
    """One network run one way, in a thread of its own.

    PyTorch keeps a convolution's plan per thread and shape, however it was chosen: in one thread cuDNN's search would
    change nothing for shapes that were run before.
    """

    def __init__(self, network: str, batch: int, way: Way, device: Device) -> None:
        self._way, self._device = way, device
        self._thread = ThreadPoolExecutor(1)
        self._module, self._run = self._thread.submit(self._prepared, network, batch).result()

    def close(self) -> None:
        self._thread.shutdown()

    def block_us(self, repeats: int) -> float:
        """Microseconds per inference of ``repeats`` in a row, the GPU's last work included."""
        return self._thread.submit(self._block_us, repeats).result()

    def profile(self, place: Path) -> None:
        """Write a compressed trace of a few marked steps to ``place``."""
        self._thread.submit(self._profile, place).result()

    def _prepared(self, network: str, batch: int) -> tuple[torch.nn.Module, Run]:
        import torch

        module, example = made(network, self._device.torch)
        if self._way.planted:
            PLANTED[self._way.planted](module)
        if self._way.folded:
            from torch.fx.experimental.optimization import fuse

            module = fuse(module)
        if self._way.pooling:
            compile_pooling(module)
        if self._way.streams:
            put_branches_on_streams(module)
        example = example.repeat(batch, *[1] * (example.dim() - 1))
        if self._way.dtype == "bf16":
            module = module.bfloat16()
        if example.is_floating_point():
            example = torch.randn_like(example)
            example = example.bfloat16() if self._way.dtype == "bf16" else example
        if self._way.channels_last and example.dim() == 4:
            module = module.to(memory_format=torch.channels_last)
            example = example.contiguous(memory_format=torch.channels_last)

        def run() -> Any:
            cast = torch.autocast(self._device.torch.type, torch.bfloat16) if self._way.autocast else nullcontext()
            with torch.inference_mode(), cast:
                return module(example)

        self._set()
        for _ in range(3):
            run()
        return module, self._device.captured(run) if self._way.captured else run

    def _set(self) -> None:
        import torch

        torch.backends.cudnn.benchmark = self._way.benchmark
        torch.backends.cuda.matmul.allow_tf32 = self._way.tf32

    def _block_us(self, repeats: int) -> float:
        self._set()
        self._run()
        return self._device.wall_us(self._run, repeats)

    def _profile(self, place: Path) -> None:
        self._set()
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "trace.json"
            record_steps(self._module, self._run, self._device, STEPS, raw, speaking=not self._way.captured)
            keep_trace(raw, {}, place)


@lru_cache(maxsize=1)
def _made(network: str, device: torch.device) -> tuple[torch.nn.Module, torch.Tensor]:
    module, example = getattr(bound_networks, network)()
    return module.to(device), example.to(device)


def made(network: str, device: torch.device) -> tuple[torch.nn.Module, torch.Tensor]:
    """A copy of a network, to change at will, and its example: drawing random weights anew takes longer than a run."""
    module, example = _made(network, device)
    return copy.deepcopy(module), example


def compile_pooling(module: torch.nn.Module) -> None:
    """Every pooling layer compiled in its place, as the advice has it."""
    import torch

    pools = (torch.nn.MaxPool2d, torch.nn.AvgPool2d, torch.nn.AdaptiveAvgPool2d)
    for path in [path for path, part in module.named_modules() if isinstance(part, pools)]:
        module.set_submodule(path, torch.compile(module.get_submodule(path)))


def put_branches_on_streams(module: Any) -> None:
    """The four branches of GoogLeNet's blocks, each on a stream of its own."""
    import torch
    from torchvision.models.googlenet import Inception

    side = [torch.cuda.Stream() for _ in range(3)]

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        main = torch.cuda.current_stream()
        outputs = [self.branch1(x)]
        for stream, branch in zip(side, (self.branch2, self.branch3, self.branch4), strict=True):
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                outputs.append(branch(x))
        for stream in side:
            main.wait_stream(stream)
        return torch.cat(outputs, 1)

    for block in module.modules():
        if isinstance(block, Inception):
            block.forward = forward.__get__(block)


def measure(arguments: argparse.Namespace) -> None:
    """Every change of every network, until the time is up."""
    begin = time.monotonic()
    out, device = Path(arguments.out), Host() if arguments.rehearse else Gpu()
    (out / "profiles").mkdir(parents=True, exist_ok=True)
    path = out / FILE
    path.touch()
    done = {key_of(json.loads(line)) for line in path.read_text().splitlines()}
    for batch in BATCHES:
        for network in arguments.networks.split(",") if arguments.networks else NETWORKS:
            before: dict[Way, Runner] = {}
            for change in changes(network):
                if time.monotonic() - begin > arguments.limit:
                    print(f"stopping before {network} {batch} {change.setting}")
                    return
                if (network, batch, change.before.name, change.setting) in done:
                    continue
                row = {"network": network, "batch": batch, "before": change.before.name, "setting": change.setting}
                try:
                    if change.before not in before:
                        for runner in before.values():
                            runner.close()
                        before = {change.before: Runner(network, batch, change.before, device)}
                        file = f"{network}-{batch}-{change.before.name.replace(' ', '_')}.json.gz"
                        before[change.before].profile(out / "profiles" / file)
                    row |= compared(before[change.before], network, batch, change.after, device)
                except (RuntimeError, UnsupportedError) as error:
                    row["error"] = f"{type(error).__name__}: {error}"[:200]
                with path.open("a") as file_of_rows:
                    file_of_rows.write(json.dumps(row) + "\n")
                print(row, flush=True)
                if not device.is_alive():
                    raise SystemExit("the GPU's context is lost: run again to go on")
            for runner in before.values():
                runner.close()
    print("nothing is left to measure")


def compared(before: Runner, network: str, batch: int, way: Way, device: Device) -> dict[str, float]:
    """Both by turns; medians and the median of the differences of neighbours, with its interquartile range."""
    after = Runner(network, batch, way, device)
    try:
        repeats = [max(3, int(BLOCK_S * 1e6 / max(1.0, runner.block_us(3)))) for runner in (before, after)]
        pairs = [(before.block_us(repeats[0]), after.block_us(repeats[1])) for _ in range(BLOCKS)]
    finally:
        after.close()
    gains = [one - other for one, other in pairs]
    low, _, high = statistics.quantiles(gains, n=4)
    return {
        "before_us": statistics.median(one for one, _ in pairs),
        "after_us": statistics.median(other for _, other in pairs),
        "gain_us": statistics.median(gains),
        "gain_iqr_us": high - low,
    }


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["network"], row["batch"], row["before"], row["setting"]


def main() -> None:
    if sys.argv[1:2] == ["page"]:
        import advice_page

        advice_page.write(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["measure"])
    parser.add_argument("out")
    parser.add_argument("--limit", type=float, default=540.0)
    parser.add_argument("--networks", default="")
    parser.add_argument("--rehearse", action="store_true", help="on the host, without a GPU")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
