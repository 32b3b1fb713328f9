"""A JSON export as a source to merge."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from headroom.errors import ModelError, StoreError
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.decode import DecodeError, decode
from headroom.store.export import FORMAT, VERSION
from headroom.store.record import ChainRecord
from headroom.store.rows import Counters, NetworkTiming, System, Timing


class JsonSource:
    """What :func:`headroom.store.export.to_json` wrote, read and checked as a whole when it is opened.

    Raises:
        StoreError: the file cannot be read, is no export, or has a value that does not fit; it names the place.
    """

    def __init__(self, file: Path) -> None:
        self.name = str(file)
        try:
            self._read(_load(file))
        except (DecodeError, ModelError) as error:
            raise StoreError(f"{file}: {error}; nothing was imported") from error

    def systems(self) -> Mapping[str, System]:
        return self._systems

    def chains(self) -> Iterable[tuple[str, Chain | None]]:
        return self._chains

    def records(self) -> Iterator[ChainRecord]:
        return iter(self._records)

    def networks(self) -> Iterator[tuple[System, NetworkTiming]]:
        return iter(self._networks)

    def _read(self, data: Mapping[str, Any]) -> None:
        told = decode_object(data.get("systems"), "systems")
        self._systems = {name: decode(System, value, f"systems.{name}") for name, value in told.items()}
        self._chains: list[tuple[str, Chain | None]] = []
        self._records = [
            self._record(decode_object(item, where), where) for where, item in _items(data, "measurements")
        ]
        self._networks = [self._network(decode_object(item, where), where) for where, item in _items(data, "networks")]

    def _record(self, item: dict[str, Any], where: str) -> ChainRecord:
        told = decode_object(item.get("chain"), f"{where}.chain")
        chain = Chain.from_json(told.get("layers"))
        self._chains.append((decode(str, told.get("digest"), f"{where}.chain.digest"), chain))
        visits = decode_object(item.get("visits"), f"{where}.visits")
        return ChainRecord(
            self._system(item, where),
            chain,
            decode(DataType, item.get("dtype"), f"{where}.dtype"),
            decode(int, item.get("method"), f"{where}.method"),
            tuple((plans, decode(float, seconds, f"{where}.visits.{plans}")) for plans, seconds in visits.items()),
            decode(tuple[Timing, ...], item.get("timings"), f"{where}.timings"),
            decode(tuple[Counters, ...], item.get("counters"), f"{where}.counters"),
        )

    def _network(self, item: dict[str, Any], where: str) -> tuple[System, NetworkTiming]:
        system = self._system(item, where)
        return system, decode(NetworkTiming, {key: item[key] for key in item if key != "system"}, where)

    def _system(self, item: dict[str, Any], where: str) -> System:
        name = decode(str, item.get("system"), f"{where}.system")
        if name not in self._systems:
            raise DecodeError(f"{where}.system is {name[:40]!r}, which the file does not describe")
        return self._systems[name]


def decode_object(value: object, where: str) -> dict[str, Any]:
    """``value`` if it is a JSON object."""
    if not isinstance(value, dict):
        raise DecodeError(f"{where} is {repr(value)[:60]}, expected an object")
    return value


def _items(data: Mapping[str, Any], name: str) -> Iterator[tuple[str, object]]:
    items = data.get(name)
    if not isinstance(items, list):
        raise DecodeError(f"{name} is {repr(items)[:60]}, expected a list")
    for index, item in enumerate(items):
        yield f"{name}[{index}]", item


def _load(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_bytes())
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{file} is not JSON: {error}; give a file that headroom db export wrote") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise StoreError(f"{file} is not an export of measurements: give a file that headroom db export wrote")
    if data.get("version") != VERSION:
        raise StoreError(
            f"{file} is an export of version {data.get('version')!r}, this Headroom reads {VERSION}: upgrade Headroom"
        )
    return data
