"""Every loss that is planted into a run or a model is found, named and priced; a clean run has none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from builders import add, batch_norm, conv, graph, layer, relu, tensor, timed
from executions import Scene, replayed
from headroom.advise.analysis import Finding
from headroom.advise.bounds import lower_bounds
from headroom.advise.case import Case
from headroom.advise.questions.framework import framework
from headroom.advise.questions.share import share
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Attention, Free, Movement
from headroom.measure.profiles.profile import Step
from headroom.store.rows import NetworkTiming
from measured_rows import run

TRANSPOSE = "void cudnn::engines_precompiled::nchwToNhwcKernel<float>(int)"
MODEL = graph(conv("a", "x", module="stem"), relu("b", "a"), conv("c", "b", channels=32, module="head"), relu("d", "c"))


def scene(host_us: float = 5.0, model: Graph = MODEL) -> Scene:
    return Scene(model, host_us=host_us)


def clean(built: Scene, gpu_us: float = 60.0) -> Scene:
    for each in built.graph.layers:
        built.run(each.name, (f"kernel_{each.name}", gpu_us))
    return built


def found(case: Case, kind: str) -> Finding:
    (finding,) = [each for each in framework(case).findings if each.kind == kind]
    return finding


def kinds(case: Case) -> set[str]:
    return {finding.kind for finding in framework(case).findings}


def test_a_run_that_keeps_the_gpu_busy_with_its_layers_alone_has_no_loss_but_unfused_layers() -> None:
    case = clean(scene()).case()
    assert kinds(case) <= {"unfused_epilogues", "launch_gaps"}


def test_a_run_that_the_host_holds_up_gains_all_but_its_kernels_from_a_graph() -> None:
    case = clean(scene(host_us=100.0), gpu_us=10.0).case()
    finding = found(case, "launch_gaps")
    assert finding.saves_us == pytest.approx(case.latency_us - 7 - 4 * 10.25, rel=0.01)
    assert "graph.replay()" in finding.code
    assert finding.limits


def attention_run(masked: bool, kernels: int = 1) -> Case:
    work = Attention(1, 12, 128, 128, 64, 64, 12, masked=masked)
    model = graph(layer("s", work, ["x"], shape=(1, 12, 128, 64)), relu("r", "s"))
    built = scene(host_us=400.0, model=model).run("s", *[(f"step_{i}", 10.0) for i in range(kernels)])
    return built.run("r", ("relu", 10.0)).case()


def test_masked_attention_makes_the_time_of_a_captured_model_unsure() -> None:
    masked, free = (found(attention_run(masked=each), "launch_gaps") for each in (True, False))
    assert "± 200 %" in masked.action
    assert "± 8.0 %" in free.action
    assert masked.error_pct > free.error_pct
    assert "Pass no mask" in masked.limits
    assert "Pass no mask" not in free.limits


def test_a_host_that_is_waited_for_without_a_sure_remedy_is_sent_to_no_question() -> None:
    work = Attention(1, 12, 128, 128, 64, 64, 12, masked=True)
    model = graph(layer("s", work, ["x"], shape=(1, 12, 128, 64)), relu("r", "s"))
    case = scene(host_us=100.0, model=model).run("s", ("attention", 90.0)).run("r", ("relu", 10.0)).case()
    assert "launch_gaps" not in kinds(case)
    assert "No loss is surely worth a change" in framework(case).sentence
    assert "not known well enough to promise a gain" in share(case).sentence
    assert share(attention_run(masked=False)).sentence.endswith("Question 4 says what to do.")


def test_masked_attention_that_ran_composed_is_composed_in_the_prediction_too() -> None:
    assert "± 8.0 %" in found(attention_run(masked=True, kernels=6), "launch_gaps").action


def test_a_replayed_graph_is_told_nothing_of_graphs_or_of_the_host() -> None:
    built = clean(scene(host_us=100.0), gpu_us=10.0)
    case = replace(built.case(), execution=replayed(built.execution()))
    assert not kinds(case) & {"launch_gaps", "host_stall", "host_waits"}


def test_layout_transposes_are_priced_with_the_layers_they_surround() -> None:
    built = scene().run("a", ("nhwc_conv", 60.0)).inside("transpose", "a", (TRANSPOSE, 20.0), (TRANSPOSE, 10.0))
    for name in "bcd":
        built.run(name, (f"max_pool_forward_nchw_{name}", 60.0))
    finding = found(built.case(), "layout_transposes")
    assert finding.layers == ("a",)
    assert finding.modules == ("stem",)
    assert finding.saves_us == pytest.approx(30.0, rel=0.15)
    assert "channels_last" in finding.code


def test_casts_of_weights_are_autocast_s_and_end_with_a_narrow_model() -> None:
    built = scene()
    built.beside("cast", "a", ("bfloat16_copy_kernel_cuda", 25.0), call="aten::to", dims=(64, 64, 3, 3))
    finding = found(clean(built).case(), "dtype_casts")
    assert "1 of the casts are of weights" in finding.action
    assert finding.saves_us == pytest.approx(25.0, rel=0.1)
    assert "model.to(torch.bfloat16)" in finding.code


@pytest.mark.parametrize(
    ("kernel", "call", "remedy"),
    [
        ("direct_copy_kernel_cuda", "aten::contiguous", "reshape"),
        ("Memcpy HtoD (Pageable -> Device)", "aten::to", "pin_memory"),
        ("direct_copy_kernel_cuda", "aten::layer_norm", "channels_last"),
    ],
)
def test_copies_are_told_apart_by_who_asks_for_them(kernel: str, call: str, remedy: str) -> None:
    built = scene().beside("copy", "b", (kernel, 30.0), call=call)
    finding = found(clean(built).case(), "copies")
    assert finding.layers == ("b",)
    assert remedy in finding.code
    assert finding.saves_us == pytest.approx(30.0, rel=0.15)


def test_fills_of_a_convolution_s_output_and_of_the_model_s_own_code_have_different_remedies() -> None:
    built = scene().beside("fill", "b", ("FillFunctor", 20.0), call="aten::zeros").run("a", ("conv", 60.0))
    built.inside("fill", "a", ("Memset (Device)", 15.0))
    for name in "bcd":
        built.run(name, (name, 60.0))
    codes = [each.code for each in framework(built.case()).findings if each.kind == "fills"]
    assert any("register_buffer" in code for code in codes)
    assert any("cudnn.benchmark" in code for code in codes)


def test_a_value_looked_at_in_the_middle_is_a_wait_and_the_one_at_the_end_is_none() -> None:
    built = scene(host_us=30.0).run("a", ("a", 100.0)).wait().run("b", ("b", 40.0)).run("c", ("c", 40.0))
    finding = found(built.run("d", ("d", 40.0)).case(), "host_waits")
    assert finding.layers == ("b",)
    assert ".item()" in finding.action
    assert 20.0 < finding.saves_us < 120.0
    assert "host_waits" not in kinds(clean(scene(host_us=30.0)).wait().case())


def test_a_pause_of_the_host_is_named_if_every_step_has_it() -> None:
    def paused(pause_us: float) -> Scene:
        built = scene(host_us=10.0).run("a", ("a", 2.0)).run("b", ("b", 2.0)).pause(pause_us)
        return built.run("c", ("c", 2.0)).run("d", ("d", 2.0))

    always: Step = paused(500.0).step()
    finding = found(paused(500.0).case(others=[always]), "host_stall")
    assert finding.layers == ("c",)
    assert finding.saves_us == pytest.approx(500.0, rel=0.05)
    assert "host_stall" not in kinds(paused(500.0).case(others=[paused(0.0).step()]))


def test_batch_norms_are_folded_and_the_bias_that_remains_is_counted() -> None:
    model = graph(conv("c", "x"), batch_norm("n", "c"), relu("r", "n"))
    built = scene(host_us=40.0, model=model).run("c", ("conv", 5.0))
    built.host_us = 100.0
    built.run("n", ("calc_invstd", 1.0), ("batch_norm_transform", 4.0), call="aten::batch_norm")
    built.inside("cast", "n", ("direct_copy_kernel", 2.0))
    built.host_us = 40.0
    built.run("r", ("relu", 2.0))
    case = built.case()
    finding = found(case, "recomputed_constants")
    assert finding.layers == ("n",)
    # The host is behind, and spends on adding the bias what it spends on the other elementwise layer.
    assert finding.saves_us == pytest.approx(60.0, abs=3.0)
    assert "dtype_casts" not in kinds(case)


def test_pointwise_launches_of_a_chain_are_told_what_one_kernel_takes() -> None:
    model = graph(conv("c", "x"), batch_norm("n", "c"), relu("r", "n"), conv("d", "r", channels=32))
    built = scene(model=model).run("c", ("conv", 60.0)).run("n", ("invstd", 5.0), ("transform", 60.0))
    built.run("r", ("relu", 40.0)).run("d", ("conv", 60.0))
    case = built.case()
    finding = found(case, "unfused_epilogues")
    assert finding.layers == ("n", "r")
    assert finding.title == "3 launches for what 1 kernel could do"
    assert finding.saves_us == pytest.approx(65.0, abs=15.0)
    assert "torch.compile" in finding.code
    alone = scene(model=graph(conv("c", "x"), relu("r", "c"))).run("c", ("conv", 60.0)).run("r", ("relu", 20.0))
    assert "unfused_epilogues" not in kinds(alone.case())


def compilable(runs: Sequence[NetworkTiming] = ()) -> Case:
    built = scene(model=graph(conv("c", "x"), batch_norm("n", "c"), relu("r", "n"), conv("d", "r", channels=32)))
    built.run("c", ("conv", 60.0)).run("n", ("invstd", 5.0), ("transform", 60.0)).run("r", ("relu", 40.0))
    return replace(built.run("d", ("conv", 60.0)).case(), networks=tuple(runs))


def test_what_the_very_model_took_compiled_replaces_the_prediction() -> None:
    case = compilable([run("eager", 30.0), run("channels-last compile reduce-overhead", 99.0)])
    finding = found(case, "unfused_epilogues")
    assert "measured 99.0 µs" in finding.action
    assert finding.saves_us == pytest.approx(case.latency_us - 99.0, abs=5.0)
    assert "a predicted 170 µs ± 27 %" in found(compilable(), "unfused_epilogues").action


def test_a_model_that_is_no_faster_compiled_is_not_told_to_compile() -> None:
    assert "unfused_epilogues" not in kinds(compilable([run("compile", 900.0)]))


def test_a_batch_norm_behind_a_branch_cannot_be_folded() -> None:
    model = graph(conv("c", "x"), batch_norm("n", "c"), add("out", "n", "c"))
    built = clean(scene(host_us=40.0, model=model))
    assert "recomputed_constants" not in kinds(built.case())


def test_a_layer_that_runs_twice_is_repeated_work() -> None:
    built = scene().run("a", ("kernel_a", 60.0)).beside("unknown", "a", ("kernel_a", 60.0))
    for name in "bcd":
        built.run(name, (name, 60.0))
    finding = found(built.case(), "repeated_work")
    assert finding.layers == ("a",)
    assert finding.saves_us == pytest.approx(60.0, rel=0.1)


def test_equal_layers_on_equal_operands_are_repeated_work_of_the_model_itself() -> None:
    twin = conv("twin", "x")
    first = conv("one", "x")
    twin = replace(twin, weights=first.weights)
    after = [relu("p", "one"), relu("q", "twin"), add("out", "p", "q")]
    case = unrecorded(graph(first, twin, *after))
    finding = found(case, "repeated_work")
    assert finding.layers == ("twin", "q")
    assert finding.saves_us == pytest.approx(20.0)


def test_two_slices_of_one_tensor_are_not_the_same_slice() -> None:
    cut = Movement("slice", 64 * 28 * 28, partial_read=True)
    halves = [layer(name, cut, ["x"], shape=(1, 32, 28, 28)) for name in ("first", "second")]
    model = graph(*halves, add("out", "first", "second", shape=(1, 32, 28, 28)))
    assert "repeated_work" not in kinds(unrecorded(model))


def test_attention_that_ran_composed_is_told_what_the_fused_kernel_takes() -> None:
    attention = Attention(1, 12, 128, 128, 64, 64, 12)
    model = graph(layer("s", attention, ["x"], shape=(1, 12, 128, 64)))
    built = scene(model=model).run("s", *[(f"step_{i}", 20.0) for i in range(6)])
    built.inside("cast", "s", ("bfloat16_copy_kernel", 20.0))
    case = built.case(timed(model, 25.0))
    finding = found(case, "composed_attention")
    assert finding.saves_us == pytest.approx(7 * 20.0 - 25.0, rel=0.1)
    assert "dtype_casts" not in kinds(case)


def pad(name: str, read: str, grows: tuple[int, ...], operator: str = "Pad") -> Layer:
    before = (1, 64, 56, 56)
    after = tuple(size + more for size, more in zip(before, grows, strict=True))
    work = Movement("pad", TensorSpec("", after).elements) if any(grows) else Free("pad")
    return replace(layer(name, work, [tensor(read, *before)], shape=after), operator=operator)


def unpadded(name: str, read: str, size: int) -> Layer:
    whole = conv(name, read)
    work = replace(whole.work, in_size=(size, size), padding=((0, 0), (0, 0)))
    return replace(whole, work=work, inputs=(tensor(read, 1, 64, size, size),))


def unrecorded(model: Graph) -> Case:
    found = timed(model, *[10.0 for _ in model.configurations])
    return Case(found, lower_bounds(found))


@pytest.mark.parametrize("recorded", [False, True])
def test_a_converter_s_padding_before_a_convolution_is_found_in_the_model_and_in_the_run(recorded: bool) -> None:
    model = graph(relu("r", "x"), pad("p", "r", (0, 0, 2, 2)), unpadded("c", "p", 58))
    case = clean(scene(model=model)).case() if recorded else unrecorded(model)
    finding = found(case, "needless_padding")
    assert finding.layers == ("p",)
    assert "padding=(1, 1)" in finding.code
    assert finding.saves_us == pytest.approx(60.0 if recorded else 10.0, rel=0.1)


@pytest.mark.parametrize("grows", [(0, 0, 1, 1), (0, 2, 2, 2)])
def test_padding_that_no_convolution_could_do_is_left_alone(grows: tuple[int, ...]) -> None:
    model = graph(relu("r", "x"), pad("p", "r", grows), unpadded("c", "p", 58))
    assert "needless_padding" not in kinds(unrecorded(model))


def test_padding_by_nothing_costs_a_copy_where_the_framework_runs_it() -> None:
    model = graph(relu("r", "x"), pad("p", "r", (0, 0, 0, 0)), conv("c", "p"))
    built = scene(model=model).run("r", ("r", 60.0)).run("p", ("copy", 30.0)).run("c", ("c", 60.0))
    assert found(built.case(), "needless_padding").saves_us == pytest.approx(30.0, rel=0.1)


def test_padding_that_the_model_does_not_have_is_found_in_the_run() -> None:
    built = scene().beside("pad", "c", ("constant_pad_nd", 25.0), call="aten::constant_pad_nd")
    finding = found(clean(built).case(), "padding")
    assert finding.layers == ("c",)
    assert finding.modules == ("head",)
    assert "padding=p" in finding.code


def test_a_layer_that_ran_out_of_order_is_listed() -> None:
    built = scene()
    for name in "acbd":
        built.run(name, (name, 60.0))
    (listed,) = [table for table in framework(built.case()).tables if table.title.startswith("Calls that differ")]
    assert listed.rows == (("b", "order", "before c", "after c"),)


def test_without_a_profile_the_answer_says_what_one_would_add() -> None:
    answer = framework(unrecorded(MODEL))
    assert "--profile" in answer.needs
    assert not answer.findings


def test_a_profile_without_a_gpu_says_how_to_record_one_with() -> None:
    assert "ProfilerActivity.CUDA" in framework(scene().case()).needs


def test_every_finding_of_a_run_names_an_action_a_price_and_an_error_bar() -> None:
    built = scene().run("a", ("conv", 60.0)).inside("transpose", "a", (TRANSPOSE, 20.0))
    built.beside("copy", "b", ("direct_copy_kernel", 30.0), call="aten::contiguous")
    for name in "bcd":
        built.run(name, (name, 60.0))
    answer = framework(built.case())
    assert answer.findings
    for finding in answer.findings:
        assert finding.action.endswith(".")
        assert finding.saves_us > 0
        assert 0 < finding.error_pct < 100
        assert finding.speedup > 1
    assert [table.title for table in answer.tables][:2] == ["Host and GPU", "Launches that no layer asks for"]
