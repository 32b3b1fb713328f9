"""A pruned network's fit stays under the network that it was pruned from, and says what a prediction cannot tell."""

from __future__ import annotations

import pytest

import headroom as hr
from change_fit.networks import Plain
from headroom.report.fit_words import sentences

#: By group: the outputs of the three convolutions.
FULL = {"features.0": 40, "features.3": 72, "features.6": 48}


@pytest.mark.parametrize("options", [{"goal": "latency", "saves": 0.1}, {"goal": "accuracy"}])
def test_no_layer_gets_wider_than_in_the_network_it_was_pruned_from(fitted, options) -> None:
    free = fitted("plain", **options)
    held = fitted("plain", unpruned="change_fit.networks:full", **options)

    assert any(free.widths[name] > full for name, full in FULL.items() if name in free.widths)
    assert all(width <= FULL[name] for name, width in held.widths.items())
    assert held.helps


def test_without_it_what_is_to_be_trained_grows_by_a_quarter_or_to_the_next_16(fitted) -> None:
    plan = fitted("residual", goal="latency", saves=0.01)

    assert all(move.after <= max(1.25 * move.before, -(-move.before // 16) * 16) for move in plan.groups)


def test_a_network_of_other_layers_is_no_ceiling() -> None:
    with pytest.raises(hr.ModelError, match=r"has no layer with a width and a name of change_fit\.networks:plain's"):
        hr.fit("change_fit.networks:plain", unpruned="change_fit.networks:single", goal="accuracy", source="predicted")


def test_a_module_is_held_under_a_module(fitted) -> None:
    import torch

    plan = hr.fit(
        Plain().eval(), unpruned=Plain((40, 72, 48)).eval(), example_inputs=torch.zeros(1, 3, 16, 16), goal="accuracy",
        batch=128, source="predicted",
    )  # fmt: skip
    assert plan.widths == fitted("plain", unpruned="change_fit.networks:full", goal="accuracy").widths


def test_widths_that_a_prediction_takes_to_last_equally_long_are_named(fitted) -> None:
    """At batch 1 a layer of 16x16 images fits into one wave whatever its width."""
    flat = fitted("plain", goal="accuracy", batch=1)

    assert flat.untold
    assert any("--measure" in each and "cannot tell these widths apart" in each for each in sentences(flat))
    assert not any("cannot tell" in each for each in sentences(fitted("even")))
