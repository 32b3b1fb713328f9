"""What holds for every layer on every GPU, whatever the calibration says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import layer, tensor
from headroom.gpu.sheets import load_gpu, sheet_ids
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.graph.work import Attention, Matmul
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Bottleneck
from headroom.predict.table import predict_table
from headroom.predict.table_answer import Answers

H200, A100, V100, XP = (load_gpu(name) for name in ("h200", "a100-80gb-sxm", "v100-pcie-32gb", "titan-xp"))

#: A library's preference for narrow plain tiles can cost this much where a change of the GPU or the layer meets it.
PREFERENCE = 1.06

sizes = st.sampled_from([1, 2, 3, 7, 16, 60, 64, 65, 129, 512, 1000, 4096])
matmuls = st.fixed_dictionaries(
    {"op": st.just("matmul"), "m": sizes, "n": sizes, "k": sizes, "batch": st.sampled_from([1, 3, 48])}
)
convolutions = st.fixed_dictionaries(
    {
        "op": st.just("conv2d"), "n": st.sampled_from([1, 8, 33]), "c": st.sampled_from([1, 3, 64, 320]),
        "h": st.sampled_from([7, 14, 57]), "w": st.sampled_from([7, 56]), "k": st.sampled_from([1, 8, 96, 512]),
        "r": st.sampled_from([1, 3, 7]), "s": st.sampled_from([1, 3]), "padding": st.just("3x1"),
        "stride": st.sampled_from([1, 2]),
    }
)  # fmt: skip
depthwise = st.fixed_dictionaries(
    {
        "op": st.just("conv2d"), "n": st.sampled_from([1, 32]), "h": st.sampled_from([7, 112]), "w": st.just(28),
        "c": st.sampled_from([8, 576]), "r": st.sampled_from([3, 7]), "s": st.just(3), "padding": st.just("3x1"),
    }
).map(lambda row: {**row, "k": row["c"], "groups": row["c"]})  # fmt: skip
rows = st.lists(st.one_of(matmuls, convolutions, depthwise), min_size=5, max_size=40)
gpus = st.sampled_from([(H200, "bf16"), (H200, "tf32"), (A100, "bf16"), (V100, "fp32"), (V100, "fp16"), (XP, "fp32")])


def answers(table, gpu: GpuSpec, dtype: str, **options: str) -> Answers:
    found = predict_table([{**row, "dtype": dtype} for row in table], gpu, **options)
    assert not any(found.errors)
    return found.answers


@settings(max_examples=30, deadline=None)
@given(rows, gpus)
def test_a_cold_cache_is_never_faster_and_traffic_shrinks_with_every_level(table, where) -> None:
    warm, cold = answers(table, *where), answers(table, *where, l2_state="cold")
    assert np.all(cold.time_us >= warm.time_us * (1 - 1e-12))
    for answer in (warm, cold):
        # Hopper's L2 counts in both halves what crosses between them, L1 once.
        behind = answer.dram_bytes if where[0] is H200 else answer.l2_bytes
        assert np.all(answer.l1_bytes >= behind * (1 - 1e-12))
        assert np.all(answer.l2_bytes >= answer.dram_bytes * (1 - 1e-12))


@settings(max_examples=30, deadline=None)
@given(rows, gpus, st.sampled_from([2, 3, 10]))
def test_a_larger_batch_never_takes_less_time(table, where, times: int) -> None:
    larger = [{**row, ("n" if row["op"] == "conv2d" else "batch"): times * row.get("batch", row["n"])} for row in table]
    before, after = answers(table, *where).time_us, answers(larger, *where).time_us
    assert np.all(after * PREFERENCE >= before)


@settings(max_examples=30, deadline=None)
@given(rows, gpus, st.sampled_from(["dram", "l2"]))
def test_twice_the_bandwidth_never_slows_a_layer(table, where, level: str) -> None:
    gpu, dtype = where
    part = getattr(gpu, level)
    faster = replace(gpu, **{level: replace(part, bandwidth_gbs=2 * part.bandwidth_gbs)})
    faster = replace(faster, dram_peak_gbs=2 * gpu.dram_peak_gbs) if level == "dram" else faster
    assert np.all(answers(table, faster, dtype).time_us <= PREFERENCE * answers(table, gpu, dtype).time_us)


@pytest.mark.parametrize("name", sheet_ids())
def test_every_gpu_and_data_type_answers_odd_shapes_with_sane_figures(name: str) -> None:
    gpu = load_gpu(name)
    table = [
        {"op": "matmul", "m": m, "n": n, "k": k, "batch": b}
        for m, n, k, b in ((1, 1, 1, 1), (1, 1, 10**6, 1), (10**6, 1, 7, 1), (10**6, 2, 1, 64), (3, 5, 2, 10**6))
    ]
    table += [
        {"op": "conv2d", "n": n, "c": c, "h": 7, "w": 224, "k": k, "r": 3, "s": 3, "padding": 1, "groups": g}
        for n, c, k, g in ((1, 1, 1, 1), (10**6, 1, 1, 1), (1, 1, 4096, 1), (1, 4096, 1, 1), (64, 960, 960, 960))
    ]
    for dtype in (d for d in DataType if gpu.supports(d)):
        answer = answers(table, gpu, str(dtype))
        for column in (answer.time_us, answer.l1_bytes, answer.dram_bytes, answer.waves, answer.error_pct):
            assert np.all(np.isfinite(column))
        assert np.all(answer.time_us >= 0.3 * gpu.launch_us)
        assert np.all((answer.tail_utilization > 0) & (answer.tail_utilization <= 1))


@pytest.mark.parametrize("size", [(8192, 4096, 1024), (8192, 8192, 8192), (16384, 4096, 4096)])
def test_large_products_are_limited_by_arithmetic_on_an_h200(size: tuple[int, int, int]) -> None:
    m, n, k = size
    product = layer("p", Matmul(m, n, k), [tensor("a", m, k)], weights=[tensor("b", k, n)], shape=(m, n))
    answer = predict_layers([product], H200, DataType.BF16)[0]
    assert answer.bottleneck is Bottleneck.COMPUTE
    assert 600 < 2 * m * n * k / answer.time_us / 1e6 < 850


def test_long_prompts_are_limited_by_arithmetic_and_decoding_by_memory() -> None:
    shape = (16, 16, 4096, 128)
    long = layer("a", Attention(16, 16, 4096, 4096, 128, 128, 16), [tensor(x, *shape) for x in "qkv"], shape=shape)
    one = (16, 16, 1, 128)
    decode = layer(
        "d",
        Attention(16, 16, 1, 4096, 128, 128, 16),
        [tensor("q", *one), *(tensor(x, *shape) for x in "kv")],
        shape=one,
    )
    prompt, step = predict_layers([long, decode], H200, DataType.BF16)
    assert prompt.bottleneck is Bottleneck.COMPUTE
    assert step.bottleneck is Bottleneck.DRAM
    assert prompt.time_us == pytest.approx(3614, rel=0.15)
    assert step.time_us == pytest.approx(123, rel=0.15)
