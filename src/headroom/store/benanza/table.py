"""Benanza's tables as rows of checked values. A table is known by its columns, whatever its file is called."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from headroom.errors import ModelError
from headroom.text import plain_line

#: Most bytes of one table, unpacked: ten times the largest published one. A gzip bomb ends here.
_MOST_BYTES = 256 * 2**20

#: Sizes and counts are 32-bit integers in cuDNN.
_LARGEST = 2**31 - 1

_GEOMETRY = (
    "N", "C", "H", "W", "K", "R", "S", "pad_h", "pad_w", "stride_h", "stride_w", "dil_h", "dil_w", "group",
)  # fmt: skip


class Kind(StrEnum):
    """What a table tells; the value is the name that its publisher gave it."""

    KERNELS = "kernels"
    TIMES = "kernel_times"
    ALGORITHMS = "conv_algos"
    LAYERS = "layers"
    SHAPES = "layer_shapes"
    TOTALS = "totals"
    CONVOLUTIONS = "conv_layers"
    COVERAGE = "conv_coverage"


_COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.KERNELS: ("kernel_id", "op", "dtype", "algo", *_GEOMETRY, "other"),
    Kind.TIMES: (
        "gpu", "batch", "kernel_id", "real_ns", "iterations", "workspace_bytes", "advised_algo", "cudnn",
        "cuda_runtime", "unit",
    ),
    Kind.ALGORITHMS: (
        "gpu", "batch", "op", "dtype", "algo", *_GEOMETRY, "real_ns", "iterations", "workspace_bytes", "cudnn",
    ),
    Kind.LAYERS: ("model", "gpu", "batch", "i", "layer", "layer_type", "part", "kernel_id"),
    Kind.SHAPES: ("model", "i", "name", "type", "inputs", "outputs"),
    Kind.TOTALS: ("model", "gpu", "batch", "strategy", "algo_choice", "total_ms", "sum_rows_ms"),
    Kind.CONVOLUTIONS: ("model", "i", "layer", "C", "H", "W", "K", "R", "S"),
    Kind.COVERAGE: ("model", "convs", "covered"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. ``place`` names it in every complaint."""

    values: Mapping[str, str]
    place: str

    def text(self, column: str) -> str:
        return self.values[column]

    def word(self, column: str) -> str:
        """A name that may be shown to a user."""
        value = self.values[column]
        if not 0 < len(value) <= 120 or not value.isprintable():
            raise self.error(column, "a name")
        return value

    def version(self, column: str) -> str:
        """A version as a library spells it, empty where it is not told."""
        return self.word(column) if self.values[column] else ""

    def whole(self, column: str, least: int = 0, most: int = _LARGEST) -> int:
        """A whole number; tables that passed through a spreadsheet write ``3.0`` for 3."""
        number = self._number(column)
        if not number.is_integer() or not least <= number <= most:
            raise self.error(column, f"a whole number from {least} to {most}")
        return int(number)

    def optional(self, column: str) -> int | None:
        """A whole number or nothing; bytes and the like, which pass 32 bits."""
        return None if self.values[column] == "" else self.whole(column, most=2**53)

    def time(self, column: str) -> float:
        number = self._number(column)
        if number < 0:
            raise self.error(column, "a time of at least 0")
        return number

    def error(self, column: str, expected: str) -> ModelError:
        found = plain_line(self.values[column], 60)
        return ModelError(f"{self.place}: {column} is '{found}', expected {expected}; nothing was imported")

    def _number(self, column: str) -> float:
        try:
            number = float(self.values[column])
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.error(column, "a number")
        return number


def read_tables(paths: Sequence[Path], wanted: Iterable[Kind]) -> Mapping[Kind, list[Row]]:
    """The rows of the ``wanted`` tables among ``paths``: files, or folders whose ``benanza_*.csv`` files are meant.

    Each file must be one of Benanza's tables, plain or packed with gzip; those not wanted are not read further. Several
    files may hold parts of one table.

    Raises:
        ModelError: a file cannot be read, is cut off, or has columns of no known table.
    """
    tables: dict[Kind, list[Row]] = {kind: [] for kind in wanted}
    for path in _files(paths):
        reader = csv.reader(io.StringIO(_unpack(path)), strict=True)
        try:
            header = next(reader, [])
            kind = _kind(path, header)
            if kind in tables:
                tables[kind].extend(_rows(path, header, reader))
        except csv.Error as error:
            raise ModelError(f"{path}, line {reader.line_num}: {error}; fetch the table again") from error
    return tables


def _files(paths: Sequence[Path]) -> Iterable[Path]:
    # A file that is named twice counts once.
    return {path.resolve(): path for path in _named(paths)}.values()


def _named(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted([*path.glob("benanza_*.csv"), *path.glob("benanza_*.csv.gz")])
            if not inside:
                raise ModelError(f"{path} holds no benanza_*.csv or benanza_*.csv.gz: give the folder of the tables")
            yield from inside
        else:
            yield path


def _unpack(path: Path) -> str:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if packed else file
            data = stream.read(_MOST_BYTES + 1)
    except EOFError as error:
        raise ModelError(f"{path} is cut off: fetch the table again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ModelError(f"{path} is damaged ({error}): fetch the table again") from error
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}; check the path") from error
    if len(data) > _MOST_BYTES:
        raise ModelError(f"{path} holds more than {_MOST_BYTES >> 20} MiB: it is none of Benanza's tables")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not text: give Benanza's tables, as .csv or .csv.gz") from error


def _kind(path: Path, header: Sequence[str]) -> Kind:
    """The table with most columns of those that ``header`` has in full."""
    full = [kind for kind, columns in _COLUMNS.items() if set(columns) <= set(header)]
    if full and len(set(header)) == len(header):
        return max(full, key=lambda kind: len(_COLUMNS[kind]))
    nearest = max(_COLUMNS, key=lambda kind: len(set(_COLUMNS[kind]) & set(header)) / len(_COLUMNS[kind]))
    missing = [column for column in _COLUMNS[nearest] if column not in header][:4]
    said = f"lacks {', '.join(missing)}" if missing else "has a column twice"
    raise ModelError(f"{path} is none of Benanza's tables: of '{nearest}', the nearest, it {said}")


def _rows(path: Path, header: Sequence[str], reader: Iterable[Sequence[str]]) -> Iterator[Row]:
    for number, values in enumerate(reader, start=2):
        place = f"{path.name}, line {number}"
        if len(values) != len(header):
            raise ModelError(f"{place} has {len(values)} of {len(header)} values: the table is cut off or damaged")
        yield Row(dict(zip(header, values, strict=True)), place)
