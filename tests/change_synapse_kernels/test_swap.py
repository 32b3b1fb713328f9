"""Kernels put into a slim network: which, where they are faster, and nothing where they cannot run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from headroom.change.synapses import Selection, Transform
from headroom.change.synapses.kernels.layers import GatheredLayer
from headroom.change.synapses.kernels.swap import arithmetic_of, swapped, use_kernels
from headroom.change.synapses.kernels.variants import Arithmetic
from headroom.change.synapses.modules import SlimConv2d, SlimLinear
from headroom.change.synapses.slim import Removal, slim
from headroom.change.synapses.vectors import Grain


def network() -> nn.Module:
    """A convolution at the column grain, one at the channel grain, and a linear layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dense = nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.Flatten(), nn.Linear(128, 10))
    return slim(dense, {"0": half(Grain.COLUMN, 72), "2": half(Grain.CHANNEL, 16), "4": half(Grain.FEATURE, 128)})


def half(grain: Grain, count: int) -> Removal:
    stay = np.arange(0, count, 2)
    return Removal(grain, Selection(0.5, stay, np.repeat(stay, 2), np.ones(count)), Transform.TRUNCATE)


def inputs() -> torch.Tensor:
    return torch.randn(3, 8, 8, 8, generator=torch.Generator().manual_seed(1))


def clock(pytorch_us: float) -> Any:
    """Kernels take 5 us, the first that is looked at 4, PyTorch's layers what is given."""
    seen: dict[int, float] = {}

    def time_us(program: Any) -> float:
        if not isinstance(program.layer, GatheredLayer):
            return pytorch_us
        return seen.setdefault(id(program.layer), 5.0 if seen else 4.0)

    return time_us


def test_faster_kernels_take_the_place_of_layers_and_give_the_same() -> None:
    made = network().eval()
    with torch.no_grad():
        before = made(inputs())
        found = swapped(made, inputs(), clock(9.0))
        assert torch.allclose(made(inputs()), before, atol=1e-5)
    assert set(found) == {"0", "4"}
    assert {type(made[at]) for at in (0, 4)} == {GatheredLayer}
    assert [made[at].kernel for at in (0, 4)] == list(found.values())


def test_where_they_are_no_faster_every_layer_stays() -> None:
    made = network()
    assert swapped(made, inputs(), clock(4.0)) == {}
    assert isinstance(made[0], SlimConv2d)
    assert isinstance(made[4], SlimLinear)


def test_on_the_cpu_nothing_is_put_in() -> None:
    made = network()
    assert use_kernels(made, inputs()) == {}
    assert isinstance(made[0], SlimConv2d)


def test_a_type_that_the_kernels_do_not_have_stays() -> None:
    made = network().double()
    assert swapped(made, inputs().double(), clock(9.0)) == {}


def test_layers_that_are_more_than_the_kernels_number_stay() -> None:
    dense = nn.Sequential(nn.Linear(2**16 + 16, 2))
    made = slim(dense, {"0": half(Grain.FEATURE, 2**16 + 16)})
    assert swapped(made, torch.zeros(1, 2**16 + 16), clock(9.0)) == {}


@pytest.mark.parametrize(
    ("dtype", "tf32", "arithmetic"),
    [
        (torch.float32, False, Arithmetic.FP32),
        (torch.float32, True, Arithmetic.TF32),
        (torch.bfloat16, True, Arithmetic.BF16),
        (torch.float16, False, None),
    ],
)
def test_fp32_stays_strict_unless_it_is_allowed_not_to(dtype, tf32, arithmetic) -> None:
    assert arithmetic_of(dtype, tf32=tf32) is arithmetic
