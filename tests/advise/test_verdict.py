"""The verdict says what a newcomer needs, with no more digits than the figures deserve."""

from __future__ import annotations

from builders import H200, conv, graph, prediction, relu, unknown, view
from headroom.advise.analyze import analyze_graph
from headroom.advise.bounds import lower_bounds
from headroom.advise.timed import TimedGraph
from headroom.advise.verdict import verdict
from headroom.gpu.sheets import load_gpu
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Bottleneck


def spoken(model: Graph, *times_us: float | None, bottleneck: Bottleneck = Bottleneck.COMPUTE) -> str:
    predictions = tuple(prediction(time, bottleneck=bottleneck) for time in times_us)
    timed = TimedGraph(model, H200, DataType.BF16, "warm", predictions)
    return verdict(timed, lower_bounds(timed), (), {str(bottleneck): sum(time or 0.0 for time in times_us)})


def test_it_names_model_batch_type_gpu_time_and_limit() -> None:
    text = spoken(graph(conv("c", "x"), name="net"), 1234.0)
    assert text.startswith("net at batch 1 in bf16 on H200 SXM 141GB takes about 1.2 ms ± 10 % layer after layer, ")
    assert "100 % of that time is limited by compute." in text


def test_a_launch_limited_model_is_told_about_batches() -> None:
    text = spoken(graph(conv("c", "x")), 5.0, bottleneck=Bottleneck.LAUNCH)
    assert "limited by launch (kernels too short to fill the GPU: a larger batch costs little more time)." in text


def test_unknown_layers_are_said() -> None:
    assert "50 % of the layers are unknown and not in these figures." in spoken(
        graph(conv("c", "x"), unknown("u", "c")), 10.0, None
    )


def test_a_model_of_unknown_layers_or_of_views_is_not_given_a_time() -> None:
    assert spoken(graph(unknown("u", "x")), None).endswith("nothing in this model could be timed.")
    views = analyze_graph(graph(view("v", "x")), H200, DataType.BF16)
    assert views.verdict.endswith("no layer of this model does any work, so that nothing has to run.")


def test_the_largest_opportunity_is_named() -> None:
    model = graph(conv("c", "x"), relu("r", "c"))
    assert "Largest opportunity: convolution + relu" in analyze_graph(model, H200, DataType.BF16).verdict


def test_kernels_that_are_not_im2col_are_named_in_the_answer() -> None:
    notes = analyze_graph(graph(conv("c", "x"), relu("r", "c")), load_gpu("titan-xp"), DataType.FP32).notes
    assert any(note.startswith("1 layer, ") and "not im2col" in note for note in notes)


def test_what_only_some_layers_take_is_not_called_the_models_time() -> None:
    text = spoken(graph(conv("c", "x"), unknown("u", "c"), name="net"), 10.0, None)
    assert text.startswith("net at batch 1 in bf16 on H200 SXM 141GB: its known layers take about 10 µs ± ")
    assert "samples/s" not in text
