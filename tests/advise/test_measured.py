"""Answers made of measurements: what is measured counts, what is not is predicted or said to be unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import H200, add, batch_norm, conv, graph, matmul, relu, unknown
from headroom.advise.analysis import Analysis, Finding
from headroom.advise.analyze import analyze_graph
from headroom.advise.findings.tail import tail_findings
from headroom.advise.fusion import fused_groups
from headroom.advise.timed import TimedGraph
from headroom.errors import StoreError
from headroom.graph.chain import Chain
from headroom.graph.chains import fusible_chains, segments
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.plan import plan_tasks
from headroom.predict.prediction import Source
from headroom.store.rows import Status, Timing
from measured_rows import Rows, row, run, timings

CONV, NORM, RELU = conv("c", "x"), batch_norm("n", "c"), relu("r", "n")
CHAIN = graph(CONV, NORM, RELU)
APART = (([CONV], row(90.0)), ([NORM], row(40.0)), ([RELU], row(30.0)))


def analyzed(model: Graph, rows: Rows, *, theory_fills: bool = True, dtype: DataType = DataType.BF16) -> Analysis:
    return analyze_graph(model, H200, dtype, "warm", rows, theory_fills=theory_fills)


def timed(model: Graph, rows: Rows, *, theory_fills: bool = True) -> TimedGraph:
    theory = TimedGraph.predict(model, H200, DataType.BF16, "warm")
    return theory.measured_by(rows, theory_fills=theory_fills)


def theory_of(model: Graph) -> TimedGraph:
    return TimedGraph.predict(model, H200, DataType.BF16, "warm")


def test_a_measured_layer_takes_its_measured_time_and_names_its_implementation() -> None:
    first, second, third = analyzed(CHAIN, Rows(timings(([CONV], row(9.0, 0.2))))).answers
    assert (first.prediction.time_us, first.prediction.source) == (9.0, Source.MEASURED)
    assert first.prediction.algorithm == "cudnn eng22_k2=5_k13=1, nhwc"
    assert first.predicted_us == theory_of(CHAIN).predictions[0].time_us
    assert first.timing is not None
    assert {second.prediction.source, third.prediction.source} == {Source.PREDICTED}


def test_traffic_waves_and_limit_stay_those_of_the_theory() -> None:
    answer = analyzed(CHAIN, Rows(timings(([CONV], row(9.0))))).answers[0]
    theory = theory_of(CHAIN).predictions[0]
    assert answer.prediction.l2_bytes == theory.l2_bytes
    assert (answer.prediction.waves, answer.prediction.bottleneck) == (theory.waves, theory.bottleneck)
    assert answer.traffic_source is Source.PREDICTED


def test_one_question_per_data_type_answers_for_the_whole_model() -> None:
    rows = Rows()
    analyzed(CHAIN, rows)
    assert rows.asked == sum(H200.supports(dtype) for dtype in DataType)


def test_answers_ask_for_exactly_what_the_stopwatch_plans_to_measure() -> None:
    class Asked(Rows):
        digests: frozenset[str] = frozenset()

        def best(self, chains: Iterable[Chain], dtype: DataType, l2: str) -> Mapping[str, Timing]:
            self.digests = frozenset(chain.digest for chain in chains)
            return {}

    tail = [add("a", "r", "x"), relu("s", "a"), unknown("u", "s"), conv("d", "u"), relu("e", "d")]
    model, asked = graph(CONV, NORM, RELU, *tail), Asked()
    analyzed(model, asked)
    assert asked.digests == {planned.task.chain.digest for planned in plan_tasks(model, DataType.BF16)}


@pytest.mark.parametrize(
    ("median_us", "iqr_us", "error_pct"),
    [(100.0, 0.1, 3.0), (100.0, 8.0, 9.76), (10.0, 0.1, 6.0), (10.0, 2.0, 24.4), (100.0, None, 12.2)],
)
def test_an_error_bar_is_the_spread_and_never_less_than_measuring_again_may_change(
    median_us: float, iqr_us: float | None, error_pct: float
) -> None:
    answer = analyzed(CHAIN, Rows(timings(([CONV], row(median_us, iqr_us))))).answers[0]
    assert answer.prediction.error_pct == pytest.approx(error_pct)


def test_a_noisy_row_counts_and_says_that_it_is_noisy() -> None:
    analysis = analyzed(CHAIN, Rows(timings(([CONV], row(10.0, 2.0)))))
    assert analysis.answers[0].is_noisy
    assert "noisy: the interquartile range is 20 % of the median" in analysis.answers[0].prediction.notes
    assert any("1 measured configuration is noisy" in note for note in analysis.notes)


@pytest.mark.parametrize(
    "broken",
    [
        row(None), row(math.nan), row(math.inf), row(0.0), row(-3.0), row(5.0, math.nan), row(5.0, -1.0),
        row(5.0, status=Status.UNSTABLE), row(5.0, status=Status.THROTTLED), row(None, status=Status.OOM),
    ],
)  # fmt: skip
def test_a_row_that_holds_no_good_time_is_passed_over(broken: Timing) -> None:
    analysis = analyzed(CHAIN, Rows(timings(([CONV], broken), ([CONV, NORM, RELU], broken))))
    assert {answer.prediction.source for answer in analysis.answers} == {Source.PREDICTED}
    assert analysis.bounds == analyze_graph(CHAIN, H200, DataType.BF16).bounds
    assert analysis.system is None


def test_rows_that_nobody_asked_for_change_nothing() -> None:
    class Chatty(Rows):
        def best(self, chains: object, dtype: object, l2: object) -> dict[str, Timing]:
            return {"0" * 32: row(1.0)}

    assert analyzed(CHAIN, Chatty()).bounds == analyze_graph(CHAIN, H200, DataType.BF16).bounds


def test_a_time_below_the_floor_lowers_the_floor_and_says_so() -> None:
    heavy = matmul("m", "x", 8192, 8192, 8192)
    floor_us = theory_of(graph(heavy)).predictions[0].floor_us
    analysis = analyzed(graph(heavy), Rows(timings(([heavy], row(0.7 * floor_us)))))
    answer, bounds = analysis.answers[0].prediction, analysis.bounds
    assert answer.floor_us == answer.time_us == pytest.approx(0.7 * floor_us)
    assert bounds.speed_of_light_us <= bounds.parallel_us <= bounds.sequential_us
    assert "measured below the roofline floor, which is lowered to the measured time" in answer.notes


def test_a_fused_row_is_what_the_chain_takes() -> None:
    rows = Rows(timings(([CONV], row(9.0)), ([NORM], row(4.0)), ([RELU], row(3.0)), ([CONV, NORM, RELU], row(10.0))))
    (group,) = fused_groups(timed(CHAIN, rows))
    assert (group.fused_us, group.unfused_us, group.source) == (10.0, 16.0, Source.MEASURED)
    bounds = analyzed(CHAIN, rows).bounds
    assert (bounds.fused_us, bounds.sequential_us, bounds.fused_measured_share) == (10.0, 16.0, 1.0)


def test_a_fused_row_slower_than_its_layers_is_not_taken() -> None:
    rows = Rows(timings(([CONV], row(9.0)), ([NORM], row(4.0)), ([RELU], row(3.0)), ([CONV, NORM, RELU], row(17.0))))
    assert fused_groups(timed(CHAIN, rows)) == ()
    assert analyzed(CHAIN, rows).bounds.fused_us is None


def test_a_chain_is_put_together_from_the_cheapest_measured_parts() -> None:
    tail = [add("a", "r", "x"), relu("s", "a")]
    layers = [CONV, NORM, RELU, *tail]
    alone = [([layer], row(9.0 if layer is CONV else 4.0)) for layer in layers]
    parts = [([CONV, NORM, RELU], row(10.0)), (tail, row(5.0)), (layers, row(19.0))]
    (group,) = fused_groups(timed(graph(*layers), Rows(timings(*alone, *parts))))
    assert [(part.start, part.stop) for part in group.parts] == [(0, 3), (3, 5)]
    assert group.fused_us == 15.0


def test_without_a_fused_row_the_prediction_is_scaled_by_what_the_anchor_took() -> None:
    theory = theory_of(CHAIN)
    (predicted,) = fused_groups(theory)
    anchor_us = theory.times_us[0]
    (group,) = fused_groups(timed(CHAIN, Rows(timings(([CONV], row(1.5 * anchor_us))))))
    assert group.fused_us == pytest.approx(1.5 * predicted.fused_us)
    assert group.source is Source.PREDICTED


def test_a_scaled_prediction_never_exceeds_the_layers_apart() -> None:
    slow = Rows(timings(([CONV], row(900.0)), ([NORM], row(0.5)), ([RELU], row(0.5))))
    bounds = analyzed(CHAIN, slow).bounds
    assert bounds.fused_us is None or bounds.fused_us <= bounds.sequential_us


def test_a_finding_says_whether_its_saving_is_measured() -> None:
    alone = [([CONV], row(9.0)), ([NORM], row(4.0)), ([RELU], row(3.0))]
    (finding,) = analyzed(CHAIN, Rows(timings(*alone, ([CONV, NORM, RELU], row(10.0))))).findings
    assert finding.source is Source.MEASURED
    assert finding.saves_us == pytest.approx(6.0)
    assert "16.0 µs apart and a measured 10.0 µs fused" in finding.action
    assert "`cudnn eng22_k2=5_k13=1, nhwc`" in finding.action
    guess = next(f for f in analyzed(CHAIN, Rows(timings(*alone))).findings if f.kind == "fusion")
    assert guess.source is Source.PREDICTED
    assert "a predicted" in guess.action


def last_waves(factor: float) -> list[Finding]:
    """What is said of a layer's last wave when it takes ``factor`` times as long as the theory says."""
    layer = matmul("m", "x", m=7168, n=2304, k=768)
    predicted_us = theory_of(graph(layer)).times_us[0]
    return list(tail_findings(timed(graph(layer), Rows(timings(([layer], row(factor * predicted_us)))))))


def test_a_predicted_saving_on_a_measured_time_is_no_surer_than_the_theory() -> None:
    (predicted,) = last_waves(1.0)
    assert predicted.source is Source.PREDICTED
    assert predicted.error_pct > 10.0


def test_no_waves_are_told_of_a_layer_whose_time_the_theory_misses() -> None:
    assert last_waves(1.4)
    assert not last_waves(10.0)
    assert not last_waves(0.4)


def test_the_error_of_a_measured_saving_does_not_cancel() -> None:
    rows = Rows(
        timings(([CONV], row(90.0)), ([NORM], row(40.0)), ([RELU], row(30.0)), ([CONV, NORM, RELU], row(150.0)))
    )
    (finding,) = analyzed(CHAIN, rows).findings
    assert finding.error_pct == pytest.approx(math.hypot(0.03 * 160, 0.03 * 150) / 10 * 100)


def test_only_measured_times_leave_the_rest_unknown_and_say_so() -> None:
    analysis = analyzed(CHAIN, Rows(timings(([CONV], row(9.0)))), theory_fills=False)
    assert [answer.prediction.time_us for answer in analysis.answers] == [9.0, None, None]
    assert analysis.bounds.sequential_us == 9.0
    assert analysis.coverage.unknown_layers == ("n", "r")
    assert analysis.bounds.unknown_share == pytest.approx(2 / 3)
    assert "67 % of the layers are unknown and not in these figures." in analysis.verdict
    assert any("2 layers have no measurement and are unknown; `headroom measure" in note for note in analysis.notes)


def test_bounds_keep_their_order_where_most_layers_have_no_time() -> None:
    bounds = analyzed(CHAIN, Rows(timings(([RELU], row(3.0)))), theory_fills=False).bounds
    assert bounds.speed_of_light_us <= bounds.parallel_us <= bounds.sequential_us == 3.0


def test_only_measured_times_and_none_is_an_error_that_names_the_command() -> None:
    sentence = "nothing has been measured on .* at batch 1 in bf16 with L2 warm; run `headroom measure MODEL --batch 1"
    with pytest.raises(StoreError, match=sentence):
        analyzed(CHAIN, Rows(), theory_fills=False)


def test_an_answer_without_any_row_is_the_theorys_and_says_what_would_help() -> None:
    analysis = analyzed(CHAIN, Rows())
    assert analysis.bounds == analyze_graph(CHAIN, H200, DataType.BF16).bounds
    assert any(note.startswith("No layer of this model has been measured in bf16") for note in analysis.notes)


def test_the_system_is_named_with_its_id() -> None:
    analysis = analyzed(CHAIN, Rows(timings(([CONV], row(9.0)))))
    assert analysis.system == "NVIDIA H200, driver 580.159.04, CUDA 13.0, cuDNN 9.19.0, cuBLAS 13.1.0, PyTorch 2.11.0"
    assert any(f"(system {Rows().system.id})" in note for note in analysis.notes)


def test_the_verdict_says_how_much_is_measured_and_how_much_headroom_there_is() -> None:
    runs = (run("eager", 400.0), run("compile", 200.0), run("onnxruntime", None, status=Status.FAILED, reason="no"))
    analysis = analyzed(CHAIN, Rows(timings(*APART, ([CONV, NORM, RELU], row(100.0))), runs))
    assert "All 3 layers are measured." in analysis.verdict
    assert "With compile it was measured at 200 µs ± 3.0 %: 100 µs, 50 %, is headroom above the fused bound." in (
        analysis.verdict
    )
    assert (analysis.measured_us, analysis.measured_error_pct) == (200.0, 3.0)
    assert [r.mode for r in analysis.networks] == ["compile", "eager", "onnxruntime"]
    assert any("the fastest of 3 ways" in note for note in analysis.notes)


def test_a_run_faster_than_the_bound_is_not_hidden() -> None:
    rows = Rows(
        timings(([CONV], row(90.0)), ([NORM], row(40.0)), ([RELU], row(30.0)), ([CONV, NORM, RELU], row(100.0)))
    )
    rows.runs = (run("compile", 90.0),)
    assert "10 µs below the fused bound." in analyzed(CHAIN, rows).verdict


def test_runs_at_another_batch_or_data_type_are_not_this_answers() -> None:
    runs = (run("eager", 1.0, batch=8), run("eager", 1.0, dtype=DataType.FP16), run("eager", math.nan))
    analysis = analyzed(CHAIN, Rows(timings(([CONV], row(9.0))), runs))
    assert analysis.measured_us is None
    assert len(analysis.networks) == 1


def test_an_unknown_operator_stays_unknown_beside_measured_layers() -> None:
    model = graph(CONV, unknown("u", "c"))
    analysis = analyzed(model, Rows(timings(([CONV], row(9.0)))))
    assert analysis.coverage.unknown_layers == ("u",)
    assert analysis.answers[1].prediction.time_us is None


_LAYERS = (
    lambda name, read: conv(name, read),
    lambda name, read: batch_norm(name, read),
    lambda name, read: relu(name, read),
    lambda name, read: add(name, read, "x"),
    lambda name, read: unknown(name, read),
)


@st.composite
def measured_models(draw: st.DrawFn) -> tuple[Graph, dict[str, Timing]]:
    """Random chains and forks, with rows of any size for any of their layers and parts."""
    layers, names = [], ["x"]
    for index in range(draw(st.integers(1, 9))):
        read = draw(st.sampled_from(names[-2:]))
        layers.append(draw(st.sampled_from(_LAYERS))(f"l{index}", read))
        names.append(f"l{index}")
    model = graph(*layers)
    parts: list[Sequence[object]] = [[configuration.layer] for configuration in model.configurations]
    for chain in fusible_chains(model, 64):
        members = [model.layers[i] for i in chain]
        parts += [members[start:stop] for start, stop in segments(members)]
    times = st.one_of(st.none(), st.floats(1e-3, 1e4), st.sampled_from([math.nan, 0.0]))
    rows = {}
    for part in parts:
        time_us = draw(times)
        if time_us is not None:
            rows[Chain.of(part).digest] = row(time_us, draw(st.floats(0.0, 5.0)))  # type: ignore[arg-type]
    return model, rows


@settings(max_examples=80, deadline=None)
@given(measured_models(), st.booleans())
def test_whatever_is_measured_no_layer_goes_missing_and_bounds_keep_their_order(
    case: tuple[Graph, dict[str, Timing]], theory_fills: bool
) -> None:
    model, rows = case
    try:
        analysis = analyzed(model, Rows(rows), theory_fills=theory_fills)
    except StoreError:
        assert not theory_fills
        return
    names = [name for answer in analysis.answers for name in answer.names]
    assert sorted(names) == sorted(layer.name for layer in model.working_layers)
    timeless = {name for a in analysis.answers if a.prediction.time_us is None for name in a.names}
    assert timeless == set(analysis.coverage.unknown_layers)
    assert analysis.bounds.unknown_share == pytest.approx(len(timeless) / len(names))
    bounds, slack = analysis.bounds, 1 + 1e-9
    assert bounds.speed_of_light_us <= bounds.parallel_us * slack <= bounds.sequential_us * slack**2
    if bounds.fused_us is not None:
        assert bounds.speed_of_light_us <= bounds.fused_us * slack <= bounds.sequential_us * slack**2
    for answer in analysis.answers:
        assert answer.prediction.time_us is None or answer.prediction.floor_us <= answer.prediction.time_us * slack
    assert all(finding.saves_us > 0 for finding in analysis.findings)
