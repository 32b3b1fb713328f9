"""The terminal answer is readable at 80 columns and without colour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from headroom.advise.analysis import Analysis, Memory
from headroom.report.terminal import render
from report.factory import make_analysis


def _printed(analyses: Sequence[Analysis], width: int = 80, max_latency_us: float | None = None) -> str:
    buffer = io.StringIO()
    render(analyses, Console(file=buffer, width=width), max_latency_us=max_latency_us)
    return buffer.getvalue()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for text in (_printed([make_analysis()], width), _printed([make_analysis(b) for b in (1, 64)], width, 900.0)):
        assert max(cell_len(line) for line in text.splitlines()) <= width


def test_a_pipe_gets_no_escape_sequence_and_no_hostile_character() -> None:
    text = _printed([make_analysis()])
    assert all(line.isprintable() for line in text.splitlines())


def test_the_verdict_is_the_first_line() -> None:
    analysis = make_analysis()
    assert analysis.verdict.startswith(_printed([analysis]).splitlines()[0].strip())


def test_bounds_carry_their_error_bar_their_source_and_what_they_leave_out() -> None:
    text = _printed([make_analysis()])
    assert "Sequential       440 µs  ± 12 %" in text
    assert "Speed of light  3.25 µs  ± 5.0 %" in text
    assert "All predicted. 1 layer is unknown: every total leaves out 1 % of the layers" in text


def test_memory_says_whether_the_model_fits() -> None:
    assert "Memory: 16.4 MiB of 131 GiB, fits (13.4 MiB weights, 3.06 MiB activations)." in _printed([make_analysis()])
    tight = replace(make_analysis(), memory=Memory(80 * 10**9, 70 * 10**9, 141 * 10**9))
    assert "140 GiB of 131 GiB, does not fit" in " ".join(_printed([tight]).split())


def test_findings_are_ranked_and_say_what_to_do() -> None:
    text = " ".join(_printed([make_analysis()]).split())
    assert (
        "1. Fuse activations into the layers before them saves 94 µs ± 35 % (predicted), 1.27× for the whole model"
        in text
    )
    assert text.index("1. Fuse") < text.index("2. Run the branches") < text.index("3. The last wave")


def test_the_unknown_layer_is_named() -> None:
    assert "mystery<b>" in _printed([make_analysis()])


def test_a_layer_named_like_markup_is_printed_as_it_is() -> None:
    analysis = make_analysis()
    only = tuple(a for a in analysis.answers if a.layer.name == "[bold red]rich[/]")
    assert "[bold red]rich[/]" in _printed([replace(analysis, answers=only)])


def test_several_answers_stand_side_by_side_with_the_best_batch() -> None:
    text = _printed([make_analysis(b, hostile=False) for b in (1, 16, 64)], max_latency_us=700.0)
    assert "h200, bf16: batch 16 is the best under 700 µs: 630 µs, 26,000 samples/s." in text
    assert text.index("samples/s") < text.index("About 9x")


def test_a_latency_that_no_batch_meets_names_the_closest() -> None:
    text = _printed([make_analysis(b, hostile=False) for b in (1, 16)], max_latency_us=10.0)
    assert "no batch runs in 10.0 µs; batch 1 comes closest with 420 µs." in text


def test_a_model_of_which_nothing_is_known_still_gets_an_answer() -> None:
    analysis = make_analysis()
    bounds = replace(analysis.bounds, sequential_us=0.0, parallel_us=0.0, fused_us=None, speed_of_light_us=0.0)
    nothing = replace(
        analysis, answers=analysis.answers[-1:], bounds=bounds, findings=(), schedule=(),
        time_by_kind={}, time_by_module={}, time_by_bottleneck={},
    )  # fmt: skip
    text = _printed([nothing])
    assert "All unknown." in text
    assert "No finding" in text


def test_what_does_not_fit_is_said_beside_the_table_and_is_never_the_best() -> None:
    small, large = make_analysis(1, hostile=False), make_analysis(64, hostile=False)
    large = replace(large, memory=Memory(80 * 10**9, 70 * 10**9, 141 * 10**9))
    text = _printed([small, large], max_latency_us=5000.0)
    assert "Batch 64 in bf16 does not fit on h200: it needs 140 GiB of 131 GiB." in text
    assert "h200, bf16: batch 1 is the best under 5.00 ms" in text


def test_a_long_name_gives_way_to_the_end_of_its_module_which_tells_it_from_its_neighbours() -> None:
    analysis = make_analysis()
    answer = analysis.answers[0]
    module = "encoder.layers.encoder_layer_11.self_attention.out_proj"
    layer = replace(answer.layer, name=f"/{module.replace('.', '/')}/MatMul", module=module)
    text = _printed([replace(analysis, answers=(replace(answer, layer=layer),))])
    row = text.partition("The longest layers")[2].splitlines()[2]
    assert row.startswith("…")
    assert row.split()[0].endswith("self_attention.out_proj")


def test_a_note_that_is_not_of_all_answers_says_of_which_it_is() -> None:
    one, eight = (replace(make_analysis(batch), notes=("of all",)) for batch in (1, 8))
    other = replace(eight, gpu=replace(eight.gpu, id="l4"), notes=("of all", "of the L4"))
    some = replace(one, notes=("of all", "of one batch"))
    text = _printed([some, eight, other])
    shown = [line.strip() for line in text[text.index("Notes") :].splitlines()[1:4]]
    assert shown == ["of all", "h200 batch 1: of one batch", "l4: of the L4"]
