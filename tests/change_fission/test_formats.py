"""Formats bit by bit: every code of 8 and 16 bits, the libraries' own conversions, and values drawn at random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from headroom.change.fission import FORMATS, format_called
from headroom.change.fission.formats import Deft16, Deft16Q, Half, Scaled
from headroom.change.fission.formats.byte_floats import (
    ByteFloat,
    deft8_magnitudes,
    e4m3_magnitudes,
    ieee_magnitudes,
)
from headroom.change.fission.formats.words import from_words, row_words, to_words
from headroom.errors import UsageError

#: Every 16-bit upper half with lower halves around the ties: each code, each tie and each neighbour of a tie.
UPPER = np.arange(2**16, dtype=np.uint32) << np.uint32(16)
AROUND_TIES = np.concatenate([UPPER | np.uint32(low) for low in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)])
EVERY_PATTERN = AROUND_TIES.view(np.float32)
FINITE = EVERY_PATTERN[np.isfinite(EVERY_PATTERN)]
PATTERNS = st.integers(0, 2**32 - 1)
REASONABLE = st.floats(-1e4, 1e4, width=32)


def same_bits(left, right):
    """Equal to the last bit, except that one NaN is as good as another."""
    nan = np.isnan(left)
    assert np.array_equal(nan, np.isnan(right))
    assert np.array_equal(left[~nan].view(np.uint32), right[~nan].view(np.uint32))


@pytest.mark.parametrize("name", FORMATS)
@given(rows=arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=REASONABLE))
@settings(max_examples=15, deadline=None)
def test_packing_what_was_unpacked_changes_nothing(name, rows):
    """Except in Deft-16Q, whose high values depend on their neighbours, and where a scale is rounded anew."""
    form = format_called(name)
    once = form.unpack(form.pack(rows))
    again = form.unpack(form.pack(once))

    assert once.shape == rows.shape
    tolerance = 2.0**-20 if form.group_of(rows.shape[1]) else 0.0
    np.testing.assert_allclose(again, once, rtol=tolerance, atol=0)


@pytest.mark.parametrize("name", FORMATS)
def test_rows_fill_whole_loads_of_sixteen_bytes_and_know_their_bytes(name):
    form = format_called(name)
    packed = form.pack(np.ones((3, 37), np.float32))

    assert packed.words.shape == (3, row_words(37, form.bits))
    assert packed.words.shape[1] % 4 == 0
    assert packed.bytes == packed.words.nbytes + (0 if packed.scales is None else 4 * packed.scales.size)


@given(arrays.arrays(np.uint32, (3, 21), elements=st.integers(0, 15)))
def test_codes_stand_in_words_from_the_lowest_bits_up(codes):
    words = to_words(codes, 4)

    assert np.array_equal(from_words(words, 4, 21), codes)
    assert words[0, 0] & 15 == codes[0, 0]
    assert words[0, 0] >> 28 == codes[0, 7]


def test_half_is_ieee_half_for_every_code_and_around_every_tie():
    torch = pytest.importorskip("torch")
    codes = np.arange(2**16, dtype=np.uint32)
    same_bits(Half().decode(codes), codes.astype(np.uint16).view(np.float16).astype(np.float32))

    wide = np.abs(FINITE) < 1e6
    theirs = torch.from_numpy(FINITE[wide]).half().float().numpy()
    same_bits(Half().decode(Half().encode(FINITE[wide])), theirs)


def test_deft16_is_the_upper_half_rounded_as_torch_and_ml_dtypes_round_bfloat16():
    torch = pytest.importorskip("torch")
    ml_dtypes = pytest.importorskip("ml_dtypes")
    ours = Deft16().decode(Deft16().encode(EVERY_PATTERN))

    same_bits(ours, torch.from_numpy(EVERY_PATTERN).bfloat16().float().numpy())
    with np.errstate(invalid="ignore"):
        same_bits(ours, EVERY_PATTERN.astype(ml_dtypes.bfloat16).astype(np.float32))


def test_truncated_deft16_keeps_exactly_the_upper_bits():
    codes = Deft16(truncated=True).encode(FINITE)

    assert np.array_equal(codes, FINITE.view(np.uint32) >> 16)
    nan = np.array([0x7F800001], np.uint32).view(np.float32)
    assert np.isnan(Deft16(truncated=True).decode(Deft16(truncated=True).encode(nan)))


@given(st.lists(PATTERNS, min_size=2, max_size=2))
@settings(max_examples=500)
def test_deft16q_splits_with_a_shift_alone_and_stays_within_half_a_unit(patterns):
    values = np.array([patterns], np.uint32).view(np.float32)
    packed = Deft16Q().pack(values)
    low, high = Deft16Q().unpack(packed)[0]
    word = packed.words[0, 0]

    same_bits(np.array([low]), np.array([word << 16], np.uint32).view(np.float32))
    same_bits(np.array([high]), np.array([word], np.uint32).view(np.float32))
    same_bits(np.array([low]), Deft16().decode(Deft16().encode(values[:, 0])))
    wanted, got = (int(np.float32(x).view(np.uint32)) for x in (values[0, 1], high))
    if np.isnan(values[0, 1]):
        assert np.isnan(high)
    else:
        assert np.isfinite(high)
        assert wanted >> 31 == got >> 31, "the sign is kept"
        magnitude, had = wanted & 0x7FFFFFFF, got & 0x7FFFFFFF
        off = abs(had - magnitude)
        assert off <= 0x8000 or magnitude > 0x7F7F0000 or had < 0x10000, "half a unit, but at the two ends"


def test_a_plain_deft16q_is_off_by_up_to_three_halves_of_a_unit():
    values = np.array([[-1.9921875, 1.00390625]], np.float32)  # a low half of 0xBFFF
    high = Deft16Q(plain=True).unpack(Deft16Q(plain=True).pack(values))[0, 1]
    made_up_for = Deft16Q().unpack(Deft16Q().pack(values))[0, 1]

    assert abs(made_up_for - values[0, 1]) <= 2**-8 < 2**-7
    assert abs(high - values[0, 1]) <= 1.5 * 2**-7
    assert abs(made_up_for - values[0, 1]) <= abs(high - values[0, 1])


def test_a_high_zero_and_a_high_infinity_become_what_the_docstring_says():
    values = np.array([[1.0, 0.0], [1.0, -0.0], [1.0, np.inf], [1.0, -np.inf]], np.float32)
    high = Deft16Q().unpack(Deft16Q().pack(values))[:, 1]

    assert (np.abs(high[:2]) < 2.0**-126).all()
    assert np.signbit(high[1])
    assert high[2] > 3.3e38
    assert np.isfinite(high[2])
    assert high[3] == -high[2]


@pytest.mark.parametrize(
    ("magnitudes", "torchs"), [(e4m3_magnitudes(), "float8_e4m3fn"), (ieee_magnitudes(5), "float8_e5m2")]
)
def test_fp8_is_what_torch_and_ml_dtypes_have(magnitudes, torchs):
    torch = pytest.importorskip("torch")
    ml_dtypes = pytest.importorskip("ml_dtypes")
    theirs, dtype = getattr(torch, torchs), getattr(ml_dtypes, torchs)
    code = ByteFloat("fp8", magnitudes, saturating=False)
    codes = np.arange(256, dtype=np.uint32)

    same_bits(code.decode(codes), codes.astype(np.uint8).view(dtype).astype(np.float32))
    same_bits(code.decode(codes), torch.arange(256, dtype=torch.uint8).view(theirs).float().numpy())
    with np.errstate(over="ignore", invalid="ignore"):
        same_bits(code.decode(code.encode(EVERY_PATTERN)), EVERY_PATTERN.astype(dtype).astype(np.float32))
    # What is too large saturates in some releases of PyTorch and overflows in others.
    inside = FINITE[np.abs(FINITE) <= code.largest]
    same_bits(code.decode(code.encode(inside)), torch.from_numpy(inside).to(theirs).float().numpy())


@pytest.mark.parametrize("magnitudes", [e4m3_magnitudes(), ieee_magnitudes(5)])
def test_saturating_fp8_differs_only_beyond_its_largest_value(magnitudes):
    saturating = ByteFloat("fp8", magnitudes)
    other = ByteFloat("fp8", magnitudes, saturating=False)
    inside = np.abs(FINITE) <= saturating.largest

    assert np.array_equal(saturating.encode(FINITE[inside]), other.encode(FINITE[inside]))
    beyond = saturating.decode(saturating.encode(np.array([np.inf, -np.inf, 3e38], np.float32)))
    assert beyond.tolist() == [saturating.largest, -saturating.largest, saturating.largest]


@pytest.mark.parametrize("exponent_bits", range(1, 8))
def test_deft8_means_what_its_fields_say_with_ieees_bias(exponent_bits):
    mantissa_bits, bias = 7 - exponent_bits, 2 ** (exponent_bits - 1) - 1
    for code, magnitude in enumerate(deft8_magnitudes(exponent_bits, zero=False)):
        exponent, mantissa = code >> mantissa_bits, code & (2**mantissa_bits - 1)
        as_fp32 = np.uint32((exponent + 127 - bias) << 23 | mantissa << (23 - mantissa_bits))
        assert np.float32(magnitude) == as_fp32.view(np.float32)


@pytest.mark.parametrize("exponent_bits", range(1, 8))
@pytest.mark.parametrize("zero", [False, True])
def test_deft8_takes_the_nearest_value_and_in_a_tie_the_even_code(exponent_bits, zero):
    code = ByteFloat("deft8", deft8_magnitudes(exponent_bits, zero=zero))
    values = np.array(code.magnitudes)
    middles = ((values[1:] + values[:-1]) / 2).astype(np.float32)

    assert np.array_equal(code.encode(values.astype(np.float32)), np.arange(128))
    ties = code.encode(middles)
    assert (ties % 2 == 0).all()
    assert np.array_equal(code.encode(np.nextafter(middles, np.float32(0))), np.arange(127))
    assert np.array_equal(code.encode(np.nextafter(middles, np.float32(np.inf))), np.arange(1, 128))


def test_the_papers_deft8_has_no_zero_and_ours_does():
    zeros = np.array([[0.0, -0.0]], np.float32)

    assert format_called("deft8e4_paper").unpack(format_called("deft8e4_paper").pack(zeros)).tolist() == [
        [2.0**-7, -(2.0**-7)]
    ]
    assert format_called("deft8e4").unpack(format_called("deft8e4").pack(zeros)).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("name", [name for name in FORMATS if name.startswith("deft8")])
def test_deft8_has_no_infinity_and_no_nan(name):
    form = format_called(name)
    assert isinstance(form, Scaled)
    top = form.code.decode(form.code.encode(np.array([np.inf, -np.inf, np.nan], np.float32)))

    assert np.abs(top).tolist() == [form.code.largest] * 3
    assert top[1] < 0


@pytest.mark.parametrize("name", ["int8", "int4_g128", "int4_g32"])
@given(rows=arrays.arrays(np.float32, (2, 130), elements=st.floats(-100, 100, width=32)))
@settings(max_examples=25, deadline=None)
def test_whole_numbers_are_off_by_half_a_step_of_their_group_at_most(name, rows):
    form = format_called(name)
    packed = form.pack(rows)
    steps = np.repeat(packed.scales, form.group_of(130), axis=1)[:, :130]

    # The division before and the multiplication after round by a last place each.
    assert (np.abs(form.unpack(packed) - rows) <= steps * (0.5 + 2.0**-15)).all()
    kept = form.unpack(packed)
    assert (kept[rows == 0] == 0).all()


def test_a_group_of_zeros_infinities_and_specks_keeps_its_neighbours_well():
    rows = np.zeros((1, 96), np.float32)
    rows[0, 32:34] = np.inf, 3.5
    rows[0, 64:66] = 1e-45, np.nan
    packed = format_called("int4_g32").pack(rows)
    values = format_called("int4_g32").unpack(packed)[0]

    assert (values[:32] == 0).all()
    assert values[32] == values[33] == 3.5
    assert values[65] == 0
    assert packed.scales[0, 0] == 1
    assert packed.scales[0, 2] >= 2.0**-126


def test_a_format_nobody_knows_is_named_with_those_that_are():
    with pytest.raises(UsageError, match="'int3'; there are half, deft16"):
        format_called("int3")
