"""Standard output that is a short-lived pipe, a full device, closed, or of another encoding."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HEADROOM = Path(sys.executable).with_name("headroom")
FULL = Path("/dev/full")


def run_to_a_reader_that_left(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run with a standard output whose reading end is closed before the first line."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [HEADROOM, *map(str, arguments)], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize("arguments", [("gpus", "list"), ("analyze", "MODEL", "--gpu", "h200", "--json", "-")])
def test_a_reader_that_left_early_is_no_failure(arguments: tuple[str, ...], example: Path) -> None:
    done = run_to_a_reader_that_left(*(str(example) if word == "MODEL" else word for word in arguments))
    assert (done.returncode, done.stderr) == (0, "")


def test_files_are_written_and_thresholds_checked_though_the_reader_left(example: Path, tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    done = run_to_a_reader_that_left("analyze", example, "--gpu", "h200", "--json", answer, "--fail-above-us", 1)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert json.loads(answer.read_text("utf-8"))["gpu"] == "h200"


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [("gpus", "list"), ("analyze", "MODEL", "--gpu", "h200", "--csv", "-")])
def test_a_full_device_is_one_line_and_exit_code_2(arguments: tuple[str, ...], example: Path) -> None:
    words = [str(example) if word == "MODEL" else word for word in arguments]
    with FULL.open("w") as full:
        done = subprocess.run([HEADROOM, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "headroom: cannot write to standard output: No space left on device; free the device or choose a file\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="closes streams with a POSIX shell")
@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        (">&-", 0, ""),
        ("--json - >&-", 2, "headroom: standard output is closed, so that - cannot be written; name a file\n"),
        ("2>&-", 0, ""),
        ("--batch 0 2>&-", 2, ""),
        ("--quiet --fail-above-us 1 2>&-", 1, ""),
    ],
)
def test_a_closed_stream_is_not_a_failure_inside(ending: str, code: int, said: str, example: Path) -> None:
    command = f"'{HEADROOM}' analyze '{example}' --gpu h200 {ending}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)
    assert "headroom:" not in done.stdout


def test_json_on_stdout_is_utf8_in_any_locale(example: Path) -> None:
    ascii_only = os.environ | {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    command = [HEADROOM, "analyze", str(example), "--gpu", "h200", "--json", "-"]
    done = subprocess.run(command, env=ascii_only, capture_output=True, check=True)
    assert "µs" in json.loads(done.stdout.decode("utf-8"))["verdict"]


@pytest.mark.parametrize("command", [("gpus", "list"), ("analyze", "MODEL", "--gpu", "h200")])
def test_a_narrow_terminal_loses_no_figure(command: tuple[str, ...], example: Path) -> None:
    words = [str(example) if word == "MODEL" else word for word in command]
    narrow = os.environ | {"COLUMNS": "20"}
    done = subprocess.run([HEADROOM, *words], env=narrow, capture_output=True, text=True, check=True)
    # Of a layer's row, its name and its kind may end early; of a framework's, its mode.
    figures = [
        re.sub(r"^(\S+ +[a-z]+|[a-z][a-z -]+)… ", "", line)
        for line in done.stdout.splitlines()
        if not line.startswith("node_")
    ]
    assert not any("…" in line for line in figures)
