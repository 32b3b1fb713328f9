"""Layers as arrays: every kind of convolution keeps its multiply-adds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headroom.errors import ModelError
from headroom.graph.work import Convolution, Matmul
from headroom.predict.delta import ConvBatch

FORWARD = Convolution(8, 64, 128, (56, 56), (28, 28), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1)
ONE_D = Convolution(8, 64, 128, (100,), (100,), (5,), (1,), ((2, 2),), (1,), 1)
THREE_D = Convolution(2, 16, 32, (8, 28, 28), (8, 28, 28), (3, 3, 3), (1,) * 3, ((1, 1),) * 3, (1,) * 3, 1)
GROUPED = Convolution(8, 64, 128, (56, 56), (56, 56), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 32)
DILATED = Convolution(8, 64, 64, (56, 56), (56, 56), (3, 3), (1, 1), ((2, 2), (2, 2)), (2, 2), 1)
TRANSPOSED = Convolution(8, 128, 64, (28, 28), (56, 56), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1, direction="dgrad")
WEIGHTS = replace(FORWARD, direction="wgrad")
GROUPED_WEIGHTS = replace(GROUPED, direction="wgrad")
PRODUCT = Matmul(512, 1000, 768, 12)


@pytest.mark.parametrize(
    "work", [FORWARD, ONE_D, THREE_D, GROUPED, DILATED, TRANSPOSED, WEIGHTS, GROUPED_WEIGHTS, PRODUCT]
)
def test_the_gemm_of_the_arrays_has_the_layer_s_multiply_adds(work: Convolution | Matmul) -> None:
    batch = ConvBatch.of([work])

    macs = batch.gemm_m * batch.gemm_n * batch.gemm_k * batch.groups
    assert macs[0] == work.macs


def test_a_forward_layer_has_the_gemm_of_its_record() -> None:
    batch, gemm = ConvBatch.of([GROUPED]), GROUPED.gemm

    assert (batch.gemm_m[0], batch.gemm_n[0], batch.gemm_k[0]) == (gemm.m, gemm.n, gemm.k)


def test_asymmetric_padding_counts_both_sides() -> None:
    conv = Convolution(1, 3, 32, (224, 224), (112, 112), (3, 3), (2, 2), ((0, 1), (0, 1)), (1, 1), 1)
    batch = ConvBatch.of([conv])

    assert (batch.padded_h[0], batch.padded_w[0], batch.out_w[0]) == (225, 225, 112)


def test_a_matrix_product_follows_the_fully_connected_rule() -> None:
    batch = ConvBatch.of([PRODUCT])

    assert batch.is_pointwise[0]
    assert (batch.gemm_m[0], batch.gemm_n[0], batch.gemm_k[0], batch.groups[0]) == (512, 1000, 768, 12)


def test_output_sizes_follow_from_dimensions() -> None:
    batch = ConvBatch.build(
        n=1, c=3, h=[227, 224], w=[227, 224], k=64, r=[11, 7], s=[11, 7], stride_h=[4, 2], stride_w=[4, 2],
        pad_h=[0, 3], pad_w=[0, 3],
    )  # fmt: skip

    assert batch.out_h.tolist() == [55, 112]


def test_a_fourth_spatial_dimension_is_refused() -> None:
    conv = Convolution(1, 1, 1, (4,) * 4, (4,) * 4, (1,) * 4, (1,) * 4, ((0, 0),) * 4, (1,) * 4, 1)

    with pytest.raises(ModelError) as refused:
        ConvBatch.of([conv])

    assert str(refused.value) == "a convolution over 4 spatial dimensions has no im2col view here; use 1, 2 or 3"


def test_no_layers_make_an_empty_batch() -> None:
    assert len(ConvBatch.of([])) == 0
