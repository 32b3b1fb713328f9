"""Benchmarks as C++: a function each, in parts that compile by themselves. Equal benchmarks give equal bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from headroom.measure.travel.case import Benchmark, Case, Fill, Operation, Tensor
from headroom.text import plain_line

#: Benchmarks of one file: a few thousand lines, a second or two of a compiler.
PER_PART = 32

_NOTICE = "// Written by headroom export-benchmarks: do not edit, export again.\n"


def table_files(benchmarks: Sequence[Benchmark]) -> Mapping[str, str]:
    """Text by file name: the parts, and the list that names every function."""
    parts = [benchmarks[start : start + PER_PART] for start in range(0, len(benchmarks), PER_PART)]
    files = {f"part_{index:03}.cpp": "".join(_part(index * PER_PART, part)) for index, part in enumerate(parts)}
    return {**files, "list.cpp": "".join(_list(len(benchmarks)))}


def part_names(number: int) -> list[str]:
    """Names of the files of ``number`` benchmarks."""
    return ["list.cpp", *(f"part_{index:03}.cpp" for index in range(-(-number // PER_PART)))]


def _list(number: int) -> Iterator[str]:
    yield f'{_NOTICE}#include "case.hpp"\n\nnamespace travel {{\n\n'
    yield from (f"Benchmark benchmark_{index:04}();\n" for index in range(number))
    yield "\nconst std::vector<Benchmark (*)()>& benchmarks() {\n  static const std::vector<Benchmark (*)()> all = {\n"
    yield from (f"      benchmark_{index:04},\n" for index in range(number))
    yield "  };\n  return all;\n}\n\n}  // namespace travel\n"


def _part(first: int, benchmarks: Sequence[Benchmark]) -> Iterator[str]:
    yield f'{_NOTICE}#include "case.hpp"\n\nnamespace travel {{\n'
    for index, benchmark in enumerate(benchmarks, first):
        yield from _function(index, benchmark)
    yield "\n}  // namespace travel\n"


def _function(index: int, benchmark: Benchmark) -> Iterator[str]:
    chain = benchmark.chain
    layers = json.dumps(chain.to_json(), separators=(",", ":"))
    yield f"\n// {_comment(chain.title)} in {benchmark.dtype}, {chain.macs} macs.\n"
    yield f"Benchmark benchmark_{index:04}();\n"
    yield f"Benchmark benchmark_{index:04}() {{\n  Benchmark benchmark;\n"
    yield f"  benchmark.digest = {_text(chain.digest)};\n"
    yield f"  benchmark.title = {_text(chain.title)};\n"
    yield f"  benchmark.dtype = {_text(str(benchmark.dtype))};\n"
    yield f"  benchmark.layers = {_raw(layers)};\n"
    yield "  benchmark.cases = {\n"
    for case in benchmark.cases:
        yield from _case(case)
    yield "  };\n  return benchmark;\n}\n"


def _case(case: Case) -> Iterator[str]:
    libraries = ", ".join(map(_text, case.libraries))
    yield "      {\n"
    yield f"          {{{libraries}}},\n"
    yield f"          {_text(case.layout)},\n          {_text(case.math)},\n          {_text(case.suffix)},\n"
    yield "          {\n"
    yield from (f"              {_tensor(tensor)},\n" for tensor in case.tensors)
    yield "          },\n          {\n"
    yield from (f"              {_operation(operation)},\n" for operation in case.operations)
    yield "          },\n      },\n"


def _tensor(tensor: Tensor) -> str:
    parts = [str(tensor.uid), _text(tensor.type), _list_of(tensor.dims), _list_of(tensor.strides), _fill(tensor.fill)]
    return f"{{{', '.join(parts)}}}"


def _fill(fill: Fill) -> str:
    return f"{{Fill::{fill.kind}, {_number(fill.a)}, {_number(fill.b)}}}"


def _operation(operation: Operation) -> str:
    numbers = ", ".join(f"{{{_text(name)}, {_list_of(values)}}}" for name, values in operation.numbers)
    return f"{{{_text(operation.name)}, {_list_of(operation.reads)}, {operation.writes}, {{{numbers}}}}}"


def _list_of(values: Sequence[float]) -> str:
    return f"{{{', '.join(map(_number, values))}}}"


def _number(value: float) -> str:
    return repr(value)


def _text(value: str) -> str:
    """A C++ string literal; what a model calls its functions is no reason to trust it."""
    return f'"{"".join(_escaped(byte) for byte in plain_line(value, 400).encode())}"'


def _escaped(byte: int) -> str:
    # Three octal digits end by themselves; hexadecimal ones would swallow what follows.
    return chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in '"\\?' else f"\\{byte:03o}"


def _raw(text: str) -> str:
    """A raw string literal of ASCII that may hold quotes, closed by what ``text`` does not hold."""
    mark = next(mark for mark in (f"json{number or ''}" for number in count()) if f'){mark}"' not in text)
    return f'R"{mark}({text}){mark}"'


def _comment(value: str) -> str:
    # A backslash at the end of a line would make the next one part of the comment.
    return plain_line(value, 200).replace("\\", "/")
