"""``pack --measure``: formats by the time that layers take, on the host in a GPU's place, and by given times."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import headroom as hr  # noqa: E402
from headroom.change.fission import timing  # noqa: E402
from headroom.change.fission.timing import Stopwatch, Times  # noqa: E402
from headroom.report.packing_terminal import summary  # noqa: E402


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Conv2d(4, 8, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 64), nn.Linear(64, 10)
        return nn.Sequential(*layers)


def packed(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        inputs = torch.randn(2, 4, 6, 6)
    return hr.pack(
        network(),
        "h200",
        example_inputs=inputs,
        dtype="fp32",
        budget=0.5,
        forms="int8,deft16q",
        measure=True,
        **options,
    )


@pytest.fixture
def host(monkeypatch):
    """The host in the GPU's place: everything but the figures is as it would be."""
    monkeypatch.setenv("HEADROOM_BENCH", "fake")


@pytest.mark.usefixtures("host")
def test_every_layer_is_timed_in_every_format():
    plan = packed().plan

    assert plan.measured
    assert [layer.name for layer in plan.layers] == ["0", "3", "4"]
    assert all(option.time_us > 0 for layer in plan.layers for option in layer.options)
    assert all(layer.time_us > 0 and layer.error_pct >= 3 for layer in plan.layers)


@pytest.fixture
def given(host, monkeypatch):
    """A stopwatch that reads what it is told: int8 pays for the convolution and Deft-16Q for the first linear layer."""
    told = {
        (8, 4, 4): {"int8": 4.0, "deft16q": 6.0},
        (2, 64): {"int8": 9.0, "deft16q": 3.0},
        (2, 10): {"deft16q": 11.0},
    }

    def __call__(self, layer, options, forms):  # noqa: N807 - stands in for the stopwatch's own
        shape = tuple(layer.outputs[0].shape)
        return Times(10.0, 5.0, told[shape if shape in told else shape[1:]])

    monkeypatch.setattr(Stopwatch, "__call__", __call__)


@pytest.mark.usefixtures("given")
def test_the_fastest_format_is_chosen_and_a_slower_one_never():
    answer = packed()

    assert answer.plan.forms == {"0": "int8", "3": "deft16q"}
    assert answer.plan.saves_us == pytest.approx(13.0)
    assert answer.plan.error_pct == pytest.approx(5.0)
    assert answer.to_dict()["source"] == "measured"
    assert any(line.startswith("Measured layer by layer, it saves 13.0") for line in summary(answer.plan))
    theory = hr.pack(network(), "h200", example_inputs=torch.randn(2, 4, 6, 6), dtype="fp32").plan
    dense_us = sum(layer.time_us for layer in theory.layers)
    assert answer.plan.total_us == pytest.approx(theory.total_us - dense_us + 30.0)


@pytest.mark.usefixtures("host")
def test_a_layer_whose_time_does_not_count_is_said(monkeypatch):
    from headroom.measure.client import Worker

    told = {"median_us": [None, 1.0, 1.0], "iqr_us": [None, 0.1, 0.1], "reasons": ["the clock was lowered", "", ""]}
    monkeypatch.setattr(Worker, "run_job", lambda *given, **options: told)
    with pytest.raises(hr.GpuError, match=r"dense layer .* has no time that counts: the clock was lowered"):
        packed()


def test_the_parent_knows_the_job_by_its_address_alone():
    assert timing._JOB == "headroom.change.fission.timing_job:layer"
