"""The strict convolution on the CPU beside fp64, over windows of every kind, and what NVRTC makes of its variants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from change_fission.cubin import usage
from change_fission.test_gemm_kernel import fused, operand
from cuda_on_cpu.program import cpu_program, needs_compiler
from headroom.change.fission import format_called
from headroom.change.fission.kernels.convolution_variants import (
    FILE,
    SUM_PARTS,
    SUM_THREADS,
    ConvolutionVariant,
    compile_convolution,
)
from headroom.change.fission.kernels.convolutions import Convolution, variant_for
from headroom.change.fission.kernels.gemm_variants import Side, Where, figure_11
from headroom.change.fission.kernels.sources import FOLDER, FOLDERS
from headroom.errors import UsageError
from headroom.measure.kernels.registry import CAPABILITIES

PLAIN = (Side(), Side())
SIDES = {
    **{name: (each.left, each.right) for name, each in figure_11().items() if not each.simulated},
    "weights ahead": (Side(), Side("int8", Where.AHEAD)),
    "images alone": (Side("fp8_e4m3"), Side()),
    "fused and ahead": (Side("deft16q", Where.FUSED), Side("int8", Where.AHEAD)),
}
LAYERS = {
    "few channels, large windows": Convolution(1, 3, (27, 23), 70, (11, 11), (4, 4), (2, 2)),
    "a tile and some, both ways": Convolution(2, 20, (9, 8), 130, (3, 3), padding=(1, 1)),
    "all of a pixel's channels": Convolution(1, 64, (9, 9), 64, (1, 1), stride=(2, 2)),
    "two groups": Convolution(1, 16, (6, 6), 34, (5, 5), padding=(2, 2), groups=2),
    "uneven everything": Convolution(2, 5, (11, 7), 9, (3, 2), (2, 1), (1, 2), (2, 3)),
    "a group a channel": Convolution(1, 5, (6, 5), 10, (3, 3), padding=(1, 1), groups=5),
    "a linear layer": Convolution(3, 300, (1, 1), 65, (1, 1)),
    "padding that hides the image": Convolution(1, 4, (1, 2), 8, (3, 3), padding=(3, 3)),
}


def program():
    entries = {variant_for(LAYERS[layer], *sides, tile_n=tile).entry for layer, sides, tile in COMPILED}
    return cpu_program(FOLDER / FILE, (*sorted(entries), SUM_PARTS), folders=FOLDERS)


def zero_of(side: Side) -> float:
    """What a packed 0 means: 0, but in the paper's Deft-8, which has none."""
    if side.form == "fp32" or side.where is Where.FUSED:
        return 0.0
    form = format_called(side.form)
    return float(form.unpack(form.pack(np.zeros((1, 4), np.float32)))[0, 0])


def run(layer: Convolution, sides, images, weight, bias, *, tile=None, parts=1, relu=1, backwards=False):
    """The kernel's outputs in NHWC, and in fp64 what they are and what their terms' magnitudes add up to."""
    variant = variant_for(layer, *sides, tile_n=tile)
    multiple, groups = variant.load_values, layer.groups

    def filled(values):
        return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % multiple)])

    nhwc = filled(images.transpose(0, 2, 3, 1).reshape(layer.batch, *layer.size, groups, -1))
    right_rows = filled(weight.transpose(0, 2, 3, 1)).reshape(layer.outputs, -1)
    a, a_scales, a_loads, a_seen = operand(variant.left, nhwc.reshape(layer.batch, -1))
    b, b_scales, b_loads, b_seen = operand(variant.right, right_rows)
    found = np.full((layer.batch, *layer.size_out, layer.outputs), np.nan, np.float32)
    sums = found if parts == 1 else np.full((parts, *found.shape), np.nan, np.float32)
    ends = (a_scales, b_scales, bias)
    program().launch(
        variant.entry, layer.grid(variant, parts), (variant.threads,), a, layer.table(variant), b, *ends, sums,
        *map(np.int32, (*layer.arguments(variant, 4 * a_loads, b_loads, parts), relu)),
        shared_bytes=variant.shared_bytes, backwards=backwards,
    )  # fmt: skip
    if parts > 1:
        sizes = (layer.pixels, layer.outputs, parts, layer.size_out[0] * layer.size_out[1], relu)
        ctas = -(-found.size // SUM_THREADS)
        program().launch(SUM_PARTS, (ctas,), (SUM_THREADS,), sums, *ends, found, *map(np.int32, sizes))
    if variant.left.where is Where.FUSED:
        # Neighbours along K share a word, wherever in the image they come from.
        left = fused(variant.left.form, windows_of(layer, nhwc, 0).reshape(groups * layer.pixels, -1))
    else:
        left = windows_of(layer, a_seen.reshape(nhwc.shape), zero_of(variant.left))
    return found, *fp64(layer, left.reshape(groups, layer.pixels, -1), b_seen, bias)


def windows_of(layer: Convolution, nhwc, outside: float):
    """Images (batch, height, width, groups, channels) as (groups, pixels, K)."""
    rows, columns = layer.padding
    padded = np.pad(nhwc, ((0, 0), (rows, rows), (columns, columns), (0, 0), (0, 0)), constant_values=outside)
    (height, width), (down, along) = layer.size_out, layer.stride
    places = []
    for r in range(layer.window[0]):
        for s in range(layer.window[1]):
            top, left = r * layer.dilation[0], s * layer.dilation[1]
            places.append(
                padded[:, top : top + height * down : down, left : left + width * along : along][:, :height, :width]
            )
    return np.stack(places, axis=4).transpose(3, 0, 1, 2, 4, 5).reshape(layer.groups, layer.pixels, -1)


def fp64(layer: Convolution, left, right, bias):
    """(batch, height, width, outputs), and the same of magnitudes."""
    right = right.reshape(layer.groups, -1, right.shape[1]).transpose(0, 2, 1)

    def product(a, b, ends):
        outputs = np.matmul(a.astype(np.float64), b).transpose(1, 0, 2).reshape(layer.pixels, -1) + ends
        return outputs.reshape(layer.batch, *layer.size_out, layer.outputs)

    return product(left, right, bias), product(np.abs(left), np.abs(right), np.abs(bias))


def drawn(layer: Convolution):
    random = np.random.default_rng(5)
    images = random.standard_normal((layer.batch, layer.channels, *layer.size)).astype(np.float32)
    weight = random.standard_normal((layer.outputs, layer.channels // layer.groups, *layer.window)).astype(np.float32)
    return images, weight, random.standard_normal(layer.outputs).astype(np.float32)


def is_fp64s(layer: Convolution, sides, **how) -> np.ndarray:
    images, weight, bias = drawn(layer)
    found, wanted, magnitude = run(layer, sides, images, weight, bias, **how)
    assert (np.abs(found - np.maximum(wanted, 0)) <= magnitude * 2.0**-21).all()
    return found


COMPILED = (
    *((layer, sides, None) for layer in LAYERS for sides in (PLAIN, SIDES["weights in int8"])),
    *((layer, sides, None) for layer in ("uneven everything", "two groups") for sides in SIDES.values()),
    *(("a tile and some, both ways", sides, tile) for sides in (PLAIN, SIDES["weights in int8"]) for tile in (64, 128)),
)


@needs_compiler
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("sides", [PLAIN, SIDES["weights in int8"]], ids=["fp32", "weights in int8"])
def test_every_window_is_fp64s(name, sides):
    is_fp64s(LAYERS[name], sides)


@needs_compiler
@pytest.mark.parametrize("name", SIDES)
def test_every_format_is_fp64s_with_filled_channels_and_with_wide_loads(name):
    is_fp64s(LAYERS["uneven everything"], SIDES[name])
    is_fp64s(LAYERS["two groups"], SIDES[name])


@needs_compiler
@pytest.mark.parametrize("tile", [64, 128])
@pytest.mark.parametrize("sides", [PLAIN, SIDES["weights in int8"]], ids=["fp32", "weights in int8"])
def test_threads_come_in_any_order_and_parts_of_k_add_up(tile, sides):
    layer = LAYERS["a tile and some, both ways"]
    whole = is_fp64s(layer, sides, tile=tile)

    assert np.array_equal(is_fp64s(layer, sides, tile=tile, backwards=True), whole), "no barrier is missing"
    is_fp64s(layer, sides, tile=tile, parts=3)


@needs_compiler
def test_scales_of_images_and_the_bias_reach_what_parts_add_up_to():
    is_fp64s(LAYERS["two groups"], SIDES["int8"], parts=2)


@needs_compiler
def test_a_nan_passes_the_activation():
    layer = LAYERS["all of a pixel's channels"]
    images, weight, bias = drawn(layer)
    images[0, 3, 0, 0] = np.nan
    found, *_ = run(layer, PLAIN, images, weight, bias)

    assert np.isnan(found[0, 0, 0]).all()
    assert np.isfinite(found[0, 1:]).all()


def used(name: str, tile: int, words: int):
    """Registers, and bytes that lie in local memory: addresses at most, beside 64 sums and their 32 words."""
    variant = figure_11()[name]
    instance = ConvolutionVariant(variant.left, variant.right, tile, words)
    found = usage(compile_convolution(instance, (9, 0)).code).values()
    return max(each.registers for each in found), max(each.local_bytes for each in found)


@pytest.mark.parametrize("name", figure_11())
def test_on_hopper_an_sm_holds_512_threads_and_hardly_anything_spills(name):
    registers, local_bytes = used(name, 128, 4)

    assert registers <= 128
    assert local_bytes <= 24


@pytest.mark.parametrize(("tile", "words"), [(64, 1), (64, 4), (128, 1)])
def test_other_tiles_hold_as_many_threads(tile, words):
    registers, local_bytes = used("weights in int8", tile, words)

    assert registers <= 128
    assert local_bytes <= 40


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda pair: "sm_{}{}".format(*pair))
def test_the_convolution_compiles_for_every_gpu_that_nvrtc_knows(capability):
    found = usage(compile_convolution(ConvolutionVariant(*SIDES["weights in int8"]), capability).code)

    assert any("packed_convolution" in name for name in found)
    assert any("sum_parts" in name for name in found)


def test_channels_that_fill_no_wide_load_are_read_word_by_word():
    eight_bits = figure_11()["int8"]

    assert variant_for(LAYERS["two groups"], *PLAIN).load_words == 4
    assert variant_for(LAYERS["two groups"], eight_bits.left, eight_bits.right).load_words == 1
    assert variant_for(LAYERS["all of a pixel's channels"], eight_bits.left, eight_bits.right).load_words == 4
    assert variant_for(LAYERS["few channels, large windows"], *PLAIN).load_words == 1


def test_few_tiles_are_cut_along_k_until_the_gpu_is_full():
    small, large = (
        Convolution(1, 512, (14, 14), 512, (3, 3), padding=(1, 1)),
        Convolution(32, 64, (112, 112), 128, (3, 3), padding=(1, 1)),
    )

    assert small.tiles(128) * small.usual_parts(variant_for(small, *PLAIN), sms=132) in range(200, 265)
    assert large.usual_parts(variant_for(large, *PLAIN), sms=132) == 1


def test_the_narrow_tile_is_for_outputs_that_leave_half_of_the_wide_one_idle():
    tiles = {
        outputs: replace(LAYERS["two groups"], outputs=outputs, groups=1).usual_tile() for outputs in (50, 96, 192)
    }

    assert tiles == {50: 64, 96: 128, 192: 64}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"groups": 3}, "do not divide into 3 groups"),
        ({"window": (40, 1)}, "leave no output; pad the images"),
        ({"window": (3, 3), "dilation": (200, 1), "padding": (300, 1)}, "more than the kernel numbers"),
        ({"batch": 2**26}, "more than the kernel indexes; cut the batch"),
    ],
)
def test_a_layer_that_the_kernel_cannot_number_is_refused(change, sentence):
    with pytest.raises(UsageError, match=sentence):
        replace(LAYERS["two groups"], **change)
