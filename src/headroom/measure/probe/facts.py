"""What the driver says of the GPU, for the fields of a sheet that nothing has to measure."""

from __future__ import annotations

from headroom.measure.probe.bench import ProbeBench
from headroom.measure.probe.result import TOLD_BY_DRIVER, Figure, Findings


def facts(bench: ProbeBench) -> Findings:
    """Counts, sizes and limits; the SM clock as counted; DRAM's peak from its clock and width."""
    properties, device = bench.launcher.properties, bench.launcher.cuda.properties
    told = (
        Figure("sms", bench.sms, "", TOLD_BY_DRIVER),
        Figure("memory_bytes", properties.total_memory, "bytes", TOLD_BY_DRIVER),
        Figure("l2_bytes", bench.l2_bytes, "bytes", TOLD_BY_DRIVER),
        Figure("shared_bytes_per_sm", device.max_shared_memory_per_multiprocessor, "bytes", TOLD_BY_DRIVER),
        Figure("shared_bytes_per_cta", device.max_shared_memory_per_block_optin, "bytes", TOLD_BY_DRIVER),
        Figure("registers_per_sm", device.max_registers_per_multiprocessor, "", TOLD_BY_DRIVER),
        Figure("max_warps_per_sm", bench.threads_per_sm // 32, "", TOLD_BY_DRIVER),
        Figure("max_ctas_per_sm", device.max_blocks_per_multiprocessor, "", TOLD_BY_DRIVER),
    )
    # Both in kHz and bits; every DRAM since GDDR moves two bits per clock and pin, as the driver counts clocks.
    peak_gbs = 2 * device.memory_clock_rate * device.global_memory_bus_width / 8 / 1e6
    clock = Figure("clock_mhz", bench.usual_clock_mhz, "MHz", "SM clocks counted over 10 ms of a light load")
    if not peak_gbs:
        return Findings((*told, clock))
    return Findings(
        (*told, clock, Figure("dram_peak_gbs", peak_gbs, "GB/s", "the driver's memory clock and bus width"))
    )


def driver_version() -> str:
    """The driver's version, or nothing where its management library is absent."""
    try:
        import pynvml

        pynvml.nvmlInit()
        try:
            version = pynvml.nvmlSystemGetDriverVersion()
        finally:
            pynvml.nvmlShutdown()
    except Exception:  # noqa: BLE001 - a version is worth no failure, whatever the library raises
        return ""
    return version.decode() if isinstance(version, bytes) else str(version)
