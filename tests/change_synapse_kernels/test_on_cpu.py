"""Every instance of our synapse kernels against fp64, run on the CPU with every access checked."""

from __future__ import annotations

import numpy as np
import pytest

from change_synapse_kernels.layers import case, largest_error, run_gather, run_gemv, widest
from cuda_on_cpu.program import needs_compiler
from headroom.change.synapses.kernels.geometry import Layer
from headroom.change.synapses.kernels.variants import GEMV_ROWS, TILES, Arithmetic, Gather, Gemv, gathers, gemv_for

pytestmark = needs_compiler

GATHERS = [variant for arithmetic in Arithmetic for variant in gathers(arithmetic)]
GEMVS = [Gemv(arithmetic, rows) for arithmetic in Arithmetic for rows in GEMV_ROWS]
SMALL = TILES[2]

#: What a layer can have that a kernel may get wrong: every one with 24 channels or so, and few pixels.
ODD = {
    "padded unevenly": case(Layer(1, 8, (5, 6), 9, padding=(2, 0, 1, 3)), (3, 3)),
    "strided": case(Layer(2, 8, (7, 9), 5, stride=(2, 3)), (3, 2)),
    "dilated": case(Layer(1, 8, (9, 8), 3, padding=(2, 2, 2, 2)), (3, 3), (2, 3)),
    "of one pixel": case(Layer(1, 16, (3, 3), 17), (3, 3)),
    "with a single column": case(Layer(1, 8, (4, 4), 6, padding=(1, 1, 1, 1)), (3, 3), keep=[31]),
    "with all columns": case(Layer(1, 8, (5, 5), 7, padding=(1, 1, 1, 1)), (3, 3), keep=1.0),
    "without bias": case(Layer(3, 8, (3, 5), 2), (1, 1), bias=False),
    "of more pixels and outputs than a tile": case(Layer(1, 8, (9, 8), 70), (1, 3)),
    "whose window is mostly padding": case(Layer(1, 8, (2, 2), 4, padding=(4, 4, 4, 4)), (5, 5)),
}


@pytest.mark.parametrize("variant", GATHERS, ids=lambda variant: variant.name)
def test_every_instance_computes_a_layer(variant: Gather) -> None:
    layer = case(Layer(2, 16, (7, 6), 37, stride=(1, 2), padding=(1, 1, 1, 0)), (3, 3), keep=0.4)
    found = run_gather(layer, variant, relu=True)
    assert largest_error(found, layer.expected(variant.arithmetic, True), variant.arithmetic) < 1


@pytest.mark.parametrize("arithmetic", Arithmetic)
@pytest.mark.parametrize("name", ODD)
def test_layers_that_are(name: str, arithmetic: Arithmetic) -> None:
    layer = ODD[name]
    variant = Gather(arithmetic, SMALL, widest(arithmetic, layer.layer.channels))
    found = run_gather(layer, variant)
    assert largest_error(found, layer.expected(arithmetic, False), arithmetic) < 1


@pytest.mark.parametrize("arithmetic", Arithmetic)
def test_channels_that_no_vector_divides_load_one_by_one(arithmetic: Arithmetic) -> None:
    layer = case(Layer(2, 3, (6, 5), 11, padding=(1, 1, 1, 1)), (3, 3), keep=0.7)
    found = run_gather(layer, Gather(arithmetic, SMALL, 1))
    assert largest_error(found, layer.expected(arithmetic, False), arithmetic) < 1


@pytest.mark.parametrize("arithmetic", Arithmetic)
def test_k_in_parts_gives_the_same_sums(arithmetic: Arithmetic) -> None:
    layer = case(Layer(1, 64, (4, 4), 10, padding=(1, 1, 1, 1)), (3, 3), keep=0.6)
    variant = Gather(arithmetic, SMALL, 1)
    found = run_gather(layer, variant, parts=5, relu=True)
    assert largest_error(found, layer.expected(arithmetic, True), arithmetic) < 1


@pytest.mark.parametrize("arithmetic", Arithmetic)
def test_the_order_in_which_threads_run_changes_nothing(arithmetic: Arithmetic) -> None:
    layer = case(Layer(1, 64, (6, 6), 30), (3, 3))
    variant = Gather(arithmetic, TILES[0], widest(arithmetic, 64))
    assert np.array_equal(run_gather(layer, variant), run_gather(layer, variant, backwards=True))
    rows = case(Layer(3, 600, (1, 1), 20))
    few = gemv_for(arithmetic, 3)
    assert np.array_equal(run_gemv(rows, few, 1), run_gemv(rows, few, 1, backwards=True))


@pytest.mark.parametrize("variant", GEMVS, ids=lambda variant: f"{variant.arithmetic}-{variant.rows}")
def test_few_rows_are_multiplied_in_one_stream_of_weights(variant: Gemv) -> None:
    """More columns than wait in shared memory at once, outputs and rows that fill no CTA."""
    features = 8192 // variant.rows + 104
    layer = case(Layer(max(1, variant.rows - 1), features, (1, 1), 11), keep=0.97)
    for vector in {1, widest(variant.arithmetic, features)}:
        found = run_gemv(layer, variant, vector, relu=True)
        assert largest_error(found, layer.expected(variant.arithmetic, True, cut=False), variant.arithmetic) < 1


@pytest.mark.parametrize("arithmetic", Arithmetic)
def test_many_rows_are_a_convolution_of_one_pixel_each(arithmetic: Arithmetic) -> None:
    layer = case(Layer(33, 200, (1, 1), 130), keep=0.5)
    found = run_gather(layer, Gather(arithmetic, TILES[3], widest(arithmetic, 200)))
    assert largest_error(found, layer.expected(arithmetic, False), arithmetic) < 1


def test_relu_keeps_not_a_number() -> None:
    layer = case(Layer(1, 4, (2, 2), 3), keep=1.0)
    layer.inputs[0, 1, 0, 0] = np.nan
    found = run_gather(layer, Gather(Arithmetic.FP32, SMALL, 1), relu=True)
    assert np.isnan(found[0]).all()
    assert not np.isnan(found[1:]).any()
