"""Other work in the worker: it talks, fails, hangs and dies without harm to the parent."""

from __future__ import annotations

import time
from importlib import import_module
from importlib.util import find_spec

import pytest

from headroom.errors import GpuError, ModelError
from headroom.measure.jobs import JOBS, run_job
from measure.processes import wait_until_gone


def test_what_libraries_print_is_no_message() -> None:
    heard: list[dict[str, object]] = []
    result = run_job("measure.odd_jobs:chatter", {"x": [1, 2]}, gpu=3, on_progress=heard.append)
    assert result == {"echo": {"x": [1, 2], "gpu": 3}}
    assert heard == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_an_error_of_ours_arrives_as_itself() -> None:
    with pytest.raises(ModelError, match="node 'conv1' cannot be read"):
        run_job("measure.odd_jobs:fail", {"how": "model"})


def test_any_other_error_is_gpu_trouble_with_its_traceback() -> None:
    with pytest.raises(GpuError, match="ValueError: node 'conv1'") as raised:
        run_job("measure.odd_jobs:fail", {"how": "value"})
    assert "odd_jobs.py" in raised.value.__notes__[0]


def test_a_job_that_dies_says_how() -> None:
    with pytest.raises(GpuError, match="failed on GPU 0: the process was ended by SIGABRT"):
        run_job("measure.odd_jobs:die", {})


@pytest.mark.alone
def test_a_job_that_hangs_is_ended_with_its_children() -> None:
    heard: list[dict[str, int]] = []
    begin = time.monotonic()
    with pytest.raises(GpuError, match="was stopped after 1 s"):
        run_job("measure.odd_jobs:hang", {}, on_progress=heard.append, limit_s=1.0)
    assert time.monotonic() - begin < 3.0
    wait_until_gone([heard[0]["child"]], within_s=1.0)


def test_a_result_that_is_no_json_is_an_error_and_no_hang() -> None:
    with pytest.raises(GpuError, match="not JSON serializable"):
        run_job("measure.odd_jobs:unspeakable", {}, limit_s=20.0)


@pytest.mark.parametrize("name", JOBS)
def test_registered_jobs_exist(name: str) -> None:
    module, _, function = JOBS[name].partition(":")
    assert find_spec(module) is not None
    assert callable(getattr(import_module(module), function))


def test_a_library_that_a_job_lacks_is_named_with_what_installs_it() -> None:
    with pytest.raises(GpuError, match=r"No module named 'measure.nowhere'.*pip install 'headroom\[gpu,torch\]'"):
        run_job("measure.nowhere:run", {})
