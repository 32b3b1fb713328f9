"""``headroom measure`` on this machine's GPU: the way through, the resumption, what the parent itself costs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headroom.errors import GpuError
from headroom.graph.tensor import DataType
from headroom.measure.bench import Facts
from headroom.measure.client import Worker
from headroom.measure.driver import driver_of
from headroom.measure.run import expected_missing, expected_system
from headroom.store.rows import Status
from headroom.store.store import Store

MODEL = Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx"

#: Promised: the parent's share of the wall time, and a resumed run with nothing to do.
MOST_PARENT_PCT = 5.0
RESUMED_WITHIN_S = 1.0

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def facts() -> Facts:
    pytest.importorskip("torch")
    try:
        with Worker() as worker:
            return worker.facts()
    except GpuError as error:
        pytest.skip(f"needs an NVIDIA GPU: {error}")


def measure(database: Path, *options: str) -> str:
    # Other tests of this process may hold the GPU.
    command = [sys.executable, "-m", "headroom", "measure", str(MODEL), "--db", str(database), "--shared", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_parent_knows_the_system_without_loading_cuda(facts: Facts) -> None:
    with driver_of(0) as driver:
        assert expected_system(driver) == facts.system
    assert expected_missing() == set(facts.missing)


def test_a_real_model_is_measured_once_and_resumed(facts: Facts, tmp_path: Path) -> None:
    database = tmp_path / "rows.sqlite"
    first = measure(database, "--plans", "heuristic", "--budget", "20s")
    rest = measure(database, "--plans", "heuristic")
    assert "known before" in rest
    begin = time.monotonic()
    assert "0 layers measured" in measure(database, "--plans", "heuristic")
    assert time.monotonic() - begin < RESUMED_WITHIN_S + 1.0, "half of the slack is for a busy machine"
    with Store.open(database) as store:
        digests = store.finished(facts.system, DataType.BF16, "heuristic", facts.missing)
        best = store.best(facts.system, DataType.BF16, "warm", digests)
    assert len(best) >= 0.95 * len(digests)
    assert all(timing.status is Status.OK and timing.median_us for timing in best.values())
    share = re.search(r"worker was not at work: ([\d.]+)%", first)
    assert share is not None
    assert float(share[1]) < MOST_PARENT_PCT
