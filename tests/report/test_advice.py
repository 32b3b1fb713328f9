"""What the advisor says in a terminal, with and without a profile of the user's run."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from headroom.advise.analysis import Analysis
from headroom.report.answer import to_dict
from headroom.report.terminal import render
from headroom.report.your_run import run_times
from report.asked import GRAPH, asked_analysis, profiled_analysis


def _printed(analysis: Analysis, width: int = 80) -> str:
    buffer = io.StringIO()
    render([analysis], Console(file=buffer, width=width))
    return buffer.getvalue()


def _words(analysis: Analysis) -> str:
    return " ".join(_printed(analysis).split())


@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_line_of_the_advice_is_wider_than_the_terminal(width: int) -> None:
    for analysis in (asked_analysis(), profiled_analysis()):
        assert max(cell_len(line) for line in _printed(analysis, width).splitlines()) <= width


def test_a_finding_says_question_saving_error_bar_code_limits_and_layers() -> None:
    text = _words(asked_analysis())
    assert "1. The GPU waits for the host between kernels (question 4) saves 1.97 ms ± 6.0 % (measured), 3.07×" in text
    assert "torch.backends.cudnn.benchmark = True" in text
    assert "limits: PyTorch tries at most" in text
    assert "at conv1, inception3a, inception3b and 3 more" in text


def test_code_keeps_its_indentation_and_long_code_is_cut() -> None:
    lines = _printed(asked_analysis()).splitlines()
    first = next(line for line in lines if "with torch.cuda.graph(graph):" in line)
    second = next(line for line in lines if "output = model(static_input)" in line)
    assert len(second) - len(second.lstrip()) == len(first) - len(first.lstrip()) + 4
    long = replace(GRAPH, code="\n".join(f"step_{number}()" for number in range(40)))
    text = _printed(replace(asked_analysis(), findings=(long,)))
    assert "step_14()" in text
    assert "step_15()" not in text


def test_every_question_stands_with_its_sentence_and_what_it_needs() -> None:
    analysis, text = asked_analysis(), _words(asked_analysis())
    for answer in analysis.questions:
        assert f"{answer.number}. {answer.question} {answer.sentence[:40]}" in text
    assert "For a better answer: A profile with shapes tells which calls were made" in text


def test_names_in_advice_reach_the_terminal_as_text() -> None:
    text = _printed(asked_analysis())
    assert all(line.isprintable() for line in text.splitlines())


def test_with_a_profile_the_run_stands_beside_the_best_of_each_layer() -> None:
    analysis = profiled_analysis()
    text = _words(analysis)
    assert "Your run, from trace.json: 2.92 ms per inference. The GPU is busy for" in text
    assert "best your run" in text
    assert "Savings come off the run in your profile, one at a time" in text
    ran = run_times(analysis)
    assert sum(run.total_us or 0.0 for run in ran.values()) == pytest.approx(
        sum(run.time_us for run in analysis.execution.runs if run.layers)
    )


def test_layers_that_shared_kernels_say_whose() -> None:
    analysis = profiled_analysis()
    ran = run_times(analysis)
    names = [answer.layer.name for answer in analysis.answers]
    conv, relu = ran[names.index("conv1")], ran[names.index("conv1.relu")]
    assert (conv.beside, conv.inside) == (("conv1.relu",), "")
    assert (relu.total_us, relu.inside) == (None, "conv1")
    assert "fused" in _printed(replace(analysis, answers=tuple(analysis.answers[:2])))


def test_a_layer_that_no_launch_was_matched_to_shows_a_dash() -> None:
    analysis = profiled_analysis()
    nothing = replace(analysis, execution=replace(analysis.execution, runs=()))
    assert run_times(nothing) == {}
    assert " – " in _words(nothing)


def test_a_run_that_recording_slowed_says_both_latencies() -> None:
    analysis = replace(profiled_analysis(), measured_us=2000.0, measured_error_pct=10.0)
    assert "2.92 ms per inference as recorded, about 2.0 ms without the recorder." in _words(analysis)


def test_a_latency_that_is_not_measured_is_called_estimated() -> None:
    analysis = profiled_analysis()
    execution = analysis.execution
    late = tuple(replace(each, start_us=300.0 * each.start_us) for each in execution.step.launches)
    late = tuple(replace(each, launched_us=each.start_us - 7.0) for each in late)
    slow = replace(execution, step=replace(execution.step, launches=late), latency_us=9e5)
    slow = replace(slow, profile=replace(execution.profile, recorder="pytorch", steps=(slow.step,)))
    estimated = replace(analysis, execution=slow, measured_us=6e5, measured_error_pct=45.0)
    assert "as recorded, an estimated 600 ms without the recorder." in _words(estimated)
    assert to_dict(estimated)["profile"]["unrecorded"] == "estimated"
    told = replace(estimated, execution=replace(slow, profile=replace(slow.profile, latency_us=6e5)))
    assert "as recorded, about 600 ms without the recorder." in _words(told)
    assert to_dict(told)["profile"]["unrecorded"] == "measured"


def test_a_run_on_the_host_alone_says_that_it_tells_nothing_of_the_gpu() -> None:
    analysis = profiled_analysis()
    step = replace(analysis.execution.step, launches=())
    text = _words(replace(analysis, execution=replace(analysis.execution, step=step, runs=())))
    assert "2.92 ms per inference on the host alone. Nothing in it ran on a GPU" in text


def test_many_hints_are_two_and_a_count() -> None:
    analysis = asked_analysis()
    questions = tuple(replace(answer, needs=f"Need {answer.number}.") for answer in analysis.questions)
    text = _words(replace(analysis, questions=questions))
    assert "For a better answer: Need 1. For a better answer: Need 2. The HTML answer says what 6 more" in text
    assert "Need 3." not in text


def test_a_comment_gives_way_before_code_does() -> None:
    line = "y = layer(x)  # " + "a long story " * 12
    call = "y = torch.cudnn_convolution_relu(x, weight, bias, stride, padding, dilation, groups_of_channels)"
    analysis = asked_analysis()
    text = _printed(replace(analysis, findings=(replace(GRAPH, code=f"{line}\n{call}"),)))
    assert "y = layer(x)  # a long story" in text
    assert text.count("a long story") == 4
    assert "groups_of_channels)" in text


def test_only_the_first_finding_shows_long_code() -> None:
    code = "\n".join(f"step_{number}()" for number in range(12))
    first, second = (replace(GRAPH, title=title, code=code) for title in ("first", "second"))
    text = _printed(replace(asked_analysis(), findings=(first, second)))
    assert text.count("step_11()") == 1


def test_several_answers_show_the_best_finding_of_each_without_its_code() -> None:
    buffer = io.StringIO()
    render([asked_analysis(batch, hostile=False) for batch in (1, 8)], Console(file=buffer, width=80))
    text = buffer.getvalue()
    assert text.count("1. The GPU waits for the host between kernels (question 4)") == 2
    assert "torch.cuda.CUDAGraph()" not in text
