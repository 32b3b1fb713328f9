"""Predictions for layers of any kind."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from builders import add, conv, layer, relu, tensor
from headroom.errors import UsageError
from headroom.gpu.sheets import load_gpu
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import (
    Attention,
    Convolution,
    Embedding,
    Free,
    Matmul,
    Movement,
    Normalization,
    Pooling,
    Recurrent,
    Reduction,
    Softmax,
    Unknown,
    Work,
)
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Bottleneck, Prediction, Source

H200, V100, A100 = load_gpu("h200"), load_gpu("v100-pcie-32gb"), load_gpu("a100-80gb-sxm")


def one(subject: Layer, gpu=H200, dtype: DataType = DataType.BF16, **options: str) -> Prediction:
    return predict_layers([subject], gpu, dtype, **options)[0]


def product(m: int, n: int, k: int, batch: int = 1) -> Layer:
    return layer(
        "product",
        Matmul(m, n, k, batch),
        [tensor("a", batch, m, k)],
        weights=[tensor("b", batch, k, n)],
        shape=(batch, m, n),
    )


def grouped(channels: int, groups: int, kernel: int = 3) -> Layer:
    pad = kernel // 2
    work = Convolution(
        8, channels, channels, (56, 56), (56, 56), (kernel, kernel), (1, 1), ((pad, pad), (pad, pad)), (1, 1), groups
    )
    weights = [tensor("w", channels, channels // groups, kernel, kernel)]
    return layer("grouped", work, [tensor("x", 8, channels, 56, 56)], weights=weights, shape=(8, channels, 56, 56))


def streaming(work: Work) -> Layer:
    return layer("stream", work, ["x"])


VALUES = 64 * 56 * 56
ZOO = [
    conv("conv", "x"),
    grouped(64, 64),
    grouped(64, 4),
    product(512, 1024, 768),
    product(1, 4096, 4096),
    layer("attention", Attention(2, 12, 512, 512, 64, 64, 12, causal=True), ["q", "k", "v"], shape=(2, 12, 512, 64)),
    layer("decode", Attention(1, 8, 1, 4096, 128, 128, 8), ["q", "k", "v"], shape=(1, 8, 1, 128)),
    layer("lstm", Recurrent("lstm", 8, 100, 512, 512, layers=2), ["x"], weights=[tensor("w", 4096, 1024)]),
    streaming(Normalization("layer", VALUES, group_elements=768)),
    streaming(Normalization("batch", VALUES)),
    streaming(Pooling("max", VALUES, (3, 3), (2, 2))),
    streaming(Softmax(1024, 50257)),
    relu("relu", "x"),
    add("add", "x", "y"),
    streaming(Reduction("mean", VALUES, 64)),
    streaming(Movement("transpose", VALUES)),
    layer("lookup", Embedding(512, 768), [tensor("ids", 512, element="int64")], weights=[tensor("t", 30522, 768)]),
]


@pytest.mark.parametrize("subject", ZOO, ids=lambda subject: f"{subject.name}-{subject.kind}")
@pytest.mark.parametrize("gpu", [V100, H200], ids=lambda gpu: gpu.id)
@pytest.mark.parametrize("l2_state", ["warm", "cold"])
def test_every_kind_has_a_time_above_its_floor_with_an_error_bar(subject: Layer, gpu, l2_state: str) -> None:
    answer = one(subject, gpu, DataType.FP16, l2_state=l2_state)
    assert answer.source is Source.PREDICTED
    assert answer.time_us is not None
    assert answer.error_pct is not None
    assert answer.time_us >= max(answer.floor_us, 1.0)
    assert answer.floor_us > 0
    assert answer.error_pct > 2
    assert answer.bottleneck is not Bottleneck.UNKNOWN
    assert answer.algorithm
    assert answer.l2_bytes >= 0.9 * answer.dram_bytes


def test_an_unknown_layer_has_no_time_and_says_why() -> None:
    answer = one(layer("strange", Unknown("FancyOp", "no reader knows it"), ["x"]))
    assert (answer.time_us, answer.error_pct, answer.source) == (None, None, Source.UNKNOWN)
    assert answer.notes == ("no prediction for Unknown: no reader knows it",)


def test_a_view_is_free_exactly() -> None:
    answer = one(layer("view", Free("reshape"), ["x"]))
    assert (answer.time_us, answer.error_pct, answer.floor_us) == (0.0, 0.0, 0.0)


def test_answers_stand_in_the_order_of_the_layers_and_do_not_depend_on_company() -> None:
    together = predict_layers([*ZOO, *reversed(ZOO)], V100, DataType.FP32)
    alone = [one(subject, V100, DataType.FP32) for subject in ZOO]
    assert together == [*alone, *reversed(alone)]


@pytest.mark.alone
def test_five_hundred_layers_take_less_than_a_fifth_of_a_second() -> None:
    layers = [grouped(64 + 8 * i, 1) for i in range(250)] + [
        relu(f"r{i}", "x", (1, 64 + i, 56, 56)) for i in range(250)
    ]
    predict_layers(layers[:2], H200, DataType.BF16)
    best = min(_seconds(lambda: predict_layers(layers, H200, DataType.BF16)) for _ in range(3))
    assert best < 0.2


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_a_cold_cache_costs_time_only_where_bytes_matter() -> None:
    stream, dense = add("add", "x", "y", shape=(32, 64, 56, 56)), product(4096, 4096, 4096)
    assert one(stream, l2_state="cold").time_us > one(stream, l2_state="warm").time_us
    assert one(stream, l2_state="cold").bottleneck is Bottleneck.DRAM
    assert one(dense, l2_state="cold").bottleneck is not Bottleneck.DRAM


def test_a_depthwise_convolution_is_named_as_not_im2col() -> None:
    answer = one(grouped(64, 64))
    assert answer.algorithm == "direct depthwise kernel"
    assert answer.notes == ("not im2col: a depthwise convolution runs as a direct streaming kernel",)


def test_a_transformed_kernel_is_named_in_strict_fp32_only() -> None:
    assert "Winograd" in one(grouped(64, 1), V100, DataType.FP32).notes[0]
    assert one(grouped(64, 1), H200, DataType.BF16).notes == ()


def test_a_small_product_splits_its_depth_to_fill_the_gpu() -> None:
    answer = one(product(64, 64, 65536))
    assert "K split" in answer.algorithm
    assert answer.ctas is not None
    assert answer.ctas > 8


def test_one_cta_too_many_costs_a_wave() -> None:
    full, spilled = product(128 * 80, 128, 4096), product(128 * 80 * 8 + 1, 128, 4096)
    before, after = one(product(128 * 80 * 8, 128, 4096), V100, DataType.FP32), one(spilled, V100, DataType.FP32)
    assert after.time_us > before.time_us
    assert after.tail_utilization < before.tail_utilization
    assert one(full, V100, DataType.FP32).tail_utilization == pytest.approx(1.0)


def test_a_decoding_step_spreads_its_keys_over_the_gpu() -> None:
    decode = next(subject for subject in ZOO if subject.name == "decode")
    answer = one(decode)
    assert answer.ctas is not None
    assert answer.ctas > 8


def test_a_lookup_of_short_rows_moves_whole_sectors_and_one_of_long_rows_what_it_holds() -> None:
    def moved(width: int) -> float:
        table, rows = tensor("t", 10**6, width), [tensor("ids", 4096, element="int64")]
        lookup = layer("lookup", Embedding(4096, width), rows, weights=[table], shape=(4096, width))
        return one(lookup).l2_bytes / lookup.bytes(DataType.BF16)

    assert moved(768) == pytest.approx(1.0)
    assert moved(1) == pytest.approx((2 + 32 - 2 + 2) / 4)
    assert moved(12) == pytest.approx((24 + 32 - 8 + 24) / 48)


def test_causal_attention_is_faster_than_full() -> None:
    shape = (1, 16, 8192, 128)
    full = Attention(1, 16, 8192, 8192, 128, 128, 16)
    times = [
        one(layer("a", work, [TensorSpec(n, shape) for n in "qkv"], shape=shape)).time_us
        for work in (replace(full, causal=True), full)
    ]
    assert times[0] < 0.7 * times[1]


def test_a_smaller_data_type_is_never_slower_on_the_gpu_that_has_it() -> None:
    times = [
        one(product(4096, 4096, 4096), H200, d).time_us
        for d in (DataType.FP32, DataType.TF32, DataType.BF16, DataType.FP8)
    ]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"l2_state": "lukewarm"}, "unknown cache state 'lukewarm': choose warm or cold"),
        ({"layout": "chwn"}, "unknown layout 'chwn': choose nchw or nhwc"),
    ],
)
def test_a_wrong_option_is_refused_with_the_choices(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        one(ZOO[0], **options)
    assert str(error.value) == sentence


def test_a_data_type_that_the_gpu_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(UsageError, match=r"does not multiply fp8: choose one of .*fp32"):
        one(ZOO[0], V100, DataType.FP8)


def test_an_nchw_convolution_pays_for_its_transposition_on_tensor_cores_only() -> None:
    subject = grouped(64, 1)
    nchw, nhwc = one(subject, layout="nchw"), one(subject, layout="nhwc")
    assert nchw.time_us > nhwc.time_us == one(subject).time_us
    assert nchw.notes == ("the time contains the kernels that transpose NCHW tensors to NHWC and back",)
    plain = [one(subject, V100, DataType.FP32, layout=layout).time_us for layout in ("nchw", "nhwc")]
    assert plain[0] == plain[1]
