"""Do two ONNX files compute the same? ONNX Runtime runs both, in a child that may die of a stranger's file."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from headroom.errors import ModelError, UsageError
from headroom.libraries import library_folders

#: Outputs further apart than this share of their largest value are different: other kernels round otherwise.
_EQUAL = 1e-4
_LONGEST_S = 300

#: What the child runs: random inputs of one seed through both files, the largest difference as its answer.
_CHILD = """
import json, sys
paths, sys.path[:] = sys.argv[1:3], [*sys.path, *sys.argv[3:]]
import numpy as np, onnxruntime
random = np.random.default_rng(0)
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
options.intra_op_num_threads = 1
cpu = ["CPUExecutionProvider"]
first, second = (onnxruntime.InferenceSession(path, options, providers=cpu) for path in paths)
types = {"float": "f4", "double": "f8", "float16": "f2", "int64": "i8", "int32": "i4"}
feed = {}
for each in first.get_inputs():
    shape = [size if isinstance(size, int) and size > 0 else 1 for size in each.shape]
    kind = np.dtype(types[each.type[7:-1]])
    feed[each.name] = (random.standard_normal(shape) if kind.kind == "f" else random.integers(0, 2, shape)).astype(kind)
apart = 0.0
for before, after in zip(first.run(None, feed), second.run(None, feed), strict=True):
    if before.shape != after.shape or not np.isfinite(after).all():
        apart = float("inf")
    elif before.size:
        apart = max(apart, float(np.abs(before - after).max()) / (float(np.abs(before).max()) or 1.0))
print(json.dumps(apart))
"""


def check_files(before: Path, after: Path) -> None:
    """Check that two files return the same for random inputs.

    Raises:
        UsageError: ONNX Runtime is not installed.
        ModelError: they do not, or one of them does not run.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise UsageError("checking ONNX files needs ONNX Runtime; install it with: pip install onnxruntime")
    # -I keeps the current folder out, where a file beside the model could pose as a library.
    command = [sys.executable, "-I", "-c", _CHILD, str(before.resolve()), str(after.resolve()), *library_folders()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"ONNX Runtime did not finish {before.name} in {_LONGEST_S} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ModelError(f"ONNX Runtime cannot run {before.name} and its wider form: {lines[-1]}")
    apart = float(json.loads(done.stdout.splitlines()[-1]))
    if not apart <= _EQUAL:
        raise ModelError(f"ONNX Runtime finds the wider network's outputs {100 * apart:.2g} % apart; it is discarded")
