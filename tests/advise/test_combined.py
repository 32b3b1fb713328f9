"""Several analyses of one model: how low over batches and GPUs, and what everything together gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headroom.advise.questions.combined import combined
from report.asked import asked_analysis
from report.factory import H200, make_analysis

A100 = replace(H200, id="a100", name="NVIDIA A100")


def test_one_analysis_has_nothing_to_be_compared_with() -> None:
    assert combined([make_analysis()]) == ()
    assert combined([]) == ()


def test_batches_are_told_by_what_a_sample_needs() -> None:
    small, large = make_analysis(1, hostile=False), make_analysis(64, hostile=False)
    (low,) = combined([small, large])
    assert low.number == 1
    assert low.sentence.startswith("On NVIDIA H200 in bf16 a sample needs at least ")
    assert low.sentence.endswith("at batch 64.")
    assert len(low.tables[0].rows) == 2
    assert all(len(points) == 2 for _, points in low.charts[0].series)


def test_gpus_at_one_batch_are_told_by_the_lowest_and_the_highest_bound_and_need_no_line() -> None:
    fast = make_analysis(1, hostile=False)
    slow = replace(fast, gpu=A100, bounds=replace(fast.bounds, sequential_us=900.0, fused_us=800.0))
    (low,) = combined([slow, fast])
    assert "the lowest bound is that of NVIDIA H200 in bf16" in low.sentence
    assert "the highest that of NVIDIA A100 in bf16, 800 µs" in low.sentence
    assert low.charts == ()


def test_everything_together_is_told_where_question_7_has_its_waterfall() -> None:
    low, together = combined([asked_analysis(1, hostile=False), asked_analysis(8, hostile=False)])
    assert (low.number, together.number) == (1, 7)
    assert together.sentence.startswith("Everything together makes the model 13 times as fast on NVIDIA H200 in bf16")
    assert together.tables[0].rows[0][-1] == pytest.approx(2918 / 224)


def test_a_sentence_names_few_gpus_and_leaves_the_rest_to_the_table() -> None:
    gpus = [replace(H200, id=f"g{number}", name=f"GPU {number}") for number in range(6)]
    (low,) = combined([replace(make_analysis(b, hostile=False), gpu=gpu) for gpu in gpus for b in (1, 8)])
    assert low.sentence.count("a sample needs") == 3
    assert len(low.tables[0].rows) == 12


def test_speedups_over_different_starts_are_not_passed_off_as_alike() -> None:
    measured = asked_analysis(1, hostile=False)
    other = measured.questions[6]
    steps = (("layer after layer", 900.0), *other.charts[0].steps[1:])
    answer = replace(other, charts=(replace(other.charts[0], steps=steps),))
    _, together = combined([measured, replace(asked_analysis(8, hostile=False), questions=(answer,))])
    assert together.sentence.endswith("They do not all start alike: the table says from what.")
    assert together.tables[0].note
    _, alike = combined([measured, asked_analysis(8, hostile=False)])
    assert not alike.tables[0].note
