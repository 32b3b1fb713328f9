"""Writes the golden tables anew: ``PYTHONPATH=tests python -m measure_travel.golden``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import headroom as hr
from headroom.measure.plan import plan_tasks
from headroom.measure.travel.collect import benchmarks_of
from headroom.measure.travel.tables import table_files
from measure_travel.conftest import save_small_model

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        graph = hr.load(save_small_model(Path(folder) / "small.onnx"))
    found, _ = benchmarks_of(planned.task for planned in plan_tasks(graph, hr.DataType.BF16))
    target = Path(__file__).parent / "golden" / "part_000.cpp"
    target.parent.mkdir(exist_ok=True)
    target.write_text(table_files(found[:3])["part_000.cpp"], "utf-8")
