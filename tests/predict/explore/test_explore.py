"""Many designs at once are the same as each alone."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

import headroom as hr
from builders import add, batch_norm, conv, layer, matmul, relu, tensor, unknown, view
from headroom.errors import UsageError
from headroom.gpu.designs import design_of
from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.work import Attention, Convolution, Pooling, Softmax
from headroom.predict.delta import ConvBatch, estimate
from headroom.predict.error_sums import of_sum
from headroom.predict.explore.explore import front
from headroom.predict.model import predict_layers

#: A library prefers narrow plain tiles until a wide one is clearly faster.
PREFERENCE = 0.06

VARIED = {
    "sms": [1, 1.5],
    "clock": [0.9, 1],
    "dram_bw": [0.8, 1],
    "l2_size": [0.5, 1],
    "flops": [1, 3],
    "launch_us": [1, 2],
}


def graph_of(*layers: Layer, name: str = "net") -> Graph:
    return Graph(name, layers, (tensor("x"),), (tensor(layers[-1].name),), 1)


def depthwise(name: str, read: str) -> Layer:
    work = Convolution(
        batch=1, in_channels=64, out_channels=64, in_size=(56, 56), out_size=(56, 56), kernel=(3, 3), stride=(1, 1),
        padding=((1, 1), (1, 1)), dilation=(1, 1), groups=64,
    )  # fmt: skip
    return layer(name, work, [read], weights=[tensor(f"{name}.weight", 64, 1, 3, 3)])


def every_kind() -> Graph:
    attention = Attention(batch=1, heads=8, query_length=128, key_length=128, head_dim=64, value_dim=64, kv_heads=8)
    return graph_of(
        conv("a", "x"), batch_norm("b", "a"), relu("c", "b"), conv("d", "c", channels=256, size=28), view("e", "d"),
        add("f", "e", "c"), matmul("g", "f", 512, 1024, 768), matmul("h", "g", 1, 1000, 2048),
        layer("i", attention, ["h"], shape=(1, 8, 128, 64)), depthwise("j", "i"),
        layer("k", Softmax(rows=64, row_elements=1000), ["j"], shape=(64, 1000)),
        layer("l", Pooling("max", 64 * 28 * 28, (2, 2), (2, 2)), ["k"]),
    )  # fmt: skip


def alone(graph: Graph, gpu: GpuSpec, dtype: hr.DataType, l2: str) -> tuple[float, float, float]:
    """Time, half-width of the error bar and DRAM bytes of the whole model, predicted layer by layer."""
    found = [(p, c.count) for c in graph.configurations for p in predict_layers([c.layer], gpu, dtype, l2_state=l2)]
    time_us = sum(count * (p.time_us or 0.0) for p, count in found)
    bars = [count * (p.time_us or 0.0) * (p.error_pct or 0.0) / 100.0 for p, count in found]
    error_us = of_sum(sum(bars), sum(bar * bar for bar in bars))
    return time_us, error_us, sum(count * p.dram_bytes for p, count in found)


@pytest.mark.parametrize(
    ("gpu", "dtype", "l2"),
    [
        ("titan-xp", "fp32", "warm"),
        ("h200", "bf16", "cold"),
        ("h200", "fp32", "warm"),
        ("v100-pcie-32gb", "fp16", "warm"),
    ],
)
def test_every_design_has_the_figures_that_it_has_alone(gpu: str, dtype: str, l2: str) -> None:
    graph = every_kind()
    found = hr.explore(graph, gpu, VARIED, dtype=dtype, l2=l2)
    assert len(found) == 64
    for at in range(0, 64, 5):
        spec = design_of(found.sheets, int(found.possible[at]))
        figures = (found.figures.time_us[at], found.figures.error_us[at], found.figures.dram_bytes[at])
        assert figures == pytest.approx(alone(graph, spec, hr.DataType(dtype), l2), rel=1e-12)
    assert found.figures.limited_us.sum(axis=1) == pytest.approx(found.figures.time_us, rel=1e-12)


def test_the_base_is_what_predictions_say_of_the_gpu() -> None:
    graph = every_kind()
    found = hr.explore(graph, "h200", {"sms": [1]}, dtype="bf16")
    expected = alone(graph, load_gpu("h200"), hr.DataType.BF16, "warm")[0]
    assert found.base.time_us[0] == pytest.approx(expected, rel=1e-12)
    assert found.speedups.tolist() == [1.0]


def test_designs_may_multiply_on_different_units() -> None:
    found = hr.explore(graph_of(matmul("g", "x", 4096, 4096, 4096)), "h200", {"tensor_tflops": [1, 0.01]}, dtype="bf16")
    own, slow = (design_of(found.sheets, at) for at in (0, 1))
    assert own.multiplies_on_tensor_cores(hr.DataType.BF16)
    assert not slow.multiplies_on_tensor_cores(hr.DataType.BF16)
    assert found.figures.time_us[1] == pytest.approx(alone(found.graph, slow, hr.DataType.BF16, "warm")[0], rel=1e-12)


def test_theory_delta_gives_each_design_the_published_model_s_time() -> None:
    graph = graph_of(conv("a", "x"), conv("b", "a", channels=256, size=28))
    found = hr.explore(graph, "p100-pcie", {"sms": [1, 2], "shared_bw": [0.5, 1], "tile": [1, 2]}, theory="delta")
    convs = ConvBatch.of([x.work for x in graph.layers])
    for at in (0, 2, 4, 6):  # the tiles of the paper
        expected = estimate(convs, design_of(found.sheets, at), found.dtype).time_us.sum()
        assert found.figures.time_us[at] == pytest.approx(expected, rel=1e-12)


def test_theory_delta_names_the_layers_that_it_leaves_out() -> None:
    found = hr.explore(graph_of(conv("a", "x"), relu("b", "a")), "p100-pcie", {"sms": [1, 2]}, theory="delta")
    assert [x.name for x in found.left_out] == ["b"]
    assert found.to_dict()["left_out"] == [{"name": "b", "kind": "activation"}]
    assert any("knows nothing of 1" in note for note in found.to_dict()["notes"])


def test_unknown_layers_are_left_out_and_named() -> None:
    found = hr.explore(graph_of(conv("a", "x"), unknown("m", "a")), "h200", {"sms": [1, 2]})
    assert [x.name for x in found.left_out] == ["m"]


def test_a_model_without_a_known_layer_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing can be compared"):
        hr.explore(graph_of(unknown("m", "x")), "h200", {"sms": [1, 2]})
    with pytest.raises(UsageError, match="no convolution and no matrix product"):
        hr.explore(graph_of(relu("m", "x")), "h200", {"sms": [1, 2]}, theory="delta")


def test_a_given_tile_replaces_the_library_s_choice() -> None:
    graph = graph_of(matmul("g", "x", 128, 4096, 4096))
    found = hr.explore(graph, "v100-pcie-32gb", {"tile": [1, "@16x128x8", 2]}, dtype="fp32")
    usual, narrow, large = found.figures.time_us.tolist()
    assert narrow > usual
    assert large != usual


def test_a_faster_gpu_is_never_much_slower() -> None:
    found = hr.explore(every_kind(), "h200", {"flops": [1, 2], "dram_bw": [1, 1.2], "l2_bw": [1, 2]}, dtype="bf16")
    assert (found.speedups >= 0.99).all()


@pytest.mark.parametrize("latency", ["l2_latency", "dram_latency"])
def test_a_shorter_latency_never_makes_a_cold_layer_slower(latency: str) -> None:
    work = Convolution(1, 1024, 512, (8, 8), (8, 8), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
    few_ctas = layer("a", work, ["x"], weights=[tensor("a.weight", 512, 1024, 1, 1)])
    found = hr.explore(graph_of(few_ctas), "l4", {latency: [2, 1, 0.8]}, dtype="fp32", l2="cold")
    assert (np.diff(found.figures.time_us) <= 1e-9).all()


def test_an_answer_looked_at_in_a_session_is_one_short_line() -> None:
    found = hr.explore(every_kind(), "h200", {"sms": [1, 2], "dram_bw": [1, 100]})
    assert repr(found) == "<Exploration of net on 4 designs, 2 possible, from H200 SXM 141GB>"


def test_an_axis_that_changes_nothing_is_said() -> None:
    large = matmul("g", "x", 4096, 4096, 4096)
    found = hr.explore(graph_of(large), "h200", {"sms": [1, 2], "l1_bw": [1, 2]}, dtype="bf16")
    assert found.idle_axes == ("l1_bw",)


def test_impossible_designs_are_left_out_with_a_reason_and_all_of_them_are_an_error() -> None:
    graph = graph_of(conv("a", "x"))
    found = hr.explore(graph, "titan-xp", {"dram_bw": [1, 4]})
    assert found.possible.tolist() == [0]
    assert "above l2_bandwidth_gbs" in found.sheets.impossible[1]
    with pytest.raises(
        UsageError, match=r"no design is a possible GPU: sms @5000: sms would be 5000; expected 1 to 1024"
    ):
        hr.explore(graph, "titan-xp", {"sms": ["@5000"]})


def naive_front(times: Sequence[float], costs: Sequence[float]) -> list[bool]:
    pairs = list(zip(times, costs, strict=True))
    return [not any(t <= a and c <= b and (t, c) != (a, b) for t, c in pairs) for a, b in pairs]


def test_the_front_is_what_comparing_every_pair_finds() -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        times, costs = random.integers(1, 9, (2, 30)).astype(float)
        assert front(times, costs).tolist() == naive_front(times, costs)


@pytest.mark.alone
def test_a_thousand_designs_of_a_network_take_under_a_second(shared_models) -> None:
    graph = hr.load(shared_models / "resnet50.onnx")
    grid = {"sms": np.linspace(1, 2, 10), "dram_bw": np.linspace(1, 2, 10), "flops": np.linspace(1, 2, 10)}
    hr.explore(graph, "titan-xp", {"sms": [1]})
    start = time.process_time()
    assert len(hr.explore(graph, "titan-xp", grid)) == 1000
    assert time.process_time() - start < 1.0


BETTER = {
    "sms": [1, 1.5, 2, 4],
    "dram_bw": [1, 1.3],
    "l2_size": [0.25, 1, 2, 8],
    "clock": [1, 1.3, 2],
    "plain_tflops": [1, 4],
    "flops": [1, 4],
    "l2_bw": [1, 1.2],
}


@pytest.mark.parametrize("field", BETTER)
@pytest.mark.parametrize("l2", ["warm", "cold"])
@pytest.mark.parametrize(
    ("gpu", "dtype"), [("h200", "bf16"), ("h200", "fp32"), ("l4", "bf16"), ("t4", "fp16"), ("titan-xp", "fp32")]
)
def test_more_of_anything_is_never_slower(gpu: str, dtype: str, l2: str, field: str) -> None:
    found = hr.explore(every_kind(), gpu, {field: BETTER[field]}, dtype=dtype, l2=l2)
    assert len(found) == len(BETTER[field])
    assert (np.diff(found.figures.time_us) <= PREFERENCE * found.figures.time_us[:-1]).all()


def test_faster_plain_units_take_no_tensor_cores_away() -> None:
    found = hr.explore(graph_of(matmul("g", "x", 4096, 4096, 4096)), "h200", {"plain_tflops": [1, 8]}, dtype="bf16")
    assert not design_of(found.sheets, 1).multiplies_on_tensor_cores(hr.DataType.BF16)
    assert found.speedups[1] >= 1.0


def test_a_tile_that_no_sm_could_hold_is_an_impossible_design_with_its_reason() -> None:
    graph = graph_of(matmul("g", "x", 4096, 4096, 4096))
    tiles = ["@128x128x8", "@512x512x8", "@128x128x512"]
    found = hr.explore(graph, "v100-pcie-32gb", {"tile": tiles}, dtype="fp32")
    assert found.possible.tolist() == [0]
    assert "262144 results" in found.sheets.impossible[1]
    assert "524288 bytes per step" in found.sheets.impossible[2]
    larger = hr.explore(graph, "v100-pcie-32gb", {"tile": ["@512x512x8"], "registers_per_sm": [1, 4]}, dtype="fp32")
    assert larger.possible.tolist() == [1]


def test_a_tile_scaled_beyond_an_sm_stays_the_library_s_own() -> None:
    graph = graph_of(matmul("g", "x", 4096, 4096, 4096))
    usual, beyond = hr.explore(graph, "v100-pcie-32gb", {"tile": [1, 64]}, dtype="fp32").figures.time_us
    assert beyond == usual
