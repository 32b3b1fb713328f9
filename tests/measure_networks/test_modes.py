"""Modes by their names."""

from __future__ import annotations

import json

import pytest

from headroom.errors import UsageError
from headroom.graph.tensor import DataType
from headroom.measure.networks import modes
from headroom.measure.networks.modes import MODES, find_mode, in_running_order, usual_modes
from headroom.measure.networks.request import Request


def test_every_way_that_a_framework_offers_has_a_name() -> None:
    assert {
        "eager", "cuda-graph", "channels-last", "channels-last cuda-graph", "compile", "compile reduce-overhead",
        "compile max-autotune", "channels-last compile reduce-overhead", "onnxruntime", "tensorrt",
    } <= set(MODES)  # fmt: skip


def test_autotuning_has_to_be_asked_for() -> None:
    assert not any("autotune" in name for name in usual_modes())


def test_other_runtimes_are_usual_only_where_they_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes.importlib.util, "find_spec", lambda name: None)
    assert not set(usual_modes()) & {"onnxruntime", "tensorrt"}
    monkeypatch.setattr(modes.importlib.util, "find_spec", lambda name: object())
    assert set(usual_modes()) >= {"onnxruntime", "tensorrt"}


def test_an_unknown_mode_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"'warp' is no way.*cuda-graph"):
        find_mode("warp")


def test_the_weights_are_converted_once() -> None:
    order = in_running_order(("channels-last", "eager", "channels-last compile", "compile", "eager"))
    assert [mode.channels_last for mode in order] == [False, False, True, True]


def test_a_request_travels_as_json_and_checks_its_modes() -> None:
    request = Request("net:make", DataType.TF32, ("eager", "compile"), 8, {"N": 3}, 0.5)
    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request
    with pytest.raises(UsageError, match="no way to run"):
        Request("net:make", DataType.TF32, ("fast",))
