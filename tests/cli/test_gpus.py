"""``headroom gpus``: the sheets as a person reads them."""

from __future__ import annotations

from pathlib import Path

from headroom.gpu.sheets import sheet_ids


def test_the_list_has_a_line_for_every_sheet(headroom) -> None:
    outcome = headroom("gpus", "list")
    assert outcome.code == 0
    assert [line.split()[0] for line in outcome.out.splitlines()[1:-1]] == list(sheet_ids())
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_a_sheet_shows_every_figure_with_its_source(headroom) -> None:
    outcome = headroom("gpus", "show", "h200")
    assert outcome.code == 0
    text = " ".join(outcome.out.split())
    assert "dram_bandwidth_gbs 3,888 GB/s" in text
    assert "RRZE gpu-benches" in text
    assert "≈" in text


def test_an_unknown_gpu_is_one_line_with_the_nearest_names(headroom) -> None:
    outcome = headroom("gpus", "show", "h20O")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "h200" in outcome.err


def test_a_users_own_sheet_is_shown_and_used(headroom, example: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "my.toml"
    sheet.write_text('base = "h200"\nsms = 264\n')
    assert "264" in headroom("gpus", "show", sheet).out
    assert headroom("analyze", example, "--gpu", sheet, "--quiet").code == 0


def test_a_sheet_with_an_absurd_value_names_the_field(headroom, tmp_path: Path) -> None:
    sheet = tmp_path / "my.toml"
    sheet.write_text('base = "h200"\nsms = -3\n')
    outcome = headroom("gpus", "show", sheet)
    assert outcome.code == 2
    assert "'sms' is -3" in outcome.err
