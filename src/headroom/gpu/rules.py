"""The rules that derive what no source states about a GPU from what is measured on its relatives.

Rates, cache bandwidths and cache latencies scale with SMs and clock from the figures of the architecture
(:mod:`headroom.gpu.architecture`, measured GPUs named there). DRAM efficiency and latency depend on the memory
and its controller, so they follow the nearest measured board. Whatever a sheet states itself wins over a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headroom.gpu.architecture import Architecture
from headroom.gpu.schema import Entry


@dataclass(frozen=True, slots=True)
class DramBehaviour:
    """How one family of boards uses its DRAM.

    ``share`` is achieved over peak bandwidth; ``leg_ns`` what a load takes beyond an L2 hit; ``fitted_on``
    names the measured GPUs.
    """

    share: float
    leg_ns: float
    fitted_on: str


#: How DRAM behaves by (architecture, memory type), then by memory type alone for architectures nobody measured.
#: V100: RRZE gpu-benches 867 of 898 GB/s, 434 - 212 cycles at 1380 MHz. P100: DeLTA Table I 550 of 732. TITAN Xp:
#: DeLTA 450 of 547.6. K80, M60, P4: Jia et al. 2019 Table 3.1 (191/240, 127/160, 162/192). Turing: Habitat's
#: RTX 2070 383/448, RTX 2080 Ti 524/616. A100: gpu-benches 1372 of 1555, 552 - 206 cycles at 1410 MHz. A40: 680 of
#: 696, 556 - 250 cycles at 1740 MHz. L40: 845 of 864, 625 - 274 at 2490 MHz. Hopper: H100 PCIe 1988 of 2039, H200
#: 3888 of 4800, GH200 689 - 281 cycles at 1980 MHz. B200: markdewing/AI_kernels, 860 - 295 cycles at 1965 MHz.
DRAM_BEHAVIOUR: Mapping[tuple[str, str], DramBehaviour] = {
    ("", "GDDR5"): DramBehaviour(0.80, 176, "bandwidth K80, M60 and P4, latency A40"),
    ("", "GDDR5X"): DramBehaviour(0.82, 176, "bandwidth TITAN Xp, latency A40"),
    ("", "GDDR6"): DramBehaviour(0.853, 176, "bandwidth RTX 2070 and RTX 2080 Ti, latency A40"),
    ("", "GDDR6X"): DramBehaviour(0.853, 135, "bandwidth RTX 2070 and RTX 2080 Ti, latency RTX 4090"),
    ("", "HBM2"): DramBehaviour(0.75, 161, "bandwidth P100, latency V100"),
    ("", "HBM2e"): DramBehaviour(0.88, 245, "A100"),
    ("", "HBM3"): DramBehaviour(0.89, 206, "bandwidth mean of H100 PCIe and H200, latency GH200"),
    ("", "HBM3e"): DramBehaviour(0.81, 206, "bandwidth H200, latency GH200"),
    ("", "LPDDR4"): DramBehaviour(0.75, 176, "no LPDDR board measured: the lowest share of any, latency A40"),
    ("", "LPDDR5"): DramBehaviour(0.75, 176, "no LPDDR board measured: the lowest share of any, latency A40"),
    ("Volta", "HBM2"): DramBehaviour(0.965, 161, "V100"),
    ("Ampere", "HBM2"): DramBehaviour(0.88, 245, "A100"),
    ("Ampere", "GDDR6"): DramBehaviour(0.977, 176, "A40"),
    ("Ampere", "GDDR6X"): DramBehaviour(0.977, 176, "A40"),
    ("Ada", "GDDR6"): DramBehaviour(0.978, 141, "L40"),
    ("Ada", "GDDR6X"): DramBehaviour(0.978, 135, "bandwidth L40, latency RTX 4090"),
    ("Blackwell", "HBM3e"): DramBehaviour(0.81, 288, "bandwidth H200, latency B200"),
}
#: Memory types that a sheet may name.
MEMORY_TYPES = tuple(sorted({memory for _, memory in DRAM_BEHAVIOUR}))

#: Back-to-back launches of a kernel that touches 64 kB: A100 2.6, A40 2.0, H200 2.4, L40 1.6 us (RRZE gpu-benches,
#: small kernels without graphs). It is the driver's and the front end's time, so it hardly depends on the GPU.
TYPICAL_LAUNCH_US = 2.2


#: Fields that the rules multiply: a sheet without them cannot be filled.
NEEDED = ("sms", "clock_mhz", "dram_peak_gbs")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may look at: the values so far, the architecture and the kind of memory."""

    values: Mapping[str, float]
    architecture: Architecture
    memory_type: str

    @property
    def sm_gcycles(self) -> float:
        """10^9 SM clocks per second of the whole GPU; times bytes per clock it gives GB/s."""
        return self.values["sms"] * self.values["clock_mhz"] / 1e3

    @property
    def dram(self) -> DramBehaviour | None:
        by_family = DRAM_BEHAVIOUR.get((self.architecture.name, self.memory_type))
        return by_family or DRAM_BEHAVIOUR.get(("", self.memory_type))


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field is derived. ``compute`` returns None where the rule has nothing to go by."""

    field: str
    statement: str
    compute: Callable[[Facts], float | None]
    origin: Callable[[Facts], str]


def _per_clock(group: str, key: str) -> Callable[[Facts], float | None]:
    """Bandwidth in GB/s from a group's bytes per clock per SM."""
    return lambda facts: getattr(facts.architecture, group)[key] * facts.sm_gcycles


def _cycles(group: str) -> Callable[[Facts], float | None]:
    """Latency in ns from a group's clocks at the sheet's clock."""
    return lambda facts: getattr(facts.architecture, group)["latency_cycles"] / facts.values["clock_mhz"] * 1e3


def _group_source(group: str) -> Callable[[Facts], str]:
    return lambda facts: facts.architecture.sources[group]


def _dram_share(facts: Facts) -> float | None:
    return facts.values["dram_peak_gbs"] * facts.dram.share if facts.dram else None


def _dram_latency(facts: Facts) -> float | None:
    return facts.values["l2_latency_ns"] + facts.dram.leg_ns if facts.dram else None


def _dram_source(facts: Facts) -> str:
    return f"fitted on: {facts.dram.fitted_on}" if facts.dram else ""


#: In order: later rules may use what earlier ones filled in.
RULES: tuple[Rule, ...] = (
    Rule(
        "l1_bandwidth_gbs",
        "the load path of every SM of an architecture is as wide: bytes per clock per SM stay",
        _per_clock("l1", "bytes_per_clock"),
        _group_source("l1"),
    ),
    Rule(
        "shared_bandwidth_gbs",
        "the banks of every SM of an architecture are as wide: bytes per clock per SM stay",
        _per_clock("shared", "bytes_per_clock"),
        _group_source("shared"),
    ),
    Rule(
        "l2_bandwidth_gbs",
        "L2 slices and crossbar grow with the SMs within an architecture: bytes per clock per SM stay",
        _per_clock("l2", "bytes_per_clock_per_sm"),
        _group_source("l2"),
    ),
    Rule(
        "l1_latency_ns",
        "the pipeline to L1 is as deep on every SM of an architecture: clocks stay",
        _cycles("l1"),
        _group_source("l1"),
    ),
    Rule(
        "l2_latency_ns",
        "the way to L2 takes about as many clocks on every GPU of an architecture",
        _cycles("l2"),
        _group_source("l2"),
    ),
    Rule(
        "shared_latency_ns",
        "the pipeline to shared memory is as deep on every SM of an architecture: clocks stay",
        _cycles("shared"),
        _group_source("shared"),
    ),
    Rule(
        "dram_bandwidth_gbs",
        "kernels reach the same share of the DRAM's peak as on measured boards with such memory",
        _dram_share,
        _dram_source,
    ),
    Rule(
        "dram_latency_ns",
        "a DRAM load takes an L2 hit plus the time beyond L2 of measured boards with such memory",
        _dram_latency,
        _dram_source,
    ),
    Rule(
        "launch_us",
        "back-to-back launches are bounded by driver and front end, so take about the same time on every GPU",
        lambda _: TYPICAL_LAUNCH_US,
        lambda _: "mean of A100, A40, H200 and L40 (RRZE gpu-benches, small kernels in one stream)",
    ),
)


def fill(entries: Mapping[str, Entry], architecture: Architecture | None, memory_type: str) -> dict[str, Entry]:
    """``entries`` with every field added that the architecture states or a rule derives.

    What the entries hold already is kept. Without an architecture nothing is added.
    """
    filled = dict(entries)
    if architecture is None:
        return filled
    for name, value in (*architecture.limits.items(), ("l1_bytes_per_sm", architecture.l1["bytes_per_sm"])):
        group = "limits" if name in architecture.limits else "l1"
        filled.setdefault(name, Entry(value, architecture.sources[group]))
    _fill_rates(filled, architecture)
    for rule in RULES:
        if rule.field in filled:
            continue
        facts = Facts({name: entry.value for name, entry in filled.items()}, architecture, memory_type)
        derived = rule.compute(facts)
        if derived is not None:
            filled[rule.field] = Entry(derived, f"rule: {rule.statement}; {rule.origin(facts)}", derived=True)
    return filled


def _fill_rates(filled: dict[str, Entry], architecture: Architecture) -> None:
    """Flop rates that the entries lack: SMs x flops per clock per SM x clock.

    Tensor rates use ``tensor_clock_mhz`` where a sheet states one, because some datasheets give their tensor
    rates at a lower clock than the boost clock.
    """
    clocks = {"plain": filled["clock_mhz"], "tensor": filled.get("tensor_clock_mhz", filled["clock_mhz"])}
    for unit, clock in clocks.items():
        for dtype, flops in getattr(architecture, unit).items():
            tflops = filled["sms"].value * flops * clock.value / 1e6
            source = f"rule: SMs x {flops:g} flops per clock x {clock.value:g} MHz; {architecture.sources[unit]}"
            if clock is not filled["clock_mhz"]:
                source += f"; {clock.source}"
            filled.setdefault(f"{unit}_tflops.{dtype}", Entry(tflops, source, derived=True))
