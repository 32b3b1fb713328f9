"""A staircase on a real GPU: searched with a quarter of the measurements, kept, and read back."""

from __future__ import annotations

from pathlib import Path

import pytest

import headroom as hr
from headroom.gpu.detect import detect_gpu
from headroom.predict.prediction import Source

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("a_free_gpu")]

CONV = "c=512,h=64,w=64,k=64:512:32"


def test_a_searched_staircase_is_measured_where_it_matters_and_read_back(tmp_path: Path) -> None:
    gpu, database = detect_gpu(), tmp_path / "m.sqlite"
    answer = hr.measure_staircase(conv=CONV, gpu=gpu, db=database)
    (reading,) = answer.layers[0].readings
    measured = [point for point in reading.staircase.points if point.source is Source.MEASURED]
    assert 2 <= len(measured) <= len(reading.staircase.points) / 4
    assert all(point.implementation and point.latency_us > 1 for point in measured)
    again = hr.staircase(conv=CONV, gpu=gpu, db=database)
    assert again.layers[0].readings[0].staircase == reading.staircase
