"""The gradients of a model: what a backward pass runs, in which order, and how it is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import headroom as hr
from builders import add, conv, graph, layer, matmul, relu, tensor
from headroom.advise.passes import graph_of_passes
from headroom.cli.main import app
from headroom.errors import UsageError
from headroom.graph.chain import Chain
from headroom.graph.kinds import LayerKind
from headroom.graph.work import Attention, Convolution
from headroom.measure.gradients import gradient
from headroom.report.answer import to_dict

CHAIN = graph(conv("a", "x"), relu("b", "a"), conv("c", "b"), relu("d", "c"))


def branched():
    """A residual block: the gradient of ``a`` comes from two sides."""
    return graph(conv("a", "x"), conv("b", "a"), add("c", "b", "a"), conv("d", "c"))


def test_each_gradient_has_the_multiply_adds_of_the_forward_pass_but_the_inputs() -> None:
    forward = CHAIN.macs
    assert graph_of_passes(CHAIN, "forward") is CHAIN
    assert graph_of_passes(CHAIN, "wgrad").macs == forward
    assert graph_of_passes(CHAIN, "dgrad").macs == forward // 2, "nobody asks for the gradient of the model's input"
    assert graph_of_passes(CHAIN, "training").macs == forward * 5 // 2


def test_gradients_run_from_the_last_layer_to_the_first() -> None:
    names = [made.name for made in graph_of_passes(CHAIN, "training").layers[4:]]
    assert names == [
        "d (gradient)", "c (input gradient)", "c (weight gradient)", "b (gradient)", "a (weight gradient)",
    ]  # fmt: skip


def test_what_is_measured_is_what_is_answered() -> None:
    found = {made.name: made for made in graph_of_passes(CHAIN, "training").layers}
    for name, title in (("dgrad", "input"), ("wgrad", "weight")):
        own = gradient(CHAIN.layers[2], name)
        assert own is not None
        assert Chain.of([found[f"c ({title} gradient)"]]).digest == Chain.of([own]).digest


def test_a_gradient_waits_for_every_branch_behind_it() -> None:
    for direction in ("dgrad", "training"):
        made = graph_of_passes(branched(), direction)
        place = {step.name: index for index, step in enumerate(made.layers)}
        total = made.predecessors[place["a (weight gradient)"]] if direction == "training" else ()
        sums = [index for name, index in place.items() if name.startswith("sum of gradient of a")]
        assert len(sums) == 1
        assert place["b (input gradient)"] in made.predecessors[sums[0]]
        assert len(made.predecessors[sums[0]]) == 2
        assert direction == "dgrad" or sums[0] in total


def test_a_product_of_the_model_has_both_gradients() -> None:
    model = graph(relu("r", "x", (512, 768)), matmul("p", "r", 512, 1024, 768))
    works = {made.name: made.gemm for made in graph_of_passes(model, "training").layers if made.gemm}
    assert [(g.m, g.n, g.k) for g in works.values()] == [(512, 1024, 768), (512, 768, 1024), (768, 1024, 512)]


def test_what_has_no_model_of_its_backward_pass_counts_as_unknown() -> None:
    work = Attention(1, 8, 128, 128, 64, 64, 8)
    shape = (1, 8, 128, 64)
    attention = layer("m", work, [tensor(name, *shape) for name in "qkv"], shape=shape)
    q = relu("q", "x", shape)
    answer = hr.analyze(graph(q, attention), "h200", "bf16", source="predicted", direction="training")
    assert answer.coverage.unknown_layers == ("m (gradient)",)
    assert answer.coverage.known_macs_share == pytest.approx(1 / 3)
    kinds = {made.name: made.kind for made in graph_of_passes(graph(q, attention), "training").layers}
    assert kinds["m (gradient)"] is LayerKind.UNKNOWN


def test_a_layer_whose_gradients_are_left_out_is_named() -> None:
    plain = CHAIN.layers[2]
    gradient_itself = replace(plain, name="up", work=replace(plain.work, direction="wgrad"))
    model = replace(CHAIN, layers=(*CHAIN.layers[:2], gradient_itself, CHAIN.layers[3]))
    for direction in ("dgrad", "wgrad"):
        assert graph_of_passes(model, direction).notes[-1].endswith("without those of 1 that have no model: up")
        assert "no model" not in graph_of_passes(CHAIN, direction).notes[-1]


def test_a_transposed_convolution_has_both_gradients_and_they_read_what_is_there() -> None:
    work = Convolution(2, 64, 32, (7, 7), (14, 14), (4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1), 1, "dgrad")
    up = layer("up", work, [tensor("r", 2, 64, 7, 7)], shape=(2, 32, 14, 14), weights=[tensor("w", 64, 32, 4, 4)])
    model = graph(relu("r", "x", (2, 64, 7, 7)), up, relu("d", "up", (2, 32, 14, 14)))
    made = {step.name: step for step in graph_of_passes(model, "training").layers}
    data, weight = made["up (input gradient)"], made["up (weight gradient)"]
    assert [t.name for t in (*data.inputs, *data.weights, *data.outputs)] == ["gradient of up", "w", "gradient of r"]
    assert [t.name for t in (*weight.inputs, *weight.outputs)] == ["gradient of up", "r", "gradient of w"]
    assert data.macs == weight.macs == up.macs
    answer = hr.analyze(model, "h200", "bf16", source="predicted", direction="training")
    assert answer.coverage.known_share == 1.0


@pytest.mark.parametrize("direction", ["dgrad", "wgrad", "training"])
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_every_pass_is_answered_with_bounds_in_order(direction: str, dtype: str) -> None:
    answer = hr.analyze(branched(), "h200", dtype, source="predicted", direction=direction)
    bounds = answer.bounds
    assert 0 < bounds.speed_of_light_us <= bounds.parallel_us <= bounds.sequential_us
    told = to_dict(answer)
    assert told["direction"] == direction
    assert any("training step" in note or "alone" in note for note in told["notes"])
    assert told["coverage"]["known_share"] == 1.0


def test_a_training_step_takes_about_three_times_a_forward_pass() -> None:
    model = graph(*(conv(f"c{i}", f"c{i - 1}" if i else "x", 256, 28) for i in range(6)))
    times = {
        d: hr.analyze(model, "a100-80gb-sxm", "bf16", source="predicted", direction=d) for d in ("forward", "training")
    }
    ratio = times["training"].bounds.sequential_us / times["forward"].bounds.sequential_us
    assert 2.3 < ratio < 4.0


def test_an_unknown_pass_and_a_profile_with_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown direction 'backward': choose forward, dgrad, wgrad, training"):
        graph_of_passes(CHAIN, "backward")
    with pytest.raises(UsageError, match="leave out direction or the profile"):
        hr.analyze(CHAIN, "h200", "bf16", profile=tmp_path / "trace.json", direction="training")


def test_the_command_takes_the_direction_that_measure_takes(shared_data: Path) -> None:
    model = str(shared_data / "models" / "alexnet.onnx")
    arguments = ["analyze", model, "--gpu", "h200", "--source", "predicted", "--direction", "wgrad", "--json", "-"]
    told = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert told["direction"] == "wgrad"
    assert all("weight gradient" in row["name"] for row in told["layers"])
