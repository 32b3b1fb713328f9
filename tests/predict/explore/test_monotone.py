"""A better GPU is never slower: more SMs, a faster clock, more bandwidth, a larger L2, on layers of any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headroom as hr
from builders import conv, layer, matmul, tensor
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.work import Attention, Elementwise

#: What is left to a library's preference for narrow plain tiles, as a share of the time.
PREFERENCE = 0.06

MORE = {
    "sms": [0.6, 1, 1.1, 1.7, 2.4, 4], "clock": [0.7, 1, 1.4, 2], "dram_bw": [0.5, 0.8, 1, 1.1],
    "l2_bw": [0.9, 1, 1.2], "l2_size": [0.25, 0.6, 1, 2, 8],
}  # fmt: skip

SIZES = st.sampled_from([1, 3, 16, 60, 64, 129, 512, 1000, 4096])


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    which = draw(st.sampled_from(["matmul", "conv", "attention", "elementwise"]))
    if which == "matmul":
        return matmul("g", "x", draw(SIZES), draw(SIZES), draw(SIZES))
    if which == "conv":
        return conv("c", "x", channels=draw(st.sampled_from([8, 64, 320])), size=draw(st.sampled_from([7, 28, 57])))
    if which == "attention":
        queries, heads = draw(st.sampled_from([1, 100, 2048])), draw(st.sampled_from([1, 12, 40]))
        return layer("a", Attention(1, heads, queries, 2048, 64, 64, heads), ["x"], shape=(1, heads, queries, 64))
    elements = draw(SIZES) * 1024
    return layer("e", Elementwise("add", elements), ["x"], shape=(elements,))


@pytest.mark.parametrize("field", MORE)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(layers(), min_size=1, max_size=3),
    st.sampled_from([("h200", "bf16"), ("h200", "fp32"), ("l4", "bf16"), ("t4", "fp16"), ("v100-pcie-32gb", "fp32")]),
    st.sampled_from(["warm", "cold"]),
)
def test_more_of_it_is_never_slower(field: str, found: list[Layer], where: tuple[str, str], l2: str) -> None:
    gpu, dtype = where
    model = Graph("net", tuple(found), (tensor("x"),), (tensor(found[-1].name),), 1)
    time_us = hr.explore(model, gpu, {field: MORE[field]}, dtype=dtype, l2=l2).figures.time_us
    allowed = PREFERENCE if dtype == "fp32" else 1e-4
    assert (np.diff(time_us) <= allowed * time_us[:-1]).all()
