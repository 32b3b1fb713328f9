"""Findings name what would really help, and nothing else."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from advise.cases import case_from
from builders import H200, add, batch_norm, conv, fork, graph, prediction, relu, timed
from headroom.advise.analysis import Finding
from headroom.advise.analyze import find_all
from headroom.advise.branches import parallel_regions
from headroom.advise.findings import ranked
from headroom.advise.findings.common import make_finding
from headroom.advise.findings.parallel import parallel_findings
from headroom.advise.findings.tail import tail_findings
from headroom.advise.fusion import fused_groups
from headroom.advise.questions import answer_all
from headroom.advise.timed import TimedGraph
from headroom.graph.tensor import DataType


def found(model: TimedGraph) -> tuple[Finding, ...]:
    case = case_from(model)
    return find_all(case, answer_all(case))


def test_two_half_empty_branches_gain_from_running_together() -> None:
    model = timed(fork(), 10.0, 100.0, 60.0, 10.0, tail_utilization=0.4)
    (finding,) = parallel_findings(model)
    assert finding.saves_us == pytest.approx(60.0 - H200.launch_us)
    assert "left" in finding.layers
    assert "2 branches" in finding.action


def test_two_branches_that_fill_the_gpu_gain_nothing() -> None:
    assert not list(parallel_findings(timed(fork(), 10.0, 100.0, 60.0, 10.0, tail_utilization=1.0)))


def test_two_branches_that_share_the_memory_gain_nothing() -> None:
    saturating = 100e-6 * H200.dram.bandwidth_gbs * 1e9
    model = timed(fork(), 10.0, 100.0, 100.0, 10.0, tail_utilization=0.2, dram_bytes=saturating)
    assert not list(parallel_findings(model))


def test_a_residual_connection_is_not_a_branch() -> None:
    block = graph(relu("in", "x"), conv("a", "in"), conv("b", "a"), add("out", "b", "in"))
    assert not list(parallel_findings(timed(block, 10.0, 50.0, 10.0, tail_utilization=0.1)))


def test_two_towers_over_two_inputs_are_branches() -> None:
    a = [conv("a0", "x"), conv("a1", "a0", channels=32)]
    b = [conv("b0", "y"), conv("b1", "b0", channels=32)]
    model = timed(graph(*a, *b, add("join", "a1", "b1")), 100.0, 50.0, 10.0, tail_utilization=0.2)
    (finding,) = parallel_findings(model)
    assert set(finding.layers) == {"a0", "a1", "b0", "b1"}
    assert finding.saves_us == pytest.approx(150.0 - H200.launch_us)


def test_a_late_input_does_not_hide_the_branches_inside() -> None:
    branches = [relu("s", "x"), conv("l", "s"), conv("r", "s", channels=32), add("j", "l", "r")]
    late = [relu("late", "y", shape=(1, 8, 8, 8)), add("out", "j", "late")]
    model = timed(graph(*branches, *late), 10.0, 100.0, 100.0, 10.0, 1.0, tail_utilization=0.2)
    (finding,) = parallel_findings(model)
    assert set(finding.layers) == {"s", "l", "r"}
    assert finding.saves_us == pytest.approx(100.0 - H200.launch_us)


def test_running_together_never_beats_the_floors_of_the_layers() -> None:
    model = timed(fork(), 10.0, 100.0, 60.0, 10.0, tail_utilization=0.1, floor_us=58.0)
    (finding,) = parallel_findings(model)
    assert finding.saves_us <= 160.0 - 2 * 58.0


def test_equal_regions_are_one_finding() -> None:
    layers = [relu("s0", "x")]
    for index in range(3):
        stem = f"s{index}"
        layers += [conv(f"l{index}", stem), conv(f"r{index}", stem, channels=64, size=56)]
        layers.append(add(f"s{index + 1}", f"l{index}", f"r{index}"))
    model = graph(*layers)
    times = [20.0 for _ in model.configurations]
    findings = list(parallel_findings(timed(model, *times, tail_utilization=0.3)))
    assert len(findings) <= 2  # the first region begins with another layer than the rest
    assert {name for finding in findings for name in finding.layers} >= {"l0", "r0", "l2", "r2"}


def chain_model() -> TimedGraph:
    model = graph(conv("c", "x"), batch_norm("n", "c"), relu("r", "n"))
    return TimedGraph.predict(model, H200, DataType.BF16, "warm")


def test_a_convolution_takes_its_batchnorm_and_activation_along() -> None:
    (group,) = fused_groups(chain_model())
    assert group.layers == (0, 1, 2)
    assert group.fused_us < group.unfused_us
    assert group.pattern == "convolution + batch norm + relu"


def test_a_value_with_two_readers_is_not_fused_away() -> None:
    model = graph(conv("c", "x"), relu("r", "c"), conv("d", "r"), add("a", "d", "c"))
    groups = fused_groups(TimedGraph.predict(model, H200, DataType.BF16, "warm"))
    assert [group.layers for group in groups] == [(2, 3)]


def test_a_value_that_the_caller_wants_is_not_fused_away() -> None:
    model = graph(conv("c", "x"), relu("r", "c"), outputs=["c", "r"])
    assert not fused_groups(TimedGraph.predict(model, H200, DataType.BF16, "warm"))


def test_a_fused_residual_still_has_to_be_read() -> None:
    plain = graph(conv("c", "x"), relu("r", "c"))
    residual = graph(conv("b", "x"), conv("c", "b"), add("a", "c", "b"), relu("r", "a"))
    alone = fused_groups(TimedGraph.predict(plain, H200, DataType.BF16, "cold"))[0]
    joined = fused_groups(TimedGraph.predict(residual, H200, DataType.BF16, "cold"))[0]
    assert joined.fused_us > alone.fused_us


@pytest.mark.parametrize(("waves", "found"), [(2.1, True), (2.9, False), (3.0, False), (0.3, False)])
def test_only_a_mostly_empty_last_wave_is_a_tail(waves: float, found: bool) -> None:
    model = timed(graph(conv("c", "x")), 100.0, waves=waves)
    findings = list(tail_findings(model))
    assert bool(findings) is found
    if found:
        assert findings[0].saves_us == pytest.approx((100.0 - H200.launch_us) * (1 - 2.1 / 3))


def test_an_even_last_wave_saves_neither_the_launch_nor_the_floor() -> None:
    model = graph(conv("c", "x"))
    assert not found(timed(model, H200.launch_us, waves=1.1))
    (finding,) = found(timed(model, 100.0, waves=1.1, floor_us=95.0))
    assert finding.saves_us == pytest.approx(5.0)


def test_findings_are_ranked_and_name_the_users_modules() -> None:
    model = graph(conv("c", "x", module="layer1.conv"), relu("r", "c", module="layer1.act"))
    findings = found(TimedGraph.predict(model, H200, DataType.BF16, "warm"))
    assert [f.saves_us for f in findings] == sorted((f.saves_us for f in findings), reverse=True)
    assert findings[0].modules == ("layer1.conv", "layer1.act")
    assert findings[0].speedup > 1


def test_a_layer_without_a_time_is_in_no_finding() -> None:
    model = graph(conv("c", "x"), relu("r", "c"))
    nothing = TimedGraph(model, H200, DataType.BF16, "warm", (prediction(None), prediction(None)))
    assert found(nothing) == ()


def test_a_long_chain_is_cut_at_what_a_compiler_fuses_and_its_name_stays_short() -> None:
    layers = [relu(f"r{index}", f"r{index - 1}" if index else "x") for index in range(200)]
    model = TimedGraph.predict(graph(*layers), H200, DataType.BF16, "warm")
    assert [len(group.layers) for group in fused_groups(model)] == [64, 64, 64, 8]
    findings = found(model)
    shown = "relu + relu + relu + relu + 60 more and 1 pattern more: 4 chains in separate kernels"
    assert findings[0].title == shown


@pytest.mark.alone
def test_regions_of_a_deep_model_are_found_in_linear_time() -> None:
    layers = [relu(f"r{index}", f"r{index - 1}" if index else "x") for index in range(20_000)]
    model = timed(graph(*layers), 1.0)
    started = time.process_time()
    assert parallel_regions(model) == ()
    assert time.process_time() - started < 5.0


def test_a_saving_that_may_be_none_is_no_finding() -> None:
    model = timed(fork(), 10.0, 100.0, 60.0, 10.0, tail_utilization=0.4)
    sure = make_finding(model, "sure", "", "", [1], saves_us=20.0, error_pct=99.0)
    unsure = make_finding(model, "unsure", "", "", [1], saves_us=40.0, error_pct=227.0)
    assert ranked([unsure, sure], model.sequential_us) == (sure,)


def test_a_finding_of_two_questions_is_told_once() -> None:
    model = timed(fork(), 10.0, 100.0, 60.0, 10.0)
    one = make_finding(model, "same", "title", "", [1], saves_us=20.0, error_pct=9.0)
    assert ranked([one, replace(one)], model.sequential_us) == (one,)


def test_two_reasons_for_the_same_code_are_one_finding_with_the_larger_saving() -> None:
    line = "model = model.to(memory_format=torch.channels_last)"
    plans, transposes, other = (
        replace(
            make_finding(timed(graph(relu("r", "x")), 10.0), kind, kind, "do it", [0], saves_us, error_pct=5), code=code
        )
        for kind, saves_us, code in (("plans", 2.0, line), ("transposes", 3.0, line), ("other", 1.0, "another line"))
    )
    assert ranked([plans, transposes, other], 10.0) == (transposes, other)
