"""GPU sheets: load one by id, by a unique prefix, by the driver's name for it, or from a file; list them all."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from headroom.errors import UsageError
from headroom.gpu import names, rules, schema
from headroom.gpu.architecture import known_capabilities, load_architecture
from headroom.gpu.schema import Entry
from headroom.gpu.sheet_file import SheetFile, parse_sheet, read_sheet_file
from headroom.gpu.spec import GpuSpec, MemoryLevel
from headroom.graph.tensor import DataType

_FOLDER = files("headroom.gpu") / "sheets"

#: Bundled ids by generation, then by size: the order of every listing.
_IDS = (
    "k80", "m40", "m60", "jetson-nano", "titan-x-pascal", "titan-xp", "gtx-1080-ti", "p4", "p6000", "p100-pcie",
    "p100-sxm2", "titan-v", "v100-pcie-16gb", "v100-pcie-32gb", "v100-sxm2-16gb", "rtx-6000", "t4", "rtx-3090", "a10",
    "a100-40gb-pcie", "a100-40gb-sxm", "a100-80gb-pcie", "a100-80gb-sxm", "jetson-orin", "l4", "l40s", "rtx-4090",
    "h100-pcie", "h100-sxm", "h200", "b200",
)  # fmt: skip

#: What a what-if sheet inherits in proportion when it changes its base's SM count or clock: the SMs' own bandwidth
#: and arithmetic. L2 and DRAM are separate machinery and stay until the sheet changes them too.
_GROWS_WITH_SMS_AND_CLOCK = ("plain_tflops.", "tensor_tflops.", "l1_bandwidth_gbs", "shared_bandwidth_gbs")


def load_gpu(name: str | Path) -> GpuSpec:
    """The sheet of a GPU.

    Args:
        name: a bundled id (``h200``), an unambiguous prefix of one (``v100-sxm2``), a name NVIDIA's driver reports
            (``NVIDIA A100-SXM4-80GB``; case and ``NVIDIA`` do not matter), or the path of a user's own sheet (a
            ``Path``, or a text that ends in ``.toml`` or has a path separator).

    Raises:
        UsageError: no such GPU (the sentence lists the nearest), an ambiguous prefix (it lists the choices), or a
            sheet that is incomplete or absurd (it names the field).
    """
    if isinstance(name, Path) or names.is_path(name):
        return _assemble(read_sheet_file(Path(name)), sheet_id=Path(name).stem)
    return _load_bundled(names.resolve(name, _IDS, _spoken_names))


def sheet_ids() -> tuple[str, ...]:
    """The ids of the bundled sheets, oldest generation first; reads no file."""
    return _IDS


def list_gpus() -> tuple[GpuSpec, ...]:
    """Every bundled sheet, oldest generation first."""
    return tuple(_load_bundled(sheet_id) for sheet_id in _IDS)


@functools.cache
def _bundled_file(sheet_id: str) -> SheetFile:
    return parse_sheet((_FOLDER / f"{sheet_id}.toml").read_text("utf-8"), f"gpu sheet {sheet_id}")


@functools.cache
def _load_bundled(sheet_id: str) -> GpuSpec:
    return _assemble(_bundled_file(sheet_id), sheet_id)


@functools.cache
def _spoken_names() -> Mapping[str, str]:
    """Driver names and aliases of every bundled sheet, normalised, to ids."""
    spoken = {}
    for sheet_id in _IDS:
        lists = _bundled_file(sheet_id).lists
        for name in (*lists.get("driver_names", ()), *lists.get("aliases", ())):
            spoken[names.normalise(name)] = sheet_id
    return spoken


def _assemble(sheet: SheetFile, sheet_id: str) -> GpuSpec:
    """From what a file states to a complete, consistent sheet: base, architecture, rules, checks."""
    own_name = sheet.texts.get("name", sheet_id)
    if "base" in sheet.texts:
        sheet = _inherit(sheet, _base_file(sheet))
    where = sheet.where
    capability = sheet.texts.get("compute_capability")
    if capability is None:
        choices = ", ".join(known_capabilities())
        raise UsageError(f"{where}: field 'compute_capability' is missing; expected one such as {choices}, or a base")
    for needed in ("sms", "clock_mhz", "dram_peak_gbs"):  # the rules multiply these
        if needed not in sheet.entries:
            schema.check_complete(where, sheet.entries, capability)
    memory_type = sheet.texts.get("memory_type", "")
    if memory_type and memory_type not in rules.MEMORY_TYPES:
        raise schema.bad_value(where, "memory_type", memory_type, f"one of {', '.join(rules.MEMORY_TYPES)}")
    entries = rules.fill(sheet.entries, load_architecture(capability), memory_type)
    schema.check_complete(where, entries, capability)
    schema.check_relations(where, {name: entry.value for name, entry in entries.items()})
    return _to_spec(sheet, entries, sheet_id, own_name)


def _base_file(sheet: SheetFile) -> SheetFile:
    base = sheet.texts["base"]
    try:
        return _bundled_file(names.resolve(base, _IDS, _spoken_names))
    except UsageError as error:
        raise UsageError(f"{sheet.where}: field 'base': {error}") from error


def _inherit(sheet: SheetFile, base: SheetFile) -> SheetFile:
    """``sheet`` on top of ``base``, whose per-SM figures follow a changed SM count or clock."""
    growth = 1.0
    slowdown = 1.0
    if "sms" in sheet.entries:
        growth *= sheet.entries["sms"].value / base.entries["sms"].value
    if "clock_mhz" in sheet.entries:
        slowdown = base.entries["clock_mhz"].value / sheet.entries["clock_mhz"].value
        growth /= slowdown
    inherited = {name: _scaled(name, entry, growth, slowdown) for name, entry in base.entries.items()}
    texts = {**{key: text for key, text in base.texts.items() if key != "name"}, **sheet.texts}
    return SheetFile(sheet.where, {**inherited, **sheet.entries}, texts, sheet.lists)


def _scaled(name: str, entry: Entry, growth: float, slowdown: float) -> Entry:
    """A base's entry after SMs x clock grew by ``growth`` and each clock lasts ``slowdown`` times as long."""
    if name in {"l1_latency_ns", "shared_latency_ns"} and slowdown != 1:
        return Entry(entry.value * slowdown, f"{entry.source}; scaled by the clock", derived=True)
    if name == "tensor_clock_mhz" and slowdown != 1:
        return Entry(entry.value / slowdown, f"{entry.source}; scaled by the clock", derived=True)
    if name.startswith(_GROWS_WITH_SMS_AND_CLOCK) and growth != 1:
        return Entry(entry.value * growth, f"{entry.source}; scaled by SMs x clock", derived=True)
    return entry


def _to_spec(sheet: SheetFile, entries: Mapping[str, Entry], sheet_id: str, name: str) -> GpuSpec:
    architecture = load_architecture(sheet.texts["compute_capability"])
    sms = int(entries["sms"].value)

    def number(field: str) -> float:
        return entries[field].value

    def count(field: str) -> int:
        return int(entries[field].value)

    def level(prefix: str, size_bytes: int) -> MemoryLevel:
        return MemoryLevel(size_bytes, number(f"{prefix}_bandwidth_gbs"), number(f"{prefix}_latency_ns"))

    return GpuSpec(
        id=sheet_id,
        name=name,
        architecture=sheet.texts.get("architecture", architecture.name if architecture else "unknown"),
        compute_capability=sheet.texts["compute_capability"],
        sms=sms,
        clock_mhz=number("clock_mhz"),
        memory_bytes=count("memory_bytes"),
        plain_tflops=_rates(entries, "plain_tflops"),
        tensor_tflops=_rates(entries, "tensor_tflops"),
        dram=level("dram", count("memory_bytes")),
        dram_peak_gbs=number("dram_peak_gbs"),
        l2=level("l2", count("l2_bytes")),
        l1=level("l1", sms * count("l1_bytes_per_sm")),
        shared=level("shared", sms * count("shared_bytes_per_sm")),
        registers_per_sm=count("registers_per_sm"),
        registers_per_thread=count("registers_per_thread"),
        shared_bytes_per_sm=count("shared_bytes_per_sm"),
        shared_bytes_per_cta=count("shared_bytes_per_cta"),
        max_warps_per_sm=count("max_warps_per_sm"),
        max_ctas_per_sm=count("max_ctas_per_sm"),
        launch_us=number("launch_us"),
        driver_names=sheet.lists.get("driver_names", ()),
        aliases=sheet.lists.get("aliases", ()),
        sources={field: entry.source for field, entry in entries.items()},
        derived=frozenset(field for field, entry in entries.items() if entry.derived),
        notes=sheet.lists.get("notes", ()),
    )


def _rates(entries: Mapping[str, Entry], table: str) -> dict[DataType, float]:
    present = ((dtype, entries.get(f"{table}.{dtype.value}")) for dtype in DataType)
    return {dtype: entry.value for dtype, entry in present if entry is not None}
