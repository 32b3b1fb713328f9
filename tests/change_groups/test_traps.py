"""Networks whose groups are easily taken for what they are not, and what a search must leave alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from headroom.change.widths.groups import l1_importance, layer_widths, set_width, width_groups


class Between(nn.Module):
    """Something between two convolutions."""

    def __init__(self, between, width=8) -> None:
        super().__init__()
        self.first, self.second, self.between = nn.Conv2d(3, width, 1), nn.Conv2d(width, 2, 1), between

    def forward(self, x):
        return self.second(self.between(self.first(x)))


def by_place(x):
    return x * torch.arange(x.shape[1], dtype=x.dtype).view(1, -1, 1, 1)


@pytest.mark.parametrize("between", [by_place, lambda x: functional.local_response_norm(x, 3)])
@pytest.mark.parametrize("width", [2, 4, 8])
def test_code_that_treats_channels_by_their_place_or_their_neighbours_freezes_them(between, width):
    groups = width_groups(Between(between, width), torch.zeros(1, 3, 4, 4))

    assert groups["first"].frozen is not None


def test_channels_that_nobody_reads_cannot_pass_by_growing_alone():
    groups = width_groups(Between(lambda x: x[:, [0, 3, 5]].repeat(1, 3, 1, 1)[:, :8]), torch.zeros(1, 3, 4, 4))

    assert groups.free == ()


@pytest.mark.parametrize(
    "between",
    [
        nn.PReLU(),
        lambda x: functional.max_pool2d(functional.pad(torch.relu(x), (1, 1, 1, 1)), 3, 2),
        lambda x: functional.avg_pool2d(functional.pad(x, (0, 1, 0, 1), value=1.0), 2),
    ],
)
def test_one_number_for_all_channels_and_a_padding_around_them_tie_nothing(between):
    groups = width_groups(Between(between), torch.zeros(1, 3, 4, 4))

    assert groups["first"].frozen is None
    assert groups["first"].layers == ("first", "second")


def test_a_scale_that_starts_a_branch_at_zero_belongs_to_no_channel():
    class ReZero(Between):
        def __init__(self) -> None:
            super().__init__(torch.relu)
            self.branch, self.scale = nn.Conv2d(8, 8, 1), nn.Parameter(torch.zeros(1))

        def forward(self, x):
            x = self.first(x)
            return self.second(x + self.scale * self.branch(input=x))

    groups = width_groups(ReZero(), torch.zeros(1, 3, 4, 4))

    assert [(group.name, group.width) for group in groups.free] == [("first", 8)]


@dataclasses.dataclass
class Answer:
    scores: torch.Tensor
    features: torch.Tensor


def test_what_an_object_of_ones_own_returns_is_an_output():
    class Answering(Between):
        def forward(self, x):
            features = self.first(x)
            return self.second(features), Answer(features, features)

    groups = width_groups(Answering(torch.relu), torch.zeros(1, 3, 4, 4))

    assert {group.frozen for group in groups.groups} == {"is what the network returns"}


class Remembering(Between):
    """Counts its runs, draws at random, and writes into its input."""

    def __init__(self) -> None:
        super().__init__(torch.relu)
        self.register_buffer("runs", torch.zeros(()))

    def forward(self, x):
        self.runs += 1
        self.seen = x.mul_(0.5).add_(torch.rand(()) * 0)
        return super().forward(x)


def test_a_network_with_a_memory_its_inputs_and_the_random_numbers_are_left_alone():
    module, inputs = Remembering().train(), torch.ones(1, 3, 4, 4)
    random = torch.get_rng_state()

    groups = width_groups(module, inputs)
    wider = set_width(module, inputs, groups, "first", 9)

    assert groups["first"].frozen is None
    assert (float(module.runs), float(wider.runs), hasattr(module, "seen")) == (0, 0, False)
    assert bool((inputs == 1).all())
    assert torch.equal(torch.get_rng_state(), random)


def test_code_that_insists_on_its_type_is_frozen_with_a_sentence():
    class Half(Between):
        def forward(self, x):
            return super().forward(x.bfloat16())

    groups = width_groups(Half(torch.relu).bfloat16(), torch.zeros(1, 3, 4, 4))

    assert "in float64 its own code fails" in groups["first"].frozen


@pytest.mark.parametrize("normalised", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_weights_that_are_computed_are_frozen_and_their_layers_have_fixed_widths(normalised):
    module = Between(nn.Sequential(normalised(nn.Conv2d(8, 8, 1)), nn.Conv2d(8, 8, 1)))

    groups = width_groups(module, torch.zeros(1, 3, 4, 4))
    inner = {each.layer: each for each in layer_widths(module, groups)}["between.0"]

    assert groups["first"].frozen is not None
    assert (inner.inputs.fixed, inner.outputs.fixed, inner.inputs.parts) == (8, 8, {})


def test_importance_passes_over_what_has_no_size():
    class Masked(Between):
        def __init__(self) -> None:
            super().__init__(torch.relu)
            self.register_buffer("mask", torch.arange(8) % 3 == 0)

        def forward(self, x):
            return self.second(self.first(x).masked_fill(self.mask[:, None, None], 0.5))

    module, inputs = Masked(), torch.zeros(1, 3, 4, 4)
    groups = width_groups(module, inputs)
    importance = l1_importance(module, groups)

    narrower = set_width(module, inputs, groups, "first", 6, importance=importance)

    assert narrower.mask.shape == (6,)
    assert all(np.isfinite(scores).all() for scores in importance.values())


class Recurrent(nn.Module):
    """Linear layers behind an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.wide, self.head = nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 7), nn.Linear(7, 2)

    def forward(self, x):
        return self.head(functional.relu(self.wide(self.cells(x)[0])))


def test_layers_behind_an_lstm_move_whichever_operators_the_data_type_makes_of_it():
    enabled = torch.backends.mkldnn.enabled
    groups = width_groups(Recurrent(), torch.zeros(2, 3, 6))

    assert groups["wide"].frozen is None
    assert torch.backends.mkldnn.enabled == enabled
