"""What a program of ``headroom export-benchmarks`` printed, as a source to merge: lines of JSON, all checked."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from headroom.errors import ModelError, StoreError
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.decode import DecodeError, decode
from headroom.store.imported import decode_object
from headroom.store.plausible import objection
from headroom.store.record import ChainRecord
from headroom.store.rows import METHOD, NetworkTiming, Status, System, Timing
from headroom.store.steps import REST

FORMAT = "headroom-benchmarks"
VERSION = 1

#: Versions as the libraries spell them; a driver that NVML does not tell has none.
_VERSIONS = {"driver": r"(\d+(\.\d+)+)?", "cuda": r"\d+\.\d+", "cudnn": r"\d+\.\d+\.\d+", "cublas": r"\d+\.\d+\.\d+"}

#: The libraries that travel, and what is said of a chain altogether.
_BACKENDS = frozenset({"cudnn", "cudnn-legacy", "cublaslt", "cublas", "bench"})

#: Longest file that is read, in bytes: a thousand layers take some ten million.
_MOST_BYTES = 1 << 28

#: The program ends a layer after a minute, or at its twentieth plan that hangs for 15 s.
_LONGEST_VISIT_S = 3600.0

#: Macs, flops or bytes that no layer of a model that fits a GPU has.
_MOST_SIZE = 1 << 60


class TravelledSource:
    """The lines of ``file``, read and checked as a whole when it is opened.

    A last line that was cut off, as an interrupted program leaves it, is left out; everything else has to be right.

    Raises:
        StoreError: the file cannot be read, or a value does not fit; it names the line.
    """

    def __init__(self, file: Path) -> None:
        self.name = str(file)
        (_, head), *rest = _lines(file)
        try:
            self._system, self._uuid = _head(head)
            self._records = [self._record(line, f"line {number}") for number, line in rest]
            _expect_no_layer_twice(self._records, [number for number, _ in rest])
        except DecodeError as error:
            raise StoreError(f"{file}: {error}; nothing was imported") from error

    def systems(self) -> Mapping[str, System]:
        return {self._system.id: self._system}

    def chains(self) -> Iterable[tuple[str, Chain | None]]:
        return [(record.chain.digest, record.chain) for record in self._records]

    def records(self) -> Iterator[ChainRecord]:
        return iter(self._records)

    def networks(self) -> Iterator[tuple[System, NetworkTiming]]:
        return iter(())

    def _record(self, text: str, where: str) -> ChainRecord:
        line = _object(text, where)
        if "format" in line:
            raise DecodeError(f"{where} begins another run: import the output of each by itself")
        _expect_fields(line, {"chain", "dtype", "seconds", "timings"}, where)
        told = decode_object(line["chain"], f"{where}: chain")
        chain = _chain(told.get("layers"), where)
        digest = decode(str, told.get("digest"), f"{where}: chain.digest")
        if chain.digest != digest:
            raise DecodeError(f"{where}: chain {digest[:40]} does not have the layers that its digest stands for")
        dtype = decode(DataType, line["dtype"], f"{where}: dtype")
        seconds = decode(float, line["seconds"], f"{where}: seconds")
        if not 0 <= seconds <= _LONGEST_VISIT_S:
            raise DecodeError(f"{where}: seconds is {seconds:g}, which no layer takes")
        timings = decode(tuple[Timing, ...], line["timings"], f"{where}: timings")
        for index, timing in enumerate(timings):
            self._check(timing, chain, dtype, f"{where}: timings[{index}]")
        keys = [(timing.implementation, timing.l2) for timing in timings]
        if len(set(keys)) < len(keys):
            raise DecodeError(f"{where}: one implementation has two rows in the same state of the L2 cache")
        rest = any(timing.implementation == REST for timing in timings)
        visits = () if rest or not timings else (("all", seconds),)
        return ChainRecord(self._system, chain, dtype, METHOD, visits, timings)

    def _check(self, timing: Timing, chain: Chain, dtype: DataType, where: str) -> None:
        if timing.implementation.backend not in _BACKENDS:
            raise DecodeError(f"{where} is of {timing.implementation.backend[:40]!r}, which no benchmark runs")
        if timing.gpu_uuid != self._uuid:
            raise DecodeError(
                f"{where} was measured on another GPU ({timing.gpu_uuid[:44]!r}) than the first line says"
            )
        if timing.status is Status.OK and not _is_past(timing.measured_at):
            raise DecodeError(
                f"{where}.measured_at is {timing.measured_at[:40]!r}, expected a time in UTC that is over"
            )
        if wrong := objection(timing, chain, dtype, self._system):
            raise DecodeError(f"{where} ({timing.implementation.name[:60]}): {wrong}")


def is_travelled(file: Path) -> bool:
    """Whether ``file`` begins like the lines of a benchmark's program."""
    try:
        with file.open("rb") as opened:
            return (
                opened.read(80).removeprefix(BOM_UTF8).replace(b" ", b"").startswith(f'{{"format":"{FORMAT}"'.encode())
            )
    except OSError:
        return False


def _lines(file: Path) -> list[tuple[int, str]]:
    """Lines that say something, with their numbers."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise StoreError(f"{file} has {file.stat().st_size} bytes; what a benchmark prints has a few million")
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{file} is no text in UTF-8: give what a benchmark printed") from error
    whole = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if whole and not text.endswith("\n") and not _is_json(whole[-1][1]):
        whole.pop()
    if not whole:
        raise StoreError(f"{file} ends within its first line: give all that the benchmark printed")
    return whole


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _expect_no_layer_twice(records: Sequence[ChainRecord], numbers: Sequence[int]) -> None:
    first: dict[tuple[str, DataType], int] = {}
    for record, number in zip(records, numbers, strict=True):
        if (before := first.setdefault((record.chain.digest, record.dtype), number)) != number:
            raise DecodeError(f"line {number} is of the same layer and data type as line {before}")


def _is_past(text: str) -> bool:
    """Whether ``text`` is a time in UTC that is over; clocks may differ by a day."""
    try:
        told = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return told <= datetime.now(UTC) + timedelta(days=1)


def _head(text: str) -> tuple[System, str]:
    """The system of the first line, and the GPU's UUID."""
    head = _object(text, "line 1")
    _expect_fields(head, {"format", "version", "method", "facts"}, "line 1")
    if head["version"] != VERSION:
        raise DecodeError(f"line 1: version {head['version']!r}, this Headroom reads {VERSION}: upgrade the older one")
    if head["method"] != METHOD:
        raise DecodeError(
            f"line 1: the times were taken by method {head['method']!r}, this Headroom's is {METHOD}: export again"
        )
    facts = decode_object(head["facts"], "line 1: facts")
    _expect_fields(facts, {"system", "gpu_uuid", "others"}, "line 1: facts")
    told = decode_object(facts["system"], "line 1: facts.system")
    _expect_fields(told, {field.name for field in fields(System)}, "line 1: facts.system")
    system = decode(System, told, "line 1: facts.system")
    for name, pattern in _VERSIONS.items():
        if not re.fullmatch(pattern, getattr(system, name)):
            raise DecodeError(f"line 1: facts.system.{name} is {getattr(system, name)[:40]!r}, which is no version")
    if not system.gpu.isprintable():
        raise DecodeError(f"line 1: facts.system.gpu is {system.gpu[:40]!r}, which is no name")
    if not system.gpu or system.torch:
        raise DecodeError("line 1: facts.system needs a gpu, and no torch: a benchmark has none")
    return system, decode(str, facts["gpu_uuid"], "line 1: facts.gpu_uuid")


def _chain(layers: object, where: str) -> Chain:
    """Layers whose numbers fit their fields, and each other."""
    try:
        chain = Chain.from_json(layers)
        sizes = [chain.macs, *(chain.bytes(dtype) for dtype in DataType), *(layer.flops for layer in chain.layers)]
    except ModelError as error:
        raise DecodeError(f"{where}: {error}") from error
    except (ArithmeticError, LookupError, ValueError) as error:
        raise DecodeError(f"{where}: the sizes of its layers do not add up: {error}") from error
    if not 0 <= min(sizes) <= max(sizes) <= _MOST_SIZE:
        raise DecodeError(f"{where}: the sizes of its layers do not add up")
    return chain


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        return decode_object(json.loads(text, parse_constant=_no_constant), where)
    except RecursionError as error:
        raise DecodeError(f"{where} is nested too deep to be a benchmark's") from error
    except ValueError as error:
        if isinstance(error, DecodeError):
            raise
        raise DecodeError(f"{where} is not JSON: {error}") from error


def _no_constant(name: str) -> float:
    raise DecodeError(f"{name} stands where a number has to")


def _expect_fields(value: Mapping[str, Any], wanted: set[str], where: str) -> None:
    for name in sorted(wanted - set(value)):
        raise DecodeError(f"{where} has no {name}")
    for name in sorted(set(value) - wanted):
        raise DecodeError(f"{where} has {name[:40]!r}, which no benchmark prints")
