"""What measured rows of one GPU may change: a factor on each term of a time, per group of kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from headroom.gpu.spec import GpuSpec
from headroom.predict.calibration import Calibration, family_with_own
from headroom.predict.constants import AttentionConstants, GemmConstants, StreamConstants, TransformConstants
from headroom.predict.kernel_time import KernelSet

#: Groups of kernels that have terms of their own: products and convolutions by the unit that multiplies, whatever
#: streams its bytes, and fused attention.
GROUPS = ("tensor matmul", "tensor convolution", "plain matmul", "plain convolution", "streams", "attention")


@dataclass(frozen=True, slots=True)
class Terms:
    """Factors on the terms of a time: above 1, this GPU takes longer than the shared constants say.

    ``launch`` of what a kernel takes before it does anything, ``latency`` of what it waits for, ``arithmetic`` of its
    multiplications and instructions, ``l2`` and ``dram`` of its bytes at these levels.
    """

    launch: float = 1.0
    latency: float = 1.0
    arithmetic: float = 1.0
    l2: float = 1.0
    dram: float = 1.0

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))

    def on_products(self, constants: GemmConstants) -> GemmConstants:
        return replace(
            constants,
            efficiency={family: share / self.arithmetic for family, share in constants.efficiency.items()},
            output_cycles=constants.output_cycles * self.arithmetic,
            launch_factor=constants.launch_factor * self.launch,
            round_latencies=constants.round_latencies * self.latency,
            slice_ns=constants.slice_ns * self.latency,
            step_cycles=constants.step_cycles * self.latency,
            l2_share=constants.l2_share / self.l2,
            dram_share=constants.dram_share / self.dram,
        )

    def on_kernels(self, known: KernelSet) -> KernelSet:
        kernels, shares = known.kernels, known.shares
        return replace(
            known,
            kernels=replace(
                kernels,
                efficiency=kernels.efficiency / self.arithmetic,
                launch_us=kernels.launch_us * self.launch,
                around_us=kernels.around_us * self.launch,
                pad_us=kernels.pad_us * self.launch,
                start_us=kernels.start_us * self.latency,
                wait_ns=kernels.wait_ns * self.latency,
            ),
            shares=replace(
                shares,
                l2=shares.l2 / self.l2,
                stores=shares.stores / self.l2,
                copies=shares.copies / self.l2,
                dram=shares.dram / self.dram,
                sustained=shares.sustained / self.arithmetic,
            ),
        )

    def on_transforms(self, constants: TransformConstants) -> TransformConstants:
        shares = {family: share / self.arithmetic for family, share in constants.fused_efficiency.items()}
        return replace(constants, fused_efficiency=shares, round_latencies=constants.round_latencies * self.latency)

    def on_streams(self, constants: StreamConstants) -> StreamConstants:
        kernels = {
            sort: replace(
                cost,
                start_us=cost.start_us * self.latency,
                value_cycles=cost.value_cycles * self.arithmetic,
                group_cycles=cost.group_cycles * self.arithmetic,
            )
            for sort, cost in constants.kernels.items()
        }
        return replace(
            constants,
            kernels=kernels,
            launch_factor=constants.launch_factor * self.launch,
            ramp_us=constants.ramp_us * self.latency,
            l2_share=constants.l2_share / self.l2,
            dram_share=constants.dram_share / self.dram,
        )

    def on_attention(self, constants: AttentionConstants) -> AttentionConstants:
        return replace(
            constants,
            start_launches=constants.start_launches * self.launch,
            decode_launches=constants.decode_launches * self.launch,
            round_latencies=constants.round_latencies * self.latency,
            matrix_share=constants.matrix_share / self.arithmetic,
            exponential_share=constants.exponential_share / self.arithmetic,
            l2_share=constants.l2_share / self.l2,
            dram_share=constants.dram_share / self.dram,
        )


def with_terms(calibration: Calibration, gpu: GpuSpec, terms: Mapping[str, Terms]) -> Calibration:
    """``calibration`` for ``gpu`` alone, each set of constants moved by the terms of its group.

    ``terms`` holds groups (those of :data:`GROUPS`; one may be absent) and sorts of convolutions within them, as in
    ``tensor convolution: pointwise``, whose terms stand in place of their group's.
    """
    of = {group: terms.get(group, Terms()) for group in GROUPS}
    family = family_with_own(gpu)
    own = {name: _of_own(name, terms).on_products(constants) for name, constants in calibration.own_gemm.items()}
    # One shared set serves both libraries on tensor cores; here each has its own.
    for library in ("matmul", "convolution"):
        own.setdefault(f"{family} tensor {library}", of[f"tensor {library}"].on_products(calibration.tensor))
    for name, moved in terms.items():
        group, _, sort = name.partition(": ")
        unit = group.partition(" ")[0]
        if sort and f"{family} {unit} {sort}" not in own:
            usual = calibration.tensor if unit == "tensor" else calibration.plain
            base = calibration.own_gemm.get(f"{family} {unit} convolution", usual)
            own[f"{family} {unit} {sort}"] = moved.on_products(base)
    return replace(
        calibration,
        plain=of["plain convolution"].on_products(calibration.plain),
        plain_matmul=of["plain matmul"].on_products(calibration.plain_matmul),
        tensor=of["tensor convolution"].on_products(calibration.tensor),
        stream=of["streams"].on_streams(calibration.stream),
        attention=of["attention"].on_attention(calibration.attention),
        transforms=of["plain convolution"].on_transforms(calibration.transforms),
        own_gemm=own,
        own_stream={name: of["streams"].on_streams(own) for name, own in calibration.own_stream.items()},
        own_kernels={name: _of_own(name, terms).on_kernels(known) for name, known in calibration.own_kernels.items()},
        own_transforms={
            name: of["plain convolution"].on_transforms(own) for name, own in calibration.own_transforms.items()
        },
    )


def _of_own(name: str, terms: Mapping[str, Terms]) -> Terms:
    """The terms of a set of its own, by its name: ``hopper tf32 pointwise``, or ``plain wgrad`` of several families."""
    kernels, sort = name.split(" ")[-2:]
    unit = "plain" if kernels in ("plain", "fp32") else "tensor"
    group = f"{unit} {'matmul' if sort == 'matmul' else 'convolution'}"
    return terms.get(f"{group}: {sort}", terms.get(group, Terms()))
