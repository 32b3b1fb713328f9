"""GPU sheets: load one by id, by a unique prefix, by the driver's name for it, or from a file; list them all."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from headroom.errors import UsageError
from headroom.gpu import names, rules, schema
from headroom.gpu.architecture import known_capabilities, load_architecture
from headroom.gpu.schema import Entry
from headroom.gpu.sheet_file import SheetFile, parse_sheet, read_sheet_file
from headroom.gpu.spec import GpuSpec, MemoryLevel
from headroom.gpu.what_if import inherit
from headroom.graph.tensor import DataType
from headroom.text import plain_line

_FOLDER = files("headroom.gpu") / "sheets"

#: Bundled ids by generation, then by size: the order of every listing.
_IDS = (
    "k80", "m40", "m60", "jetson-nano", "titan-x-pascal", "titan-xp", "gtx-1080-ti", "p4", "p6000", "p100-pcie",
    "p100-sxm2", "titan-v", "v100-pcie-16gb", "v100-pcie-32gb", "v100-sxm2-16gb", "rtx-6000", "t4", "rtx-3090", "a10",
    "a100-40gb-pcie", "a100-40gb-sxm", "a100-80gb-pcie", "a100-80gb-sxm", "jetson-orin", "l4", "l40s", "rtx-4090",
    "h100-pcie", "h100-sxm", "h200", "b200",
)  # fmt: skip


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
        path = Path(name)
        # A user's sheet never passes for a bundled GPU, whose measurements would not hold for it.
        sheet_id = path.name if path.stem in _IDS else path.stem
        return _assemble(read_sheet_file(path), plain_line(sheet_id))
    return _load_bundled(names.resolve(name, _IDS, _spoken_names))


def gpu_of_driver(driver_name: str) -> GpuSpec | None:
    """The bundled sheet of the GPU that NVIDIA's driver calls ``driver_name``; None if there is none.

    Unlike a user, the driver writes names in full, so that no prefix is tried: an L40 is not an L40S. Nor are
    aliases: every Orin calls itself "Orin".
    """
    sheet_id = _names_in("driver_names").get(names.normalise(driver_name))
    return _load_bundled(sheet_id) if sheet_id else None


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
    return {**_names_in("aliases"), **_names_in("driver_names")}


def _names_in(field: str) -> dict[str, str]:
    """The names in one list of every bundled sheet, normalised, to ids."""
    listed = ((name, sheet_id) for sheet_id in _IDS for name in _bundled_file(sheet_id).lists.get(field, ()))
    return {names.normalise(name): sheet_id for name, sheet_id in listed}


def _assemble(sheet: SheetFile, sheet_id: str) -> GpuSpec:
    """From what a file states to a complete, consistent sheet."""
    sheet = _completed(sheet)
    schema.check_complete(sheet.where, sheet.entries, sheet.texts["compute_capability"])
    schema.check_relations(sheet.where, {name: entry.value for name, entry in sheet.entries.items()})
    return _to_spec(sheet, sheet_id)


def _completed(sheet: SheetFile) -> SheetFile:
    """``sheet`` with what its base, its architecture and the rules add."""
    if "base" in sheet.texts:
        sheet = _on_base(sheet)
    capability = _capability(sheet)
    for needed in rules.NEEDED:
        if needed not in sheet.entries:
            schema.check_complete(sheet.where, sheet.entries, capability)
    memory_type = sheet.texts.get("memory_type", "")
    if memory_type and memory_type not in rules.MEMORY_TYPES:
        expected = f"one of {', '.join(rules.MEMORY_TYPES)}"
        raise schema.bad_value(sheet.where, "memory_type", memory_type, expected)
    return replace(sheet, entries=rules.fill(sheet.entries, load_architecture(capability), memory_type))


def _capability(sheet: SheetFile) -> str:
    capability = sheet.texts.get("compute_capability")
    if capability is None:
        choices = ", ".join(known_capabilities())
        raise UsageError(
            f"{sheet.where}: field 'compute_capability' is missing; expected one such as {choices}, or a base"
        )
    return capability


def _on_base(sheet: SheetFile) -> SheetFile:
    """``sheet`` with all that its base says and it does not change."""
    try:
        base = _bundled_file(names.resolve(sheet.texts["base"], _IDS, _spoken_names))
    except UsageError as error:
        raise UsageError(f"{sheet.where}: field 'base': {error}") from error
    texts = {**{key: text for key, text in base.texts.items() if key != "name"}, **sheet.texts}
    if texts["compute_capability"] == base.texts["compute_capability"]:
        base = _completed(base)  # on another architecture the base's limits and rates would be wrong
    return replace(sheet, entries=inherit(base.entries, sheet.entries), texts=texts)


def _to_spec(sheet: SheetFile, sheet_id: str) -> GpuSpec:
    entries = sheet.entries
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
        name=sheet.texts.get("name", sheet_id),
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
