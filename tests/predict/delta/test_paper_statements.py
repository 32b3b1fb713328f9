"""What the DeLTA paper states about its figures comes out of the model."""

from __future__ import annotations

import pytest

from delta_study.figures import network_figures
from delta_study.networks import NETWORKS, unique
from delta_study.statements import STATEMENTS, Statement
from headroom.predict.delta import Reading


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.key)
def test_what_the_paper_states_comes_out(statement: Statement) -> None:
    outcome = statement.check()

    assert outcome.holds, f"{statement.where} states {statement.stated}; the model gives {outcome.value}"


def test_at_most_four_statements_are_only_near() -> None:
    near = {statement.key for statement in STATEMENTS if statement.check().verdict == "near"}

    assert near <= {"l2-miss", "prior-mean", "prior-max", "option-3-4"}


@pytest.mark.parametrize(
    ("reading", "bound", "value"),
    [
        (Reading(unaligned_requests=False), max, 0.84),
        (Reading(reuse_across_iterations=False), min, 0.22),
    ],
)
def test_the_readings_not_taken_miss_the_stated_l1_range(reading: Reading, bound: object, value: float) -> None:
    rates = network_figures("GoogLeNet", "TITAN Xp", reading).answer.traffic.l1_miss_rate

    assert bound(rates) == pytest.approx(value, abs=0.005)  # type: ignore[operator]


def test_the_paper_s_networks_have_their_published_work() -> None:
    """Multiply-adds of one image, from the networks' own papers (convolutions only, in 10^9)."""
    macs = {
        name: sum(layer.conv.macs * layer.count for layer in unique(build())) / 256e9
        for name, build in NETWORKS.items()
    }

    assert macs == pytest.approx({"AlexNet": 0.666, "VGG16": 15.35, "GoogLeNet": 1.58, "ResNet-152": 11.3}, rel=0.01)
    assert {name: len(build()) for name, build in NETWORKS.items()} == {
        "AlexNet": 5, "VGG16": 13, "GoogLeNet": 57, "ResNet-152": 155,
    }  # fmt: skip
