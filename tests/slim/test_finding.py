"""``headroom analyze`` says where fewer synapse vectors would pay, and which command looks at the weights."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

import headroom as hr
from headroom.advise.findings.synapses import fewer_inputs, has_own_producer, synapse_findings
from headroom.advise.timed import TimedGraph
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.graph.uses import Uses


@pytest.fixture(scope="module")
def graph(nets, folder) -> hr.Graph:
    return hr.load("slim_nets:pair", batch=512)


@pytest.fixture(scope="module")
def wide(nets, folder) -> hr.Graph:
    return hr.load("slim_nets:wide", batch=128)


def of_kind(graph: hr.Graph) -> list:
    found = hr.analyze(graph, "h200", source="predicted").findings
    return [finding for finding in found if finding.kind == "synapses"]


def test_a_network_that_the_command_can_run_gets_the_finding(wide) -> None:
    (finding,) = of_kind(wide)
    assert finding.code == "headroom slim slim_nets:wide --gpu h200 --batch 128"
    assert finding.code in finding.action
    assert finding.modules == ("2", "4")
    assert 0 < finding.saves_us < 0.3 * hr.analyze(wide, "h200", source="predicted").bounds.sequential_us
    assert finding.error_pct > 0
    assert "neither weights nor data" in finding.limits


def test_where_nothing_pays_nothing_is_said(graph) -> None:
    """A quarter of 64 channels is less than a step of the staircase."""
    assert of_kind(graph) == []


def test_the_command_takes_the_words_that_the_finding_names(wide) -> None:
    from headroom.cli.main import app

    (finding,) = of_kind(wide)
    _, verb, *rest = finding.code.split()
    (command,) = [each for each in app.registered_commands if (each.name or each.callback.__name__) == verb]
    names = {name.replace("_", "-") for name in command.callback.__annotations__}
    assert {word.removeprefix("--") for word in rest if word.startswith("--")} <= names


def test_a_file_without_weights_gets_none() -> None:
    network = nn.Sequential(nn.Conv2d(256, 256, 3), nn.ReLU(), nn.Conv2d(256, 256, 3))
    assert of_kind(hr.load(network, torch.zeros(64, 256, 32, 32))) == []


def test_channels_that_nobody_else_reads_are_not_selected(graph) -> None:
    uses = Uses(graph.layers, graph.outputs)
    alone = {layer.module for at, layer in enumerate(graph.layers) if layer.weights and has_own_producer(uses, at)}
    # A convolution, its normalisation and its ReLU keep channels apart; two layers read what they give.
    assert alone == {"second", "norm", "last"}


def test_what_stays_is_aligned_and_layers_with_nothing_to_lose_are_passed_over(graph) -> None:
    found = {layer.module: fewer_inputs(layer, 8) for layer in graph.layers if layer.weights}
    assert found["first"] is None
    assert found["norm"] is None
    smaller, selection = found["second"]
    assert smaller.work.in_channels == 48
    assert smaller.weights[0].shape == (128, 48, 3, 3)
    assert selection.outputs[0].shape == (512, 48, 8, 8)
    assert found["last"][0].weights[0].shape == (10, 192)


@pytest.mark.alone
def test_it_costs_an_analysis_little(graph) -> None:
    timed = TimedGraph.predict(graph, load_gpu("h200"), DataType.BF16, "warm")
    list(synapse_findings(timed))
    start = time.perf_counter()
    list(synapse_findings(timed))
    assert time.perf_counter() - start < 0.5
