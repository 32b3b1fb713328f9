"""A GPU in software that runs our kernels as they are meant, so that the host's side of a probe can be tested.

It knows how long each launch takes from a table of rates and sizes, and spoils one kernel's answer on request.
Fragments are read by the element formulas of the PTX ISA, which are not those that the host's side uses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch

from headroom.measure.kernels.registry import CONSTANTS, KERNELS, Capability
from headroom.measure.probe.bench import ProbeBench

KIB, MIB = 2**10, 2**20
WARP = 32


class SimulatedGpu:
    """Four SMs at 2 GHz with 64 KiB of L1 each, 1 MiB of L2, and 32 MiB of free memory."""

    sms = 4
    clock_mhz = 2000.0
    l1_bytes = 64 * KIB
    l2_bytes = MIB
    #: GB/s of all SMs, ns per load, TFLOPS.
    bandwidth: ClassVar = {"shared": 900.0, "l1": 1000.0, "l2": 300.0, "dram": 100.0}
    latency: ClassVar = {"shared": 12.0, "l1": 16.0, "l2_near": 120.0, "l2_far": 180.0, "dram": 400.0}
    tflops: ClassVar = {"fma_": 10.0, "mma_": 60.0, "wgmma_": 100.0}

    def __init__(self, capability: Capability = (9, 0), wrong: str = "") -> None:
        self.torch = torch
        self.device = torch.device("cpu")
        self.capability = capability
        self.wrong = wrong
        self.properties = SimpleNamespace(
            name="NVIDIA Simulated", max_threads_per_multi_processor=2048, L2_cache_size=self.l2_bytes,
            total_memory=2**30, multi_processor_count=self.sms,
        )  # fmt: skip
        self.cuda = SimpleNamespace(
            properties=SimpleNamespace(
                max_shared_memory_per_multiprocessor=233472, max_shared_memory_per_block_optin=232448,
                max_registers_per_multiprocessor=65536, max_blocks_per_multiprocessor=32,
                memory_clock_rate=1_000_000, global_memory_bus_width=512,
            )
        )  # fmt: skip
        self.launched: list[str] = []
        self.took_us = 0.0

    def has(self, name: str) -> bool:
        return KERNELS[name].runs_on(self.capability)

    def zeros(self, *shape: int, dtype: Any = None) -> Any:
        return torch.zeros(shape, dtype=dtype or torch.int64)

    def launch(self, name: str, grid: int, block: int, *arguments: Any) -> None:
        assert self.has(name), f"{name} does not run on {self.capability}"
        family = next(f for f in ("fma_", "wgmma_", "mma_", name) if name.startswith(f))
        self.launched.append(name)
        before = self.took_us
        getattr(self, f"_{family.rstrip('_')}")(name, grid, block, *arguments)
        if name == self.wrong:
            _spoil(arguments)
        assert self.took_us > before

    def _empty(self, name: str, grid: int, block: int) -> None:
        self.took_us += 1.5

    def _spin(self, name: str, grid: int, block: int, clocks: Any, totals: Any) -> None:
        us = int(clocks) / self.clock_mhz
        totals += torch.tensor([1, int(clocks), round(1e3 * us)])
        self.took_us += us

    def _read_l1(self, name, grid, block, data, vectors, step, batches, sums, sms, laps) -> None:
        loads = int(batches) * CONSTANTS["LOADS"]
        for cta in range(grid):
            ring = data[cta * int(vectors) * 4 :][: int(vectors) * 4].view(-1, 4)
            sums[cta] = _wrapped(int(sums[cta]) + _ring_sum(ring, block, int(step), loads))
            sms[cta] = cta
        fits = int(vectors) * 16 <= self.l1_bytes
        rate = self.bandwidth["l1"] * min(1.0, block / 256) if fits else self.bandwidth["l2"]
        self._pass(grid * block * loads * 16 / rate / 1e3, laps)

    def _read_past_l1(self, name, grid, block, data, vectors, step, batches, sums, laps) -> None:
        loads = int(batches) * CONSTANTS["LOADS"]
        ring = data[: int(vectors) * 4].view(-1, 4)
        sums[0] = _wrapped(int(sums[0]) + _ring_sum(ring, grid * block, int(step), loads))
        rate = self.bandwidth["l2" if int(vectors) * 16 <= self.l2_bytes else "dram"]
        self._pass(grid * block * loads * 16 / rate / 1e3, laps)

    def _read_shared(self, name, grid, block, data, batches, sums, laps) -> None:
        loads = int(batches) * CONSTANTS["LOADS"]
        ring = data.view(-1, 4)
        sums += _wrapped(_ring_sum(ring, block, block % len(ring), loads))
        self._pass(grid * block * loads * 16 / (self.bandwidth["shared"] * min(1.0, block / 512)) / 1e3, laps)

    def _chase_global(self, name, grid, block, start, warm, hops, end, laps) -> None:
        self._follow(int(start), int(warm) + int(hops), end)
        footprint = 128 * _cycle_length(int(start))
        level = "l1" if footprint <= self.l1_bytes else "dram"
        ns = self.latency[level]
        if self.l1_bytes < footprint <= self.l2_bytes:
            ns = (self.latency["l2_near"] + self.latency["l2_far"]) / 2
        self._pass(int(hops) * ns / 1e3, laps)

    def _chase_each(self, name, grid, block, start, hops, end, clocks) -> None:
        self._follow(int(start), int(hops), end)
        near, far = (round((self.latency[part] + 10) * self.clock_mhz / 1e3) for part in ("l2_near", "l2_far"))
        clocks[:] = torch.tensor([near, far] * (len(clocks) // 2))
        self.took_us += 1.0

    def _chase_shared(self, name, grid, block, following, words, hops, end, laps) -> None:
        at = 0
        for _ in range(int(hops)):
            at = int(following[at // 4])
        end[0] = at
        self._pass(int(hops) * self.latency["shared"] / 1e3, laps)

    def _chase_loaded(
        self, name, grid, block, start, hops, end, stream, vectors, step, rest, state, totals, laps
    ) -> None:
        self._follow(int(start), int(hops), end)
        share = 1.0 / (1.0 + int(rest) / 1000)
        ns = int(hops) * self.latency["dram"] * (1 + 2 * share**4)
        words = round(ns * share * self.bandwidth["dram"] / 4)
        totals += torch.tensor([words, words * int(stream[0])])
        self._pass(ns / 1e3, laps)

    def _fma(self, name, grid, block, one, rounds, totals, laps) -> None:
        lanes = 2 if name.endswith("16") else 1
        steps = int(one) * int(rounds) * CONSTANTS["FMA_STEPS"] * CONSTANTS["CHAINS"] * lanes
        totals[:] = steps
        self._pass(2 * steps * len(totals) / self.tflops["fma_"] / 1e6, laps)

    def _mma(self, name, grid, block, a, b, rounds, out, laps) -> None:
        kind, shape = name.split("_")[1:]
        m, rest = shape[1:].split("n")
        n, k = rest.split("k")
        left = _a_matrix(_words(a), kind, int(m), int(k))
        right = _b_matrix(_words(b), kind, int(k))
        steps = int(rounds) * CONSTANTS["MMA_STEPS"] * CONSTANTS["CHAINS"]
        out[:] = torch.from_numpy(_d_fragments(steps * (left @ right))).to(out.dtype)
        self._pass(2.0 * int(m) * int(n) * int(k) * steps * len(out) / self.tflops["mma_"] / 1e6, laps)

    def _wgmma(self, name, grid, block, a, b, rounds, out, laps) -> None:
        kind = name.removeprefix("wgmma_")
        left, right = (_tile_matrix(_words(words), kind) for words in (a, b))
        out[:] = torch.from_numpy(CONSTANTS["MMA_STEPS"] * (left @ right.T)).to(out.dtype)
        macs = left.shape[0] * right.shape[0] * left.shape[1] * CONSTANTS["MMA_STEPS"] * int(rounds) * len(out)
        self._pass(2.0 * macs / self.tflops["wgmma_"] / 1e6, laps)

    def _pass(self, us: float, laps: Any) -> None:
        self.took_us += us
        laps.view(-1, 2)[:] = torch.tensor([round(us * self.clock_mhz), round(1e3 * us)])

    def _follow(self, start: int, hops: int, end: Any) -> None:
        at = start
        for _ in range(hops):
            at = _pointer(at)
        end[0] = at


class SimulatedBench(ProbeBench):
    """A probe's bench on a simulated GPU: time is what the launches say it is."""

    def laps_us(self, launch: Callable[[], None], repeats: int, hold_ns: int = 0) -> list[float]:
        begin = self.launcher.took_us
        launch()
        return [self.launcher.took_us - begin] * repeats

    def captured(self, launch: Callable[[], None]) -> Callable[[], None]:
        return launch

    def forget(self) -> None: ...

    def free_bytes(self) -> int:
        return 32 * MIB


def _pointer(address: int) -> int:
    """The 64-bit word at ``address`` of this process."""
    return ctypes.c_int64.from_address(address).value


def _cycle_length(start: int) -> int:
    at, hops = _pointer(start), 1
    while at != start:
        at, hops = _pointer(at), hops + 1
    return hops


def _wrapped(value: int) -> int:
    """A sum as a signed 32-bit word holds it."""
    return (value + 2**31) % 2**32 - 2**31


def _ring_sum(ring: Any, threads: int, step: int, loads: int) -> int:
    """What the threads read: thread t begins at t and goes on by the number of threads, round the ring."""
    vectors = len(ring)
    assert step == threads % vectors
    visits = np.zeros(vectors, np.int64)
    rounds, rest = divmod(threads * loads, vectors)
    visits += rounds
    visits[:rest] += 1
    sums = ring.sum(dim=1, dtype=torch.int64).numpy()
    return int((sums * visits).sum())


def _spoil(arguments: tuple[Any, ...]) -> None:
    """Change one value of everything that the kernel wrote."""
    for argument in arguments[-4:]:
        if torch.is_tensor(argument):
            argument.view(-1)[0] += 1


def _words(tensor: Any) -> np.ndarray:
    return tensor.numpy().view(np.uint32)


def _value(word: int, part: int, kind: str) -> float:
    """Element ``part`` of a 32-bit register."""
    raw = int(word).to_bytes(4, "little")
    match kind:
        case "tf32":
            return float(np.frombuffer(raw, np.float32)[0])
        case "fp16":
            return float(np.frombuffer(raw, np.float16)[part])
        case "bf16":
            return float(np.frombuffer(b"\0\0" + raw[2 * part : 2 * part + 2], np.float32)[0])
        case "int8":
            return float(np.frombuffer(raw, np.int8)[part])
    return float(torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(torch.float8_e4m3fn)[part].float())


def _per(kind: str) -> int:
    return {"tf32": 1, "fp16": 2, "bf16": 2}.get(kind, 4)


def _a_matrix(words: np.ndarray, kind: str, m: int, k: int) -> np.ndarray:
    """A by the element formulas of the PTX ISA: a_i of a lane with groupID and threadID_in_group."""
    per = _per(kind)
    matrix = np.full((m, k), np.nan)
    for lane in range(WARP):
        group, thread = lane >> 2, lane % 4
        for i in range(words.shape[1] * per):
            lower = m == 16 and (i // per) % 2 == 1
            upper_half_of_k = i >= (2 if m == 16 else 1) * per
            row = group + (8 if lower else 0)
            column = thread * per + i % per + (4 * per if upper_half_of_k else 0)
            matrix[row, column] = _value(words[lane, i // per], i % per, kind)
    assert not np.isnan(matrix).any(), "the fragments leave gaps"
    return matrix


def _b_matrix(words: np.ndarray, kind: str, k: int) -> np.ndarray:
    per = _per(kind)
    matrix = np.full((k, 8), np.nan)
    for lane in range(WARP):
        for i in range(words.shape[1] * per):
            row = (lane % 4) * per + i % per + (4 * per if i >= per else 0)
            matrix[row, lane >> 2] = _value(words[lane, i // per], i % per, kind)
    assert not np.isnan(matrix).any(), "the fragments leave gaps"
    return matrix


def _d_fragments(matrix: np.ndarray) -> np.ndarray:
    rows = matrix.shape[0]
    out = np.zeros((WARP, rows // 4))
    for lane in range(WARP):
        for i in range(rows // 4):
            row = (lane >> 2) + (8 if i >= 2 else 0)
            out[lane, i] = matrix[row, (lane % 4) * 2 + (i & 1)]
    return out


def _tile_matrix(words: np.ndarray, kind: str) -> np.ndarray:
    """A tile by the canonical K-major layout, not swizzled, in units of 16 bytes: ((8, rows / 8), 2) : ((1, 16), 8)."""
    per = _per(kind)
    rows = words.size * 4 // 32
    matrix = np.zeros((rows, 8 * per))
    for row in range(rows):
        for chunk in range(2):
            unit = row % 8 + (row // 8) * 16 + chunk * 8
            for element in range(4 * per):
                word = words[unit * 4 + element // per]
                matrix[row, chunk * 4 * per + element] = _value(word, element % per, kind)
    return matrix
