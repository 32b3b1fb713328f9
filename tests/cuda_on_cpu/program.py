"""Our CUDA kernels on the CPU: g++ compiles a kernel's own source, and its CTAs run one after the other.

What they compute is thereby tested without a GPU: indices, barriers, fragments of the tensor cores, asynchronous
copies, accesses outside of arrays. How fast they are is not, nor what NVRTC makes of them.

    program = cpu_program(FOLDER / "conv.cu", ("conv_fp32<128, 64>",), folders=(PTX,))
    program.launch("conv_fp32<128, 64>", (ctas,), (256,), weights, inputs, np.int32(count), outputs)
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")

#: On tests that use :func:`cpu_program`.
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs g++ to run kernels on the CPU; apt install g++")

_CHECKS = "alignment,bounds,integer-divide-by-zero,signed-integer-overflow,shift"
_OPTIONS = (
    *("-std=c++17", "-O1", "-march=native", "-ffp-contract=off", "-fno-strict-aliasing", "-fPIC", "-shared"),
    *("-U_FORTIFY_SOURCE", "-fcf-protection=none", "-w"),
    # An access that a GPU would refuse or answer with rubbish is an illegal instruction here, which the launch catches.
    *(f"-fsanitize={_CHECKS}", "-fsanitize-undefined-trap-on-error"),
)
#: Lines of g++'s that an error quotes.
_QUOTED_LINES = 12


class KernelError(AssertionError):
    """A kernel did what it must not: the sentence says what, and which thread did it."""


class _Argument(ctypes.Structure):
    _fields_ = (
        ("pointer", ctypes.c_void_p),
        ("value", ctypes.c_void_p),
        ("bytes", ctypes.c_size_t),
        ("constant", ctypes.c_int),
    )


class _Launch(ctypes.Structure):
    _fields_ = (
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_size_t),
        ("backwards", ctypes.c_int),
    )


class CpuProgram:
    """Compiled kernels by their name expressions; see :func:`cpu_program`."""

    def __init__(self, library: ctypes.PyDLL, entries: Sequence[str]) -> None:
        self._functions = {}
        for place, entry in enumerate(entries):
            function = library[f"on_cpu_entry_{place}"]
            function.restype = ctypes.c_char_p
            function.argtypes = (ctypes.POINTER(_Launch), ctypes.POINTER(_Argument), ctypes.c_int)
            self._functions[entry] = function

    def launch(
        self,
        entry: str,
        grid: Sequence[int],
        block: Sequence[int],
        *arguments: Any,
        shared_bytes: int = 0,
        backwards: bool = False,
    ) -> None:
        """Run every CTA of a grid.

        Args:
            arguments: NumPy arrays for pointers (the kernel's writes appear in them; one that is not writeable must
                not be written), ``None`` for a null pointer, NumPy scalars or ctypes structures for values.
            shared_bytes: dynamic shared memory; it starts as rubbish in every CTA.
            backwards: whether threads take their turns from the last to the first. A kernel that lacks a barrier
                differs between the two orders.

        Raises:
            KernelError: an access outside of an array or misaligned, a barrier that some threads never reach, an
                argument of another kind than the parameter.
        """
        passed, kept = (_Argument * max(1, len(arguments)))(), []
        for place, argument in enumerate(arguments):
            passed[place], holder = _passed(argument)
            kept.append(holder)
        shape = _Launch(_three(grid), _three(block), shared_bytes, backwards)
        complaint = self._functions[entry](ctypes.byref(shape), passed, len(arguments))
        if complaint is not None:
            raise KernelError(f"{entry}: {complaint.decode()}")


@cache
def cpu_program(
    source: Path | str,
    entries: tuple[str, ...],
    folders: tuple[Path, ...] = (),
    macros: tuple[tuple[str, str], ...] = (),
) -> CpuProgram:
    """Kernels compiled for this CPU, once per process.

    Args:
        source: a file of CUDA C++, or the text itself.
        entries: kernels by name, or by the name expression of a template's instance: ``conv<128, 64>``.
        folders: where ``#include`` looks.
        macros: as NVRTC gets them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        unit, made = Path(scratch) / "unit.cpp", Path(scratch) / "unit.so"
        text = f'#include "{source}"\n' if isinstance(source, Path) else source
        names = [f"ON_CPU_ENTRY(on_cpu_entry_{place}, {entry})\n" for place, entry in enumerate(entries)]
        unit.write_text(f'#include "launch.hpp"\n{text}\n{"".join(names)}', "utf-8")
        found = [option for folder in (HERE, *folders) for option in ("-I", str(folder))]
        defined = [f"-D{name}={value}" for name, value in macros]
        command = [str(COMPILER), *_OPTIONS, *found, *defined, "-o", str(made), str(unit)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise KernelError("g++ refused:\n" + "\n".join(ran.stderr.splitlines()[:_QUOTED_LINES]))
        # PyDLL keeps the interpreter's lock: a launch's state is global.
        return CpuProgram(ctypes.PyDLL(str(made)), entries)


def bf16_bits(values: Any) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Values rounded to the nearest bf16, ties to even, as their bits."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What bits of bf16 stand for."""
    return (np.asarray(bits).astype(np.uint32) << 16).view(np.float32)


def tf32(values: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Values rounded to the nearest tf32, ties away from zero."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


def _three(extents: Sequence[int]) -> Any:
    return (ctypes.c_uint * 3)(*extents, *[1] * (3 - len(extents)))


def _passed(argument: Any) -> tuple[_Argument, Any]:
    """The argument for C, and what must live as long."""
    if argument is None:
        return _Argument(None, None, 0, 0), None
    if isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise KernelError("an array that is not contiguous has no pointer to pass; copy it first")
        return _Argument(argument.ctypes.data, None, argument.nbytes, not argument.flags.writeable), argument
    if isinstance(argument, np.generic):
        holder = np.array(argument)
        return _Argument(None, holder.ctypes.data, holder.nbytes, 0), holder
    return _Argument(None, ctypes.addressof(argument), ctypes.sizeof(argument), 0), argument
