"""The real bench on this machine's GPU: right outputs, believable times, errors that cost what they should."""

from __future__ import annotations

import statistics

import pytest

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Convolution, Elementwise, Matmul, Pooling, Work
from headroom.measure.bench import UnsupportedError
from headroom.measure.task import Task
from headroom.store.rows import Status

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.gpu

CONV = Convolution(1, 512, 256, (64, 64), (64, 64), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
Shape = tuple[int, ...]


@pytest.fixture(scope="module")
def bench():
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU that PyTorch can use")
    from headroom.measure.cuda.bench import CudaBench

    return CudaBench(0)


def chain_of(*layers: tuple[Work, str, str]) -> Chain:
    """Each layer as (work, ``name:2x3`` of what it reads, the same of what it writes); names with w are weights."""

    def specs(text: str) -> tuple[TensorSpec, ...]:
        pairs = (word.split(":") for word in text.split())
        return tuple(TensorSpec(name, tuple(int(size) for size in sizes.split("x"))) for name, sizes in pairs)

    def made(work: Work, reads: str, writes: str) -> Layer:
        operands = specs(reads)
        weights = tuple(spec for spec in operands if spec.name.startswith("w"))
        return Layer("", "", work, tuple(s for s in operands if s not in weights), weights, specs(writes))

    return Chain.of([made(*layer) for layer in layers])


CONVOLUTION = chain_of((CONV, "x:1x512x64x64 w:256x512x3x3", "y:1x256x64x64"))
FUSED = chain_of(
    (CONV, "x:1x512x64x64 w:256x512x3x3 wb:256", "y:1x256x64x64"),
    (Elementwise("relu", 1 << 20, 1, True), "y:1x256x64x64", "z:1x256x64x64"),
)
ADDITION = chain_of((Elementwise("add", 1 << 24), "a:4096x4096 b:4096x4096", "c:4096x4096"))
POOL = chain_of((Pooling("max", 64 * 56 * 56, (3, 3), (2, 2)), "x:1x64x112x112", "y:1x64x56x56"))


@pytest.mark.parametrize("chain", [CONVOLUTION, FUSED, POOL, ADDITION], ids=lambda chain: chain.title)
@pytest.mark.parametrize("dtype", [DataType.BF16, DataType.TF32, DataType.FP32])
def test_every_backend_computes_the_reference_and_tells_its_kernels(bench, chain: Chain, dtype: DataType) -> None:
    task = Task(chain, dtype)
    operands = bench.operands(task)
    timed, failures = {}, []
    for backend in bench.backends:
        for candidate in backend.candidates(task, operands):
            try:
                program = candidate.build()
                check = bench.check(program, task, operands)
            except UnsupportedError:
                continue
            except Exception as error:  # noqa: BLE001 - one that fails costs itself alone
                failures.append((candidate.implementation, bench.failure(error)))
                assert not failures[-1][1].poisoned, failures
                continue
            reading = bench.time(program, "warm", precise=False)
            assert check.passed, (candidate.implementation, check)
            assert len(reading.samples_us) >= 10
            assert len(reading.sm_clocks_mhz) == len(reading.samples_us)
            assert reading.kernels, candidate.implementation
            assert all(kernel.name for kernel in reading.kernels)
            timed[candidate.implementation] = statistics.median(reading.samples_us)
            if len(timed) == 6:
                return
    assert len(timed) > len(failures), failures
    assert all(0.5 < time_us < 100_000 for time_us in timed.values())


def program_of(bench, chain: Chain, dtype: DataType, backend: str = "torch"):
    task = Task(chain, dtype)
    operands = bench.operands(task)
    chosen = next(b for b in bench.backends if b.name == backend)
    program = next(iter(chosen.candidates(task, operands))).build()
    assert bench.check(program, task, operands).passed
    return program


def median(bench, program, l2: str) -> float:
    return statistics.median(bench.time(program, l2, precise=True).samples_us)


def test_a_cold_cache_costs_what_the_operands_take_from_memory(bench) -> None:
    # 25 MB of operands: all of them fit into the cache of a recent GPU.
    chain = chain_of((Elementwise("add", 1 << 22), "a:2048x2048 b:2048x2048", "c:2048x2048"))
    program = program_of(bench, chain, DataType.BF16)
    warm, cold = median(bench, program, "warm"), median(bench, program, "cold")
    assert cold > 1.1 * warm


def test_an_addition_moves_its_bytes_no_faster_than_memory_allows(bench) -> None:
    chain = chain_of((Elementwise("add", 1 << 28), "a:16384x16384 b:16384x16384", "c:16384x16384"))
    time_us = median(bench, program_of(bench, chain, DataType.BF16), "warm")
    bandwidth = chain.bytes(DataType.BF16) / time_us * 1e-6  # TB/s
    assert 0.2 < bandwidth < 8.5


def test_the_same_program_reads_the_same_twice(bench) -> None:
    program = program_of(bench, CONVOLUTION, DataType.BF16)
    first, second = median(bench, program, "warm"), median(bench, program, "warm")
    assert first == pytest.approx(second, rel=0.03)


def test_a_layer_that_does_not_fit_says_so_and_the_next_one_runs(bench) -> None:
    side = 1 << 20
    shapes = f"a:{side}x{side} w:{side}x{side}", f"c:{side}x{side}"
    huge = chain_of((Matmul(side, side, side), *shapes))
    operands = bench.operands(Task(huge, DataType.FP32))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the library raises is to be understood
        operands.tensor("t0")
    failure = bench.failure(caught.value)
    assert failure.status is Status.OOM
    assert not failure.poisoned
    assert failure.needed_bytes == 4 << 40
    assert 0 < failure.free_bytes < failure.needed_bytes
    program_of(bench, POOL, DataType.BF16)


def test_a_capture_that_breaks_off_costs_nothing_more(bench) -> None:
    program = program_of(bench, POOL, DataType.BF16)
    expected = median(bench, program, "warm")

    def waits() -> None:
        program.launch()
        torch.cuda.synchronize()

    with pytest.raises(RuntimeError) as caught:
        bench._player.capture(waits)
    assert not bench.failure(caught.value).poisoned
    again = program_of(bench, POOL, DataType.BF16)
    assert median(bench, again, "warm") == pytest.approx(expected, rel=0.2)


def test_the_system_is_told_completely(bench) -> None:
    facts = bench.facts()
    assert facts.gpu_uuid.startswith("GPU-")
    assert 0 < facts.free_bytes <= facts.memory_bytes
    assert facts.max_sm_clock_mhz
    assert all((facts.system.gpu, facts.system.driver, facts.system.cuda, facts.system.torch))
    version = torch.backends.cudnn.version()
    assert facts.system.cudnn == f"{version // 10000}.{version // 100 % 100}.{version % 100}"
