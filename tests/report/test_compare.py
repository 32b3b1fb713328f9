"""Two answers side by side."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from headroom.errors import ModelError
from headroom.report.answer import to_dict, to_json
from headroom.report.compare import Comparison, compare, compare_files
from headroom.report.compare_terminal import render_comparison
from report.factory import make_analysis


def _printed(*comparisons: Comparison) -> str:
    buffer = io.StringIO()
    render_comparison(comparisons, Console(file=buffer, width=80))
    return buffer.getvalue()


def test_an_answer_compared_with_itself_has_not_moved() -> None:
    answer = to_dict(make_analysis())
    comparison = compare(answer, answer)
    assert comparison.movers == ()
    assert (comparison.only_a, comparison.only_b) == ((), ())
    assert all(figure.a_us == figure.b_us for figure in comparison.bounds)
    assert "B takes as long as A." in _printed(comparison)


def test_the_biggest_mover_comes_first_and_equal_layers_move_as_one() -> None:
    a, b = to_dict(make_analysis(hostile=False)), to_dict(make_analysis(hostile=False))
    several = next(row for row in b["layers"] if row["count"] == 3)
    single = next(row for row in b["layers"] if row["count"] == 1)
    several["time_us"] += 10.0
    single["time_us"] += 20.0
    comparison = compare(a, b)
    assert [(m.figure.label, m.count) for m in comparison.movers] == [(several["name"], 3), (single["name"], 1)]
    assert comparison.movers[0].figure.change_us == pytest.approx(30.0)


def test_layers_that_only_one_answer_has_are_named() -> None:
    a, b = to_dict(make_analysis(hostile=False)), to_dict(make_analysis(hostile=False))
    a["layers"][2]["names"] = ["old"]
    b["layers"][2]["names"] = ["new"]
    comparison = compare(a, b)
    assert (comparison.only_a, comparison.only_b) == (("old",), ("new",))
    assert "Only in A (1): old." in _printed(comparison)


def test_a_change_inside_the_error_bars_is_called_that() -> None:
    a, b = to_dict(make_analysis(hostile=False)), to_dict(make_analysis(hostile=False))
    b["bounds"]["sequential_us"] *= 0.95
    text = " ".join(_printed(compare(a, b)).split())
    assert text.startswith("B is 1.05× faster than A, which is within their error bars: 400 µs after 420 µs")


def test_the_printed_comparison_fits_80_columns_and_is_harmless() -> None:
    text = _printed(compare(to_dict(make_analysis()), to_dict(make_analysis(64, hostile=False))))
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert all(line.isprintable() for line in text.splitlines())
    assert "Unknown layers, which the totals leave out: 1 % in A, 0 % in B." in text


def test_lists_are_paired_by_gpu_and_batch(tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(to_json([make_analysis(n, hostile=False) for n in (1, 4)]), "utf-8")
    b.write_text(to_json([make_analysis(n, hostile=False) for n in (16, 4, 1)]), "utf-8")
    titles = [(c.a_title, c.b_title) for c in compare_files(a, b)]
    assert [first == second for first, second in titles] == [True, True]
    assert "batch 1" in titles[0][0]


def test_two_single_answers_are_compared_whatever_their_batch(tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(to_json([make_analysis(1, hostile=False)]), "utf-8")
    b.write_text(to_json([make_analysis(64, hostile=False)]), "utf-8")
    (comparison,) = compare_files(a, b)
    assert comparison.shared_layers == 139


def test_lists_with_nothing_in_common_are_refused(tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(to_json([make_analysis(n, hostile=False) for n in (1, 2)]), "utf-8")
    b.write_text(to_json([make_analysis(n, hostile=False) for n in (4, 8)]), "utf-8")
    with pytest.raises(ModelError) as caught:
        compare_files(a, b)
    assert str(caught.value) == (
        f"{a} and {b} share no GPU, batch and data type; write both for the same `--gpu` and `--batch`"
    )


def test_a_file_that_lacks_a_field_is_named_with_the_field(tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    answer = to_dict(make_analysis(hostile=False))
    a.write_text(json.dumps(answer), "utf-8")
    del answer["bounds"]["parallel_us"]
    b.write_text(json.dumps(answer), "utf-8")
    with pytest.raises(ModelError, match=r"b\.json: field bounds\.parallel_us is missing"):
        compare_files(a, b)


def test_answers_of_two_versions_say_so() -> None:
    a, b = to_dict(make_analysis(hostile=False)), to_dict(make_analysis(hostile=False))
    b["headroom_version"] = "99.0"
    text = " ".join(_printed(compare(a, b)).split())
    assert "B by 99.0: part of the change may be Headroom's own." in text


def test_answers_for_different_batches_are_compared_per_sample() -> None:
    a, b = to_dict(make_analysis(1)), to_dict(make_analysis(1))
    b["batch"] = 8
    b["bounds"]["sequential_us"] = 2 * a["bounds"]["sequential_us"]
    text = " ".join(_printed(compare(a, b)).split())
    assert "The batches differ (1 in A, 8 in B): B runs 4.00× as many samples in the same time." in text


def test_a_device_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    zero = Path("/dev/zero")
    if not zero.exists():
        pytest.skip("this system has no /dev/zero")
    monkeypatch.setattr("headroom.report.published.LARGEST_FILE_BYTES", 1 << 20)
    with pytest.raises(ModelError, match="/dev/zero is larger than 1 MiB; it is no answer of Headroom"):
        compare_files(zero, zero)
