"""Operands: random, finite, the same whatever their layout, inside what their reader can take."""

from __future__ import annotations

import pytest
import torch

from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Elementwise, Embedding, Matmul, Movement, Normalization
from headroom.measure.backends.torch_ops import bind_chain
from headroom.measure.bench import UnsupportedError
from measure_cuda.making import layer, operands_for

CONV = layer(
    Convolution(2, 64, 32, (8, 8), (8, 8), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    [(2, 64, 8, 8)],
    [(2, 32, 8, 8)],
    [(32, 64, 3, 3), (32,)],
)


def test_the_values_are_the_same_in_every_layout() -> None:
    operands = operands_for(CONV)
    plain, last = operands.tensor("t0", "nchw"), operands.tensor("t0", "nhwc")
    assert torch.equal(plain, last)
    assert plain.is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert operands.tensor("t0", "nhwc") is last


def test_a_volume_has_its_channels_last_too_and_a_vector_has_one_order() -> None:
    work = Elementwise("add", 4)
    operands = operands_for(layer(work, [(2, 4, 3, 3, 3), (4, 1, 1, 1)], [(2, 4, 3, 3, 3)]))
    assert operands.tensor("t0", "nhwc").is_contiguous(memory_format=torch.channels_last_3d)
    matrix = operands_for(layer(work, [(4, 6)], [(4, 6)]))
    assert matrix.tensor("t0", "nhwc") is matrix.tensor("t0")


def test_the_values_are_the_same_in_every_process_and_differ_between_tensors() -> None:
    first, again = operands_for(CONV), operands_for(CONV)
    assert torch.equal(first.tensor("t0"), again.tensor("t0"))
    same_form = operands_for(layer(Elementwise("add", 24), [(4, 6), (4, 6)], [(4, 6)]))
    assert not torch.equal(same_form.tensor("t0"), same_form.tensor("t1"))


@pytest.mark.parametrize("dtype", [DataType.FP32, DataType.TF32, DataType.FP16, DataType.BF16])
def test_no_operand_holds_zeros_and_a_product_keeps_its_variance(dtype: DataType) -> None:
    operands = operands_for(CONV, dtype=dtype)
    assert bool((operands.tensor("t0") != 0).float().mean() > 0.99)
    (out,) = bind_chain(operands.task.chain, operands.sources)(operands.sources)
    assert 0.5 < float(out.float().std()) < 2.5


def test_a_deep_product_neither_overflows_nor_vanishes_in_fp16() -> None:
    operands = operands_for(layer(Matmul(4, 4, 65536), [(4, 65536)], [(4, 4)], [(65536, 4)]), dtype=DataType.FP16)
    product = operands.tensor("t0").float() @ operands.tensor("t1").float()
    assert 0.1 < float(product.std()) < 10


def test_fp8_operands_are_stored_in_one_byte() -> None:
    operands = operands_for(layer(Matmul(4, 4, 16), [(4, 16)], [(4, 4)], [(16, 4)]), dtype=DataType.FP8)
    assert operands.tensor("t0").element_size() == 1
    assert bool(operands.empty("t2").float().isnan().all())


def test_indices_stay_inside_their_table() -> None:
    look_up = operands_for(layer(Embedding(600, 5), [((600,), "int64")], [(600, 5)], [(9, 5)]))
    assert 0 <= int(look_up.tensor("t0").min()) < int(look_up.tensor("t0").max()) == 8
    pick = operands_for(layer(Movement("gather", 80), [(400, 3, 6)], [(400, 50, 6)], [((50,), "int64")]))
    assert int(pick.tensor("t1").max()) == 2


def test_variances_are_positive_and_a_logarithm_reads_positive_values() -> None:
    norm = operands_for(layer(Normalization("batch", 48), [(2, 4, 6)], [(2, 4, 6)], [(4,)] * 4))
    assert bool((norm.tensor("t4") > 0).all())
    assert bool((norm.tensor("t1") < 0).any()) or bool((norm.tensor("t3") < 0).any())
    logarithm = operands_for(layer(Elementwise("log", 1000), [(1000,)], [(1000,)]))
    assert bool((logarithm.tensor("t0") > 0).all())


def test_what_a_program_does_not_write_is_seen() -> None:
    operands = operands_for(CONV)
    assert bool(operands.empty("t3", "nhwc").isnan().all())
    assert operands.empty("t3", "nhwc").is_contiguous(memory_format=torch.channels_last)
    assert operands.empty("t3") is not operands.empty("t3")
    choice = operands_for(layer(Elementwise("equal", 6), [(6,), (6,)], [((6,), "bool")]))
    assert not bool(choice.empty("t2").any())


def test_text_is_declined() -> None:
    operands = operands_for(layer(Elementwise("equal", 6), [((6,), "string")], [((6,), "bool")]))
    with pytest.raises(UnsupportedError, match="string"):
        operands.tensor("t0")
