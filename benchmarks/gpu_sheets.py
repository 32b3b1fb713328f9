"""Write docs/gpus.md from the bundled sheets: what Headroom knows about each GPU, and by which rules.

Run: python benchmarks/gpu_sheets.py
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from headroom.files import write_whole
from headroom.gpu import rules
from headroom.gpu.architecture import known_capabilities, load_architecture
from headroom.gpu.describe import describe
from headroom.gpu.schema import FIELDS
from headroom.gpu.sheets import list_gpus
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType

PAGE = Path(__file__).resolve().parents[1] / "docs" / "gpus.md"

INTRODUCTION = """\
# GPUs that Headroom knows

<!-- Written by benchmarks/gpu_sheets.py from src/headroom/gpu/sheets; edit those. -->

A sheet holds what the predictions need to know about a GPU. Every figure has a source: a datasheet or whitepaper, a
published measurement, or a rule that derives it from measured relatives and says so. `headroom gpus show h200` prints
one sheet with the source of each figure.

Name a GPU by its id, by the beginning of an id that fits no other (`v100-sxm2`), by the name that NVIDIA's driver
reports (`NVIDIA A100-SXM4-80GB`), or by the path of a sheet of your own.
"""

CONVENTIONS = """\
## What the figures mean

- The clock is the boost clock that the datasheet's rates are given at. `nvidia-smi` may allow more, power may allow
  less: a T4 or an L4 seldom holds its boost clock through a long matrix product.
- Rates are dense, in 10^12 flops per second, a multiply-add being two; tensor rates accumulate in fp32, which halves
  them on GeForce boards. fp16 in italics is the plain rate of a GPU without tensor cores.
- Memory is what the driver reports where a source has it (ECC taken off), else the size as sold, in GiB.
- Bandwidths are what a well-written kernel reaches, over all SMs. `≈` marks what a rule derived.
- A K80 and an M60 carry two GPUs; a sheet is one of them, as for the driver.
"""

OWN_SHEET = """\
## A sheet of your own

A file in the same format is accepted wherever an id is (`--gpu my.toml`). What only you can know has to be there; what
follows from the architecture is filled in by the rules above, and whatever you state yourself wins over them.

```toml
compute_capability = "9.0"
memory_type = "HBM3"        # lets the rules derive achieved DRAM bandwidth and latency
sms = 100
clock_mhz = 1500
memory_bytes = 64_000_000_000
dram_peak_gbs = 3000
l2_bytes = 40_000_000

[tensor_tflops]             # optional: rates that do not follow from SMs and clock
bf16 = { value = 600, source = "measured with my kernel" }
```

For a what-if, name a base and change a field. The SMs' arithmetic, L1 and shared memory follow a changed SM count or
clock, achieved DRAM bandwidth follows the peak, the latency of DRAM moves with the L2's; otherwise L2 and DRAM stay
until you change them too.

```toml
base = "h200"
sms = 264
```

A sheet that lacks something, contradicts itself or holds an absurd value is refused with the field's name. The fields:
"""


def main() -> None:
    write_whole(PAGE, page())
    print(f"wrote {PAGE}")


def page() -> str:
    """The whole page."""
    gpus = list_gpus()
    sections = [
        INTRODUCTION,
        "## The sheets\n",
        table(OVERVIEW, (overview(gpu) for gpu in gpus)),
        CONVENTIONS,
        "## Memory hierarchy\n",
        "GB/s over all SMs, and ns of one dependent load.\n",
        table(HIERARCHY, (hierarchy(gpu) for gpu in gpus)),
        "## Rules\n",
        "What no source states follows from these; `headroom gpus show` names the measured GPUs behind each figure.\n",
        "".join(f"- `{rule.field}`: {rule.statement}.\n" for rule in rules.RULES),
        "Rates are SMs × flops per clock per SM × clock. Per SM and clock, an architecture has:\n",
        table(ARCHITECTURES, map(architecture, known_capabilities())),
        *(origin(capability) for capability in known_capabilities()),
        "DRAM figures lean on:\n",
        table(("architecture", "memory", "achieved / peak", "beyond L2", "measured on"), dram_rules()),
        OWN_SHEET,
        table(
            ("field", "unit", "range"),
            ((f"`{name}`", f.unit, f.expected.removesuffix(f.unit)) for name, f in FIELDS.items()),
        ),
        "## Where sources disagree\n",
        *(notes(gpu) for gpu in gpus if gpu.notes),
    ]
    return "\n".join(sections).rstrip() + "\n"


OVERVIEW = (
    "id",
    "architecture",
    "SMs",
    "MHz",
    "memory GiB",
    "fp32",
    "tf32",
    "fp16",
    "bf16",
    "fp8",
    "L2 MiB",
    "DRAM GB/s",
)


def overview(gpu: GpuSpec) -> Iterable[str]:
    return (
        f"`{gpu.id}`",
        f"{gpu.architecture} {gpu.compute_capability}",
        str(gpu.sms),
        f"{gpu.clock_mhz:.0f}",
        f"{gpu.memory_bytes / 2**30:.1f}",
        *(rate(gpu, dtype) for dtype in DataType),
        f"{gpu.l2.size_bytes / 2**20:.4g}",
        f"{gpu.dram_peak_gbs:.0f}",
    )


def rate(gpu: GpuSpec, dtype: DataType) -> str:
    if dtype in gpu.tensor_tflops:
        return f"{gpu.tensor_tflops[dtype]:.4g}"
    if dtype in gpu.plain_tflops:
        tflops = f"{gpu.plain_tflops[dtype]:.3g}"
        return tflops if dtype is DataType.FP32 else f"*{tflops}*"
    return "–"


HIERARCHY = ("id", "L1 GB/s", "L1 ns", "shared GB/s", "L2 GB/s", "L2 ns", "DRAM GB/s", "DRAM ns", "launch us")


def hierarchy(gpu: GpuSpec) -> Iterable[str]:
    rows = {row.field: row for row in describe(gpu)}
    fields = (
        "l1_bandwidth_gbs", "l1_latency_ns", "shared_bandwidth_gbs", "l2_bandwidth_gbs", "l2_latency_ns",
        "dram_bandwidth_gbs", "dram_latency_ns", "launch_us",
    )  # fmt: skip
    yield f"`{gpu.id}`"
    for field in fields:
        row = rows[field]
        yield ("≈ " if row.derived else "") + (f"{row.value:.1f}" if field == "launch_us" else f"{row.value:.0f}")


ARCHITECTURES = (
    "compute capability", "fp32 flops", "fp16 tensor flops", "L1 bytes", "L1 clocks", "L2 bytes", "L2 clocks",
    "shared bytes", "shared clocks",
)  # fmt: skip


def architecture(capability: str) -> Iterable[str]:
    known = load_architecture(capability)
    assert known is not None
    return (
        f"{capability} {known.name}",
        f"{known.plain['fp32']:g}",
        f"{known.tensor['fp16']:g}" if "fp16" in known.tensor else "–",
        f"{known.l1['bytes_per_clock']:g}",
        f"{known.l1['latency_cycles']:g}",
        f"{known.l2['bytes_per_clock_per_sm']:g}",
        f"{known.l2['latency_cycles']:g}",
        f"{known.shared['bytes_per_clock']:g}",
        f"{known.shared['latency_cycles']:g}",
    )


def origin(capability: str) -> str:
    """Where an architecture's figures come from."""
    known = load_architecture(capability)
    assert known is not None
    return f"**{capability}**\n\n" + "".join(f"- {group}: {source}\n" for group, source in known.sources.items())


def dram_rules() -> Iterable[Iterable[str]]:
    for (architecture, memory), behaviour in rules.DRAM_BEHAVIOUR.items():
        yield (
            architecture or "any other",
            memory,
            f"{behaviour.share:.3g}",
            f"{behaviour.leg_ns:.0f} ns",
            behaviour.fitted_on,
        )


def notes(gpu: GpuSpec) -> str:
    return f"**{gpu.id}**\n\n" + "".join(f"- {note}\n" for note in gpu.notes)


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    titles = list(titles)
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    main()
