"""The GPU as the equations see it: what one SM has, in bytes, macs and nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType


@dataclass(frozen=True, slots=True)
class Machine:
    """Rates of one SM. Bytes per nanosecond are 10^9 bytes per second; latencies are in nanoseconds.

    L2 and DRAM rates are the SM's share (BW / Num_SM, eq. 11). ``mac_rate`` is BW_MAC per SM in *macs* per
    nanosecond: Table I's GFLOPS count a multiply-add as two (3,840 cores x 1.58 GHz x 2 = 12,134), while
    eq. 13 counts it once.
    """

    sms: float
    mac_rate: float
    l1_rate: float
    l2_rate: float
    dram_rate: float
    shared_rate: float
    l1_latency_ns: float
    l2_latency_ns: float
    dram_latency_ns: float
    shared_latency_ns: float
    l1_request_bytes: float
    registers_per_sm: float
    shared_bytes_per_sm: float
    max_warps_per_sm: float
    max_ctas_per_sm: float

    @classmethod
    def of(cls, gpu: GpuSpec, dtype: DataType = DataType.FP32) -> Machine:
        """One SM of ``gpu`` computing in ``dtype``.

        The paper gives no shared-memory bandwidth; the sheet's is used for loads and stores alike, which
        share one data path.
        """
        return cls(
            sms=gpu.sms,
            mac_rate=gpu.peak_tflops(dtype) * 1e3 / 2 / gpu.sms,
            l1_rate=gpu.l1.bandwidth_gbs / gpu.sms,
            l2_rate=gpu.l2.bandwidth_gbs / gpu.sms,
            dram_rate=gpu.dram.bandwidth_gbs / gpu.sms,
            shared_rate=gpu.shared.bandwidth_gbs / gpu.sms,
            l1_latency_ns=gpu.l1.latency_ns,
            l2_latency_ns=gpu.l2.latency_ns,
            dram_latency_ns=gpu.dram.latency_ns,
            shared_latency_ns=gpu.shared.latency_ns,
            l1_request_bytes=l1_request_bytes(gpu),
            registers_per_sm=gpu.registers_per_sm,
            shared_bytes_per_sm=gpu.shared_bytes_per_sm,
            max_warps_per_sm=gpu.max_warps_per_sm,
            max_ctas_per_sm=gpu.max_ctas_per_sm,
        )


def l1_request_bytes(gpu: GpuSpec) -> float:
    """Bytes of one L1 request: 128 up to Pascal; 32 from Volta on (section VII-A found the best match there)."""
    return 32.0 if int(gpu.compute_capability.split(".")[0]) >= 7 else 128.0
