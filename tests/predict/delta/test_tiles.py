"""The tile look-up against the paper and against published tables of real kernel launches."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from pathlib import Path

import pytest

from headroom.predict.delta import CUDNN8_TILES, PAPER_TILES, TileBatch, TileTable


def _widths(table: TileTable, channels: list[int]) -> list[float]:
    return table.choose(channels).n.tolist()


def test_the_three_tiles_are_the_paper_s() -> None:
    assert PAPER_TILES.tiles == ((128, 128, 8), (128, 64, 4), (128, 32, 4))


@pytest.mark.parametrize(
    ("channels", "width"),
    [(1, 32), (32, 32), (33, 64), (64, 64), (65, 32), (96, 32), (97, 128), (192, 64), (256, 128), (2048, 128)],
)  # fmt: skip
def test_the_tile_follows_the_output_channels(channels: int, width: int) -> None:
    assert _widths(PAPER_TILES, [channels]) == [width]


def test_a_thread_keeps_64_accumulators_whatever_the_tile() -> None:
    tiles = PAPER_TILES.choose([128, 64, 32])

    assert tiles.threads.tolist() == [256, 128, 64]
    assert tiles.warps.tolist() == [8, 4, 2]


def test_scaled_tiles_are_twice_as_high_and_wide() -> None:
    assert PAPER_TILES.scaled(2).tiles[0] == (256, 256, 8)
    assert TileBatch.constant(1, (256, 256, 8)).threads[0] == 1024


@pytest.fixture(scope="module")
def launches(shared_data: Path) -> list[tuple[str, int, int, int]]:
    """GPU, output channels, tile width and threads of real im2col kernels."""
    rows = []
    with gzip.open(shared_data / "tables" / "neusight_conv.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = re.search(r"scudnn_128x(\d+)_relu", row["kernel"])
            if name:
                rows.append((row["gpu"], int(float(row["c_out"])), int(name[1]), int(float(row["block_x"]))))
    return rows


def test_real_launches_use_three_narrow_tiles_for_65_to_96_channels(
    launches: list[tuple[str, int, int, int]],
) -> None:
    widths = Counter(width for _, channels, width, _ in launches if 64 < channels <= 96)

    assert widths[32] / widths.total() > 0.9


def test_real_launches_have_the_tile_s_threads(launches: list[tuple[str, int, int, int]]) -> None:
    same = [TileBatch.constant(1, (128, width, 8)).threads[0] == threads for _, _, width, threads in launches]

    assert sum(same) / len(same) > 0.9


def test_the_newer_look_up_agrees_with_most_real_launches(launches: list[tuple[str, int, int, int]]) -> None:
    chosen = CUDNN8_TILES.choose([channels for _, channels, _, _ in launches]).n
    agreeing = Counter(gpu for (gpu, _, width, _), n in zip(launches, chosen, strict=True) if n == width)
    total = Counter(gpu for gpu, _, _, _ in launches)

    share = {gpu: agreeing[gpu] / total[gpu] for gpu in total}
    assert share["Tesla V100-PCIE-32GB"] > 0.7
    assert share["Tesla P100-PCIE-16GB"] > 0.7
    assert share["Tesla T4"] > 0.6
