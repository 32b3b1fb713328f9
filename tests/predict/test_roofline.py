"""The speed of light."""

from __future__ import annotations

from pathlib import Path

import pytest

import headroom as hr
from builders import add, conv, layer, tensor
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.graph.work import Attention, Matmul
from headroom.predict.model import predict_layers
from headroom.predict.roofline import floor_us, floors_us, graph_floor

H200, V100 = load_gpu("h200"), load_gpu("v100-pcie-32gb")


def test_a_large_product_is_bound_by_the_peak_rate() -> None:
    work = Matmul(8192, 8192, 8192)
    subject = layer("p", work, [tensor("a", 8192, 8192)], weights=[tensor("b", 8192, 8192)], shape=(8192, 8192))
    expected = 2 * 8192**3 / (H200.peak_tflops(DataType.BF16) * 1e6)
    assert floor_us(subject, H200, DataType.BF16, "cold") == pytest.approx(expected)


def test_a_cold_stream_is_bound_by_dram_and_a_warm_one_that_fits_by_the_cache() -> None:
    subject = add("add", "x", "y", shape=(8, 64, 56, 56))
    moved = 3 * 8 * 64 * 56 * 56 * 2
    assert floor_us(subject, H200, DataType.BF16, "cold") == pytest.approx(moved / (H200.dram_peak_gbs * 1e3))
    assert floor_us(subject, H200, DataType.BF16, "warm") == pytest.approx(moved / (H200.l2.bandwidth_gbs * 1e3))


def test_causal_attention_is_charged_for_the_scores_that_its_mask_keeps() -> None:
    def floor(causal: bool) -> float:
        work = Attention(1, 16, 8192, 8192, 128, 128, 16, causal=causal)
        return floor_us(layer("a", work, ["q"], shape=(1, 16, 8192, 128)), H200, DataType.BF16)

    assert floor(True) == pytest.approx(floor(False) / 2, rel=0.01)


def test_many_floors_are_the_floors_of_each() -> None:
    layers = [conv("c", "x"), add("a", "x", "y"), conv("d", "x", channels=256, size=14)]
    assert floors_us(layers, V100, DataType.FP32, "cold") == [
        floor_us(subject, V100, DataType.FP32, "cold") for subject in layers
    ]


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "bert_base", "googlenet"])
@pytest.mark.parametrize("l2_state", ["warm", "cold"])
def test_a_model_s_floor_is_below_every_way_to_run_it(shared_models: Path, name: str, l2_state: str) -> None:
    graph = hr.load(shared_models / f"{name}.onnx")
    floor = graph_floor(graph, H200, DataType.BF16, l2_state)
    answers = predict_layers(graph.layers, H200, DataType.BF16, l2_state=l2_state)
    parallel_us, _ = graph.critical_path([a.time_us or 0.0 for a in answers])
    assert graph.macs * 2 / (H200.peak_tflops(DataType.BF16) * 1e6) <= floor <= parallel_us


def test_a_cold_model_has_to_read_its_weights(shared_models: Path) -> None:
    graph = hr.load(shared_models / "vgg16.onnx")
    weights_us = graph.weight_bytes(DataType.BF16) / (H200.dram_peak_gbs * 1e3)
    assert graph_floor(graph, H200, DataType.BF16, "cold") >= weights_us
