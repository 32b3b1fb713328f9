"""Inefficiencies planted into a real model file and into real traces of an H200 are found, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

import headroom as hr
from advise.matched import network_graph, with_padding
from builders import H200
from headroom.advise.analysis import Finding
from headroom.advise.bounds import lower_bounds
from headroom.advise.case import Case
from headroom.advise.matching import match
from headroom.advise.questions.framework import framework
from headroom.advise.timed import TimedGraph
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.profiles.profile import Call, Launch, LaunchKind, Profile, Wait
from onnx_models import model, node
from profiles import recorded

TRACE = "resnet18-1-default"


def case(graph: Graph, profile: Profile | None = None) -> Case:
    timed = TimedGraph.predict(graph, H200, DataType.TF32, "warm")
    execution = None if profile is None else match(profile, graph)
    latency_us = None if execution is None else execution.latency_us
    return Case(timed, lower_bounds(timed), execution=execution, latency_us=latency_us)


def findings(graph: Graph, kind: str, profile: Profile | None = None) -> list[Finding]:
    return [finding for finding in framework(case(graph, profile)).findings if finding.kind == kind]


def converted(tmp_path: Path, pads: list[int], conv_pads: list[int]) -> Graph:
    """A file as a converter leaves it: a Pad node before a convolution, with the padding that it adds."""
    nodes = [
        node("Relu", "x", "r", name="act"),
        node("Pad", "r pads", "p", name="loader_pad"),
        node("Conv", "p w", "y", name="conv", pads=conv_pads, kernel_shape=[3, 3]),
    ]
    shapes = {"x": [1, 16, 32, 32]}
    path = tmp_path / "converted.onnx"
    onnx.save(model(nodes, shapes, weights={"w": [8, 16, 3, 3]}, constants={"pads": pads}), path)
    return hr.load(path)


def test_a_loader_s_pad_before_a_convolution_is_found_in_the_model_file(tmp_path: Path) -> None:
    (found,) = findings(converted(tmp_path, [0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 0]), "needless_padding")
    assert found.layers == ("loader_pad",)
    assert "padding=(1, 1)" in found.code
    assert found.saves_us > 0


def test_asymmetric_padding_is_needed_and_left_alone(tmp_path: Path) -> None:
    assert not findings(converted(tmp_path, [0, 0, 0, 0, 0, 0, 1, 1], [1, 1, 1, 1]), "needless_padding")


def costly(profile: Profile) -> Profile:
    """The padding takes the host what such an operator does: it makes a tensor, fills it and copies into it."""
    step = profile.typical
    calls = (replace(c, duration_us=30.0) if c.name == "aten::constant_pad_nd" else c for c in step.calls)
    return replace(profile, steps=(replace(step, calls=tuple(calls)),))


@pytest.mark.parametrize("which", [0, 7])
def test_padding_planted_into_a_trace_is_found_with_its_layer(which: int, shared_models: Path) -> None:
    graph = network_graph(shared_models, "resnet18")
    assert not findings(graph, "padding", recorded(TRACE))
    (found,) = findings(graph, "padding", costly(with_padding(recorded(TRACE), which, 1)))
    convolutions = [layer.name for layer in graph.layers if layer.kind == "convolution"]
    assert found.layers == (convolutions[which],)
    assert found.saves_us > 0


def test_a_call_with_other_operands_than_the_model_s_is_listed(shared_models: Path) -> None:
    graph = network_graph(shared_models, "resnet18")
    planted = framework(case(graph, with_padding(recorded(TRACE), 7, 1)))
    (listed,) = [table for table in planted.tables if table.title == "Calls that differ from the model"]
    ((_, what, model_s, run_s),) = listed.rows
    assert what == "operands"
    assert model_s != run_s
    assert "Calls that differ" not in str(framework(case(graph, recorded(TRACE))).tables)


def looking(profile: Profile, after_us: float) -> Profile:
    """The profile with a value read back in the middle: the host stands still until it has it."""
    step = profile.typical
    at_us = next(c.start_us for c in step.calls if c.parent is None and c.start_us - step.start_us > after_us)
    stood_us = 60.0
    read = Call("aten::item", at_us, stood_us, step.calls[0].thread)
    wait = Wait("cudaStreamSynchronize", at_us + 10.0, stood_us - 20.0, len(step.calls))
    copy = Launch(
        "Memcpy DtoH (Device -> Pageable)", LaunchKind.COPY, at_us + 30.0, 1.5, 7, 0, len(step.calls), at_us + 5.0
    )
    calls = tuple(replace(c, start_us=c.start_us + stood_us) if c.start_us >= at_us else c for c in step.calls)
    later = (
        replace(each, start_us=each.start_us + stood_us, launched_us=each.launched_us + stood_us)
        if each.launched_us is not None and each.launched_us >= at_us
        else each
        for each in step.launches
    )
    launches = tuple(sorted((*later, copy), key=lambda each: each.start_us))
    changed = replace(
        step, calls=(*calls, read), launches=launches, waits=(wait,), duration_us=step.duration_us + stood_us
    )
    return replace(profile, steps=(changed,))


def test_a_value_read_back_in_the_middle_of_a_trace_is_found(shared_models: Path) -> None:
    graph = network_graph(shared_models, "resnet18")
    assert not findings(graph, "host_waits", recorded(TRACE))
    (found,) = findings(graph, "host_waits", looking(recorded(TRACE), 900.0))
    # The host's time counts without what recording it cost.
    assert found.saves_us == pytest.approx(0.667 * 20.0 + 5.0, abs=12.0)
    assert ".item()" in found.action
    assert found.layers
