"""Which operand of a layer is what: one reading for all backends."""

from __future__ import annotations

import pytest

from headroom.graph.chain import Chain
from headroom.graph.work import Attention, Convolution, Matmul, Pooling
from headroom.measure.attention_roles import attention_roles
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import broadcasts_to, convolution_roles, product_roles
from headroom.measure.windows import pooling_padding
from measure_cuda.making import layer

CONV = Convolution(2, 8, 6, (9, 9), (9, 9), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))


def anchor(made):
    return Chain.of([made]).anchor


@pytest.mark.parametrize(
    ("left", "right", "out", "work", "expected"),
    [
        ((5, 4), (4, 3), (5, 3), Matmul(5, 3, 4), (False, False)),
        ((5, 4), (3, 4), (5, 3), Matmul(5, 3, 4), (False, True)),
        ((4, 5), (4, 3), (5, 3), Matmul(5, 3, 4), (True, False)),
        ((2, 5, 4), (3, 4), (2, 5, 3), Matmul(10, 3, 4), (False, True)),
        ((7, 5, 4), (7, 4, 3), (7, 5, 3), Matmul(5, 3, 4, 7), (False, False)),
        ((7, 5, 4), (7, 3, 4), (7, 5, 3), Matmul(5, 3, 4, 7), (False, True)),
        ((2, 1, 5, 4), (7, 4, 3), (2, 7, 5, 3), Matmul(5, 3, 4, 14), (False, False)),
        ((4, 4), (4, 4), (4, 4), Matmul(4, 4, 4), (False, False)),
    ],
)
def test_a_product_is_read_off_its_shapes(left, right, out, work, expected) -> None:
    roles = product_roles(anchor(layer(work, [left], [out], [right])))
    assert (roles.left, roles.right) == ("t0", "t1")
    assert (roles.transpose_left, roles.transpose_right) == expected
    assert roles.addends == ()


def test_a_weight_on_the_left_is_found() -> None:
    roles = product_roles(anchor(layer(Matmul(5, 3, 4), [(4, 3)], [(5, 3)], [(5, 4)])))
    assert (roles.left, roles.right) == ("t1", "t0")


def test_what_is_neither_factor_is_added() -> None:
    roles = product_roles(anchor(layer(Matmul(5, 3, 4), [(5, 4)], [(5, 3)], [(3, 4), (3,)])))
    assert roles.addends == ("t2",)
    first = product_roles(anchor(layer(Matmul(5, 3, 4, 2), [(2, 5, 3), (2, 5, 4), (2, 4, 3)], [(2, 5, 3)])))
    assert (first.left, first.right, first.addends) == ("t1", "t2", ("t0",))


def test_an_image_is_flattened_before_a_product() -> None:
    roles = product_roles(anchor(layer(Matmul(2, 3, 16), [(2, 4, 2, 2)], [(2, 3)], [(3, 16)])))
    assert roles.left_shape == (2, 16)
    assert roles.transpose_right


def test_a_product_in_another_order_of_dimensions_runs_as_the_plain_one_of_its_size() -> None:
    # An einsum: bqhd,bkhd->bhqk.
    roles = product_roles(anchor(layer(Matmul(5, 7, 4, 6), [(2, 5, 3, 4), (2, 7, 3, 4)], [(2, 3, 5, 7)])))
    assert (roles.left_shape, roles.right_shape) == ((6, 5, 4), (6, 4, 7))


def test_operands_that_do_not_multiply_are_declined() -> None:
    with pytest.raises(UnsupportedError, match="no product of operands of 5x4 and 9x3 gives 5x3"):
        product_roles(anchor(layer(Matmul(5, 3, 4), [(5, 4)], [(5, 3)], [(9, 3)])))
    with pytest.raises(UnsupportedError, match="not floating-point"):
        product_roles(anchor(layer(Matmul(5, 3, 4), [((5, 4), "int8")], [(5, 3)], [((4, 3), "int8")])))


def test_a_convolution_has_data_filter_and_bias() -> None:
    roles = convolution_roles(anchor(layer(CONV, [(2, 8, 9, 9)], [(2, 6, 9, 9)], [(6, 8, 3, 3), (6,)])))
    assert (roles.data, roles.filter, roles.bias) == ("t0", "t1", "t2")


def test_a_convolution_with_offsets_is_declined() -> None:
    deformable = layer(CONV, [(2, 8, 9, 9), (2, 18, 9, 9)], [(2, 6, 9, 9)], [(6, 8, 3, 3)])
    with pytest.raises(UnsupportedError, match="no operand of the convolution has the bias's shape"):
        convolution_roles(anchor(deformable))


def test_attention_may_read_one_tensor_three_times() -> None:
    work = Attention(2, 4, 8, 8, 16, 16, 4)
    roles = attention_roles(anchor(layer(work, [(2, 4, 8, 16)], [(2, 4, 8, 16)])))
    assert roles.query == roles.key == roles.value == "t0"


def test_a_mask_is_what_spreads_over_the_scores() -> None:
    work = Attention(2, 4, 8, 6, 16, 16, 4, masked=True)
    reads = [(2, 4, 8, 16), (2, 4, 6, 16), (2, 4, 6, 16), (1, 1, 8, 6)]
    assert attention_roles(anchor(layer(work, reads, [(2, 4, 8, 16)]))).masks == ("t3",)
    with pytest.raises(UnsupportedError, match="masked"):
        attention_roles(anchor(layer(work, reads[:3], [(2, 4, 8, 16)])))


def test_packed_attention_is_declined() -> None:
    work = Attention(2, 4, 8, 8, 16, 16, 4)
    with pytest.raises(UnsupportedError, match="packed"):
        attention_roles(anchor(layer(work, [(2, 8, 3 * 64)], [(2, 4, 8, 16)])))


def test_an_operand_that_grows_the_result_does_not_spread_over_it() -> None:
    assert broadcasts_to((3, 1), (2, 3, 4))
    assert not broadcasts_to((2, 3, 4), (3, 4))


@pytest.mark.parametrize(
    ("size", "out", "window", "stride", "padding"),
    [
        (112, 56, 3, 2, (1, 1)),
        (55, 27, 3, 2, (0, 0)),
        (14, 14, 3, 1, (1, 1)),
        (14, 14, 2, 1, (0, 1)),
        (7, 1, 7, 7, (0, 0)),
        (13, 7, 3, 2, (1, 1)),
    ],
)
def test_the_padding_of_a_pooling_follows_from_its_shapes(size, out, window, stride, padding) -> None:
    made = layer(Pooling("max", out, (window,), (stride,)), [(1, 4, size)], [(1, 4, out)])
    assert pooling_padding(made) == (padding,)


def test_a_dilated_window_is_declined() -> None:
    with pytest.raises(UnsupportedError, match="no padding makes"):
        pooling_padding(layer(Pooling("max", 5, (3,), (1,)), [(1, 4, 9)], [(1, 4, 5)]))
