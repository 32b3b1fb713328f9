"""Views of a model's tensors in a library's dimensions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.measure.backends.geometry.frame import image, merged, plain, rows, strides_of
from headroom.measure.backends.geometry.memory import arranged, lies_by, stored
from headroom.measure.bench import UnsupportedError
from measure_backends.stand_ins import filled


def test_channels_last_puts_channels_innermost():
    assert strides_of((2, 8, 6, 5), "nhwc") == (240, 1, 40, 8)
    assert strides_of((2, 8, 6, 5), "nchw") == (240, 30, 5, 1)


def test_strides_are_those_of_pytorch_in_both_orders():
    import torch

    tensor = torch.empty(2, 8, 6, 5)
    assert strides_of(tensor.shape, "nchw") == tensor.stride()
    assert strides_of(tensor.shape, "nhwc") == tensor.contiguous(memory_format=torch.channels_last).stride()


def test_an_image_of_one_dimension_gets_a_second_one():
    frame = image((4, 8, 100), 1, "nhwc")
    assert frame.dims == (4, 8, 1, 100)
    assert frame.strides == (800, 1, 800, 8)


def test_one_sample_without_a_batch_dimension_gets_one():
    assert image((8, 6, 5), 2, "nchw").dims == (1, 8, 6, 5)


def test_a_bias_per_channel_spreads_over_an_image():
    assert image((2, 8, 6, 5), 2, "nhwc").operand((8, 1, 1)) == (1, 8, 1, 1)


def test_rows_join_all_dimensions_before_the_last():
    frame = rows((2, 3, 4, 8), 3)
    assert frame.dims == (1, 24, 8)
    assert frame.operand((8,)) == (1, 1, 8)
    assert frame.operand((2, 3, 4, 8)) == (1, 24, 8)


def test_an_operand_that_spreads_over_a_part_of_joined_rows_is_refused():
    with pytest.raises(UnsupportedError, match="part of the rows"):
        rows((2, 3, 8), 2).operand((1, 3, 8))


def test_plain_tensors_have_at_least_four_dimensions():
    assert plain((5, 7), "").dims == (1, 1, 5, 7)


@st.composite
def broadcasts(draw: st.DrawFn) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    shape = tuple(draw(st.lists(st.sampled_from((1, 2, 3, 4, 36)), min_size=1, max_size=4)))
    keeps = draw(st.lists(st.tuples(*[st.booleans()] * len(shape)), max_size=2))
    return shape, [tuple(s if k else 1 for s, k in zip(shape, keep, strict=True)) for keep in keeps]


@given(broadcasts())
def test_a_merged_view_computes_what_broadcasting_computes(case):
    import torch

    shape, others = case
    try:
        frame = merged(shape, others)
    except UnsupportedError:
        return
    total = torch.zeros(frame.dims)
    for other in (shape, *others):
        dims = frame.operand(other)
        strides = frame.operand_strides(dims)
        assert strides is not None
        total = total + stored(filled(other), dims, strides)
    expected = sum((filled(other) for other in (shape, *others)), torch.zeros(shape))
    memory = torch.empty_strided(frame.dims, frame.strides).copy_(total)
    assert torch.equal(memory.as_strided((expected.numel(),), (1,)), expected.reshape(-1))


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((4096, 4096), (1, 256, 1, 65536)),
        ((32, 128, 28, 28), (1, 256, 1, 12544)),
        ((20000,), (1, 160, 1, 125)),
        ((197, 3), (1, 197, 1, 3)),
        ((4, 8, 8), (1, 256, 1, 1)),
    ],
    ids=str,
)
def test_one_long_row_is_cut_so_that_tiles_are_full_and_grids_allowed(shape, dims):
    frame = merged(shape, [shape, (1,)])
    assert frame.dims == frame.operand(shape) == dims
    assert frame.operand((1,)) == (1, 1, 1, 1)


def test_rows_that_a_vector_spreads_over_are_not_cut():
    frame = merged((64, 768), [(768,)])
    assert frame.dims == (1, 768, 1, 64)
    assert frame.operand((768,)) == (1, 768, 1, 1)


def test_what_already_lies_right_is_not_copied():
    import torch

    tensor = filled((2, 8, 6, 5)).contiguous(memory_format=torch.channels_last)
    assert arranged(tensor, tensor.shape, strides_of(tensor.shape, "nhwc")).data_ptr() == tensor.data_ptr()


def test_what_lies_otherwise_is_brought_into_order():
    tensor = filled((2, 8, 6, 5))
    strides = strides_of(tensor.shape, "nhwc")
    copy = arranged(tensor, tensor.shape, strides)
    assert lies_by(copy, strides)
    assert copy.equal(tensor)
