"""Compiling our kernels: NVRTC, through cuda-core, to machine code for one architecture.

Never to PTX: an NVRTC that is newer than the driver writes PTX that the driver cannot read, while machine code runs
on any driver of the same major version. The kernels include no header but ours, so that no CUDA toolkit is needed.
"""

from __future__ import annotations

import io
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from headroom.errors import GpuError
from headroom.measure.kernels.registry import CONSTANTS, Capability, KernelSource
from headroom.text import plain_line

_FOLDER = Path(str(files("headroom.measure.kernels")))
_MACROS = tuple((name, str(value)) for name, value in CONSTANTS.items())
#: Lines of NVRTC's log that an error quotes: the first complaint and where it is.
_QUOTED_LINES = 3


def compile_kernel(source: KernelSource, capability: Capability) -> Any:
    """The file of ``source`` as a ``cuda.core.ObjectCode`` for GPUs of ``capability``; compiled once per process.

    Raises:
        GpuError: cuda-core or NVRTC is not installed, the kernel needs a newer GPU, or it does not compile; the
            sentence quotes NVRTC.
    """
    if not source.runs_on(capability):
        needed, found = (".".join(map(str, pair)) for pair in (source.minimum, capability))
        other = f"{needed} alone" if source.feature_suffix else f"{needed} or later"
        raise GpuError(f"kernel {source.name} needs compute capability {other} and this GPU has {found}; skip it")
    return compile_text((_FOLDER / source.file).read_text("utf-8"), source.file, source.target(capability))


@cache
def compile_text(
    text: str,
    file: str,
    target: str,
    *,
    folders: tuple[Path, ...] = (_FOLDER,),
    macros: tuple[tuple[str, str], ...] = _MACROS,
    names: tuple[str, ...] = (),
) -> Any:
    """CUDA C++ ``text``, called ``file`` in errors, compiled for ``target`` (``sm_90a``); once per process.

    Args:
        folders: where ``#include`` looks.
        macros: names and what they stand for.
        names: instances of templates to compile, ``conv<128, 64>``; the ``cuda.core.ObjectCode`` gives each by that
            name.

    Raises:
        GpuError: cuda-core or NVRTC is not installed, or it does not compile; the sentence quotes NVRTC.
    """
    try:
        from cuda.core import Program, ProgramOptions
    except ImportError as error:
        raise GpuError("our own kernels need cuda-core and NVRTC; pip install 'headroom[gpu]'") from error
    log = io.StringIO()
    try:
        options = ProgramOptions(
            name=file,
            arch=target,
            include_path=[str(folder) for folder in folders],
            define_macro=list(macros) or None,
        )
        return Program(text, "c++", options).compile("cubin", name_expressions=names, logs=log)
    except Exception as error:  # a missing library, a refused option, a syntax error: all named alike
        raise GpuError(
            f"NVRTC could not compile {file} for {target}: {_first_lines(log.getvalue() or str(error))}; "
            "check that nvidia-cuda-nvrtc 13.0 or later is installed"
        ) from error


def _first_lines(log: str) -> str:
    lines = [line for line in (plain_line(line) for line in log.splitlines()) if line]
    return " | ".join(lines[:_QUOTED_LINES]) or "it gave no reason"
