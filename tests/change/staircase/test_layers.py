"""A layer at another width is the layer that a model with that width would have."""

from __future__ import annotations

import pytest
import torch

import headroom as hr
from headroom.change.widths.staircase.layers import at_widths, has_width, is_tied, widths_of
from headroom.change.widths.staircase.spec import MOST_WIDTHS, Range, parse_conv
from headroom.errors import UsageError
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer

MAKERS = {
    "convolution": lambda i, o: torch.nn.Conv2d(i, o, 3, padding=1, bias=False),
    "with bias": lambda i, o: torch.nn.Conv2d(i, o, 3, stride=2),
    "pointwise": lambda i, o: torch.nn.Conv2d(i, o, 1),
    "grouped": lambda i, o: torch.nn.Conv2d(i, o, 3, groups=4),
    "linear": lambda i, o: torch.nn.Linear(i, o),
    "linear without bias": lambda i, o: torch.nn.Linear(i, o, bias=False),
}


def _layer(name: str, into: int, out: int) -> Layer:
    shape = (2, into) if "linear" in name else (2, into, 8, 8)
    return next(each for each in hr.load(MAKERS[name](into, out), torch.zeros(shape)).layers if has_width(each))


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("widths", [(16, 24), (32, 16), (24, 24)])
def test_it_is_what_a_model_of_that_width_would_have(name: str, widths: tuple[int, int]) -> None:
    """Its digest is that of the stopwatch's row, so that what was measured is found."""
    changed = at_widths(_layer(name, 8, 16), in_width=widths[0], out_width=widths[1])
    assert Chain.of([changed]).digest == Chain.of([_layer(name, *widths)]).digest
    assert widths_of(changed) == widths


def test_a_depthwise_convolution_s_inputs_follow_its_outputs() -> None:
    def layer(width: int, each: int) -> Layer:
        module = torch.nn.Conv2d(width, each * width, 3, groups=width)
        return hr.load(module, torch.zeros(1, width, 8, 8)).layers[0]

    for each in (1, 2):
        narrow = layer(8, each)
        assert is_tied(narrow)
        changed = at_widths(narrow, 24 * each)
        assert Chain.of([changed]).digest == Chain.of([layer(24, each)]).digest


def test_a_square_linear_layer_keeps_the_order_of_its_weights() -> None:
    changed = at_widths(_layer("linear", 16, 16), 24)
    assert changed.weights[0].shape == (24, 16)


def test_what_has_no_width_is_refused_by_name() -> None:
    layers = hr.load(torch.nn.Sequential(torch.nn.ReLU()), torch.zeros(1, 8)).layers
    with pytest.raises(UsageError, match="has no width to choose: name a convolution or a linear layer"):
        widths_of(layers[0])


def test_groups_have_to_divide_the_widths() -> None:
    with pytest.raises(UsageError, match="4 groups, which do not divide 8 inputs and 18 outputs"):
        at_widths(_layer("grouped", 8, 16), 18)
    with pytest.raises(UsageError, match="whole numbers from 1"):
        at_widths(_layer("linear", 8, 16), 0)


def test_a_convolution_in_words_is_the_one_of_a_model() -> None:
    spec = parse_conv("c=512,h=64,w=64,k=64:512,r=3,s=3,n=1")
    module = torch.nn.Conv2d(512, 512, 3, padding=1, bias=False)
    assert Chain.of([spec.layer]).digest == Chain.of(hr.load(module, torch.zeros(1, 512, 64, 64)).layers).digest
    assert spec.out == Range(64, 512)
    assert spec.into == Range(512, 512)


def test_stride_dilation_padding_and_groups_can_be_said() -> None:
    spec = parse_conv("c=8,h=17,w=9,k=16,r=5,s=3,n=2,stride=2,padding=0,dilation=1,groups=4")
    module = torch.nn.Conv2d(8, 16, (5, 3), stride=2, groups=4, bias=False)
    assert Chain.of([spec.layer]).digest == Chain.of(hr.load(module, torch.zeros(2, 8, 17, 9)).layers).digest
    depthwise = parse_conv("c=1,h=9,w=9,k=8:32,groups=c")
    assert is_tied(depthwise.layer)
    assert widths_of(depthwise.layer) == (32, 32)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("c=512,h=64,w=64", "lacks k"),
        ("c=512,h=64,w=64,k=64:512,x=3", "'x=3' is none of"),
        ("c=512,h=64,w=64,k=64,k=65", "gives k twice"),
        ("c=512,h=64,w=64,k=512:64", "ends before it begins"),
        ("c=512,h=64,w=64,k=a", "expected a width or FROM:TO"),
        ("c=512,h=64,w=64,k=1:2:3:4", "expected a width or FROM:TO"),
        ("c=512,h=0,w=64,k=64", "h='0': expected a whole number from 1"),
        ("c=512,h=2,w=2,k=64,r=7,s=7,padding=0", "does not fit on 2x2"),
        ("c=512,h=8,w=8,k=66,groups=4", "4 groups do not divide"),
        ("", "is none of"),
    ],
)
def test_what_is_no_convolution_is_refused_with_the_way_out(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse_conv(text)


def test_widths_of_a_range_are_its_ends_and_the_step_s_multiples_between() -> None:
    assert Range(60, 90).widths(8) == (60, 64, 72, 80, 88, 90)
    assert Range(60, 90, 10).widths(8) == (60, 70, 80, 90)
    assert Range(64, 64).widths(8) == (64,)
    assert Range(1, 3).widths(8) == (1, 3)
    with pytest.raises(UsageError, match=f"more than {MOST_WIDTHS:,}: take a larger step"):
        Range(1, 100_000).widths()
