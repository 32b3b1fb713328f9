"""A page per question: sentence first, code to copy, tables with units, charts with tables, names as names."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest

from headroom.advise.questions.answer import Answer, Lines, Table, Waterfall
from headroom.report.html import render_html
from headroom.report.html.bars import ladder_chart, layer_chart
from headroom.report.html.facts import small_figures
from headroom.report.html.lines import line_chart
from headroom.report.html.waterfall import waterfall_chart
from report.asked import asked_analysis, profiled_analysis
from report.factory import MARKUP, make_analysis


@pytest.fixture(scope="module")
def page() -> str:
    return render_html([asked_analysis()])


def _section(page: str, anchor: str) -> str:
    found = re.search(rf'<section id="{anchor}".*?</section>', page, re.DOTALL)
    assert found, anchor
    return found.group()


def _text(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def test_each_question_has_a_section_that_the_navigation_and_the_list_lead_to(page: str) -> None:
    for answer in asked_analysis().questions:
        anchor = f"a0-q{answer.number}"
        section = _section(page, anchor)
        assert answer.question in _text(section)
        assert page.count(f'href="#{anchor}"') >= 3


def test_the_sentence_comes_first_on_its_page(page: str) -> None:
    for answer in asked_analysis().questions:
        section = _section(page, f"a0-q{answer.number}")
        after_title = section.split("</h2>", 1)[1].lstrip()
        assert after_title.startswith('<p class="sentence">')
        assert _text(after_title).startswith(answer.sentence[:60])


def test_code_is_a_block_with_its_lines_and_limits_say_what_cannot_be_had(page: str) -> None:
    section = _section(page, "a0-q4")
    (graph, layout) = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", section, re.DOTALL)
    assert "with torch.cuda.graph(graph):\n    output = model(static_input)\n" in graph
    assert layout.count("\n") == 1
    assert "Limits" in _section(page, "a0-q3")


def test_a_table_shows_units_in_its_head_and_numbers_at_the_right(page: str) -> None:
    table = _section(page, "a0-q1").split("Bounds per data type")[1]
    assert '<th scope="col" class=num><span class=head>Sequential</span><small>µs</small></th>' in table
    assert "<td class=num>1,120</td>" in table
    assert "<td class=num>–</td>" in table
    assert '<th scope="col"><span class=head>Dtype</span></th>' in table


def test_words_that_a_newcomer_lacks_are_explained(page: str) -> None:
    words = _text(_section(page, "a0-questions"))
    for word in ("Lower bound (LBL)", "Speed of light", "Kernel", "Measured", "Predicted"):
        assert word in words


def test_a_finding_leads_to_the_question_that_found_it(page: str) -> None:
    findings = _section(page, "a0-findings")
    assert re.findall(r'href="#a0-q(\d)"', findings) == ["4", "4", "3", "5", "2", "6"]


def test_what_a_better_answer_needs_is_said(page: str) -> None:
    assert "<code>headroom profile MODEL</code>" in _section(page, "a0-q8")


def test_a_strangers_names_stay_text_in_cells_cards_and_charts() -> None:
    answer = Answer(
        1, MARKUP, MARKUP, tables=(Table(MARKUP, (MARKUP, "time us"), ((MARKUP, 1.0),), MARKUP),),
        charts=(Lines(MARKUP, MARKUP, MARKUP, ((MARKUP, ((1, 2), (2, 3))),)), Waterfall(MARKUP, ((MARKUP, 9.0),))),
        needs=MARKUP,
    )  # fmt: skip
    page = render_html([replace(make_analysis(), questions=(answer,))])
    assert page.count("<script>") == 1
    assert "<img" not in page


def test_an_analysis_without_questions_has_no_empty_pages() -> None:
    page = render_html([make_analysis()])
    assert "-questions" not in page
    assert 'class="sentence"' not in page


def test_a_long_table_says_what_it_leaves_out() -> None:
    rows = tuple((f"layer{number}", number) for number in range(700))
    answer = Answer(3, "Which?", "These.", tables=(Table("All", ("layer", "launches"), rows),))
    section = _section(render_html([replace(make_analysis(), questions=(answer,))]), "a0-q3")
    assert "200 more rows are in the JSON answer." in section


def test_a_line_chart_over_batches_has_its_ticks_at_the_batches_and_starts_at_zero() -> None:
    lines = Lines("Latency", "batch", "latency us", (("measured", ((1, 100.0), (8, 150.0), (64, 400.0))),))
    chart = line_chart(lines, "k")
    assert [tick.label for tick in chart.x_ticks] == ["1", "8", "64"]
    assert [round(tick.at) for tick in chart.x_ticks] == [0, 50, 100]
    assert chart.y_ticks[0].label == "0"
    assert chart.y_title == "Latency, µs"
    assert [point.x for point in chart.curves[0].points] == pytest.approx([0, 50, 100])
    assert chart.table.rows[1] == ("8", "150")


def test_a_line_chart_leaves_out_what_is_not_finite() -> None:
    chart = line_chart(Lines("t", "batch", "latency us", (("a", ((1, float("nan")), (2, 5.0))), ("b", ()))), "k")
    assert [len(curve.points) for curve in chart.curves] == [1]
    assert line_chart(Lines("t", "x", "y", ()), "k").curves == ()


@pytest.mark.parametrize("low", [0.001, 1.0, 1e4])
def test_every_point_of_a_line_chart_is_inside_its_frame(low: float) -> None:
    points = tuple((2.0**power, low * 3.0**power) for power in range(9))
    chart = line_chart(Lines("t", "batch", "latency us", (("a", points),)), "k")
    assert all(0 <= p.x <= 100 and 0 <= p.y <= 100 for curve in chart.curves for p in curve.points)
    assert all(0 <= tick.at <= 100 for tick in (*chart.x_ticks, *chart.y_ticks))


def test_a_waterfall_goes_down_by_what_each_step_takes_off() -> None:
    chart = waterfall_chart(Waterfall("t", (("run", 200.0), ("graph", 80.0), ("nothing", 80.0), ("best", 50.0))), "k")
    assert [bar.value for bar in chart.bars] == ["200 µs", "80.0 µs", "80.0 µs", "50.0 µs"]
    assert [bar.note for bar in chart.bars] == ["", "−120 µs", "±0", "−30.0 µs"]
    kept, saved = chart.bars[1].segments
    assert (kept.width, saved.x, saved.width) == (40.0, 40.0, 60.0)
    assert "4.00× if all of it is done" in chart.help


def test_a_waterfall_of_nothing_is_no_chart() -> None:
    assert waterfall_chart(Waterfall("t", ()), "k").bars == ()


def test_with_a_profile_the_page_says_what_the_run_took() -> None:
    page = _text(render_html([profiled_analysis()]))
    assert "Your run, from trace.json: 2.92 ms per inference" in page
    assert "Savings come off the run in your profile" in page
    assert "in your run its kernels also did conv1.relu" in page
    assert "in your run inside the kernels of conv1" in page


def test_with_a_profile_the_layer_table_shows_the_run_beside_the_best() -> None:
    with_run, without = render_html([profiled_analysis(hostile=False)]), render_html([asked_analysis(hostile=False)])
    heads = [_text(head) for head in re.findall(r'<th scope="col" aria-sort.*?</th>', with_run)]
    assert heads[4:8] == ["Count", "Total", "Your run", "Lost"]
    assert "Your run" not in [_text(head) for head in re.findall(r'<th scope="col" aria-sort.*?</th>', without)]


def test_several_answers_share_a_page_for_questions_1_and_7() -> None:
    page = render_html([asked_analysis(batch, hostile=False) for batch in (1, 8)])
    for number in (1, 7):
        section = _section(page, f"all-q{number}")
        assert "over batch sizes and GPUs?" in section
        assert f'href="#all-q{number}"' in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_only_the_first_sentence_is_large_and_a_stop_inside_code_ends_none() -> None:
    answer = Answer(1, "Which?", "Call `a. B` first, 3.1 ms ± 5 %. Then the rest. And more.")
    section = _section(render_html([replace(make_analysis(), questions=(answer,))]), "a0-q1")
    large, rest = re.findall(r'<p class="(?:sentence|rest)">(.*?)</p>', section, re.DOTALL)
    assert _text(large) == "Call a. B first, 3.1 ms ± 5 %."
    assert "3.1\N{NO-BREAK SPACE}ms\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}5\N{NO-BREAK SPACE}%" in large
    assert rest == "Then the rest. And more."


def test_ticks_of_an_axis_share_their_digits() -> None:
    chart = line_chart(Lines("t", "batch", "ratio", (("a", ((1, 0.2), (2, 1.1))),)), "k")
    assert [tick.label for tick in chart.y_ticks] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]


def test_with_a_profile_the_longest_layers_are_the_runs_and_show_what_it_took_above_the_best() -> None:
    analysis = profiled_analysis(hostile=False)
    chart = layer_chart(analysis)
    assert [bar.note.split(" ")[0] for bar in chart.bars] == ["run"] * len(chart.bars)
    ends = [bar.segments[-1].x + bar.segments[-1].width for bar in chart.bars]
    assert ends == sorted(ends, reverse=True)
    assert {segment.css for bar in chart.bars for segment in bar.segments[1:]} == {"your-run"}
    assert "Your run" in chart.table.headers


def test_two_throughputs_on_a_page_both_say_what_they_are_of() -> None:
    run = profiled_analysis(hostile=False)
    run = replace(run, measured_us=2000.0, bounds=replace(run.bounds, sequential_us=500.0, sequential_error_pct=5.0))
    of_the_run = ("Throughput", "500 samples/s", "in your run; 2,000 with each layer at its best, one after another")
    assert of_the_run in small_figures(run)
    stored = replace(run, execution=None)
    assert small_figures(stored)[0][2].startswith("as a framework runs it; 2,000 with each layer at its best")
    assert small_figures(replace(stored, measured_us=None))[0][1:] == ("2,000 samples/s", "one layer after another")


def test_the_ladder_promises_no_order_of_parallel_and_fused() -> None:
    analysis = make_analysis()
    bounds = replace(analysis.bounds, parallel_us=475.0, fused_us=352.0, sequential_us=480.0)
    chart = ladder_chart(replace(analysis, bounds=bounds))
    assert [bar.label for bar in chart.bars][:4] == ["Speed of light", "Parallel", "Fused", "Sequential"]
    assert "either may be the lower" in chart.help
    assert "step up" not in chart.help


def test_a_column_of_which_nothing_is_known_is_left_out_and_so_is_an_empty_table() -> None:
    known = Table("Known", ("layer", "run us", "best us"), (("conv1", None, 3.0), ("conv2", None, None)))
    answer = Answer(1, "Which?", "These.", tables=(known, Table("Empty", ("layer",), ())))
    section = _section(render_html([replace(make_analysis(), questions=(answer,))]), "a0-q1")
    assert "Run<" not in section
    assert "Best<" in section
    assert "Empty" not in section
