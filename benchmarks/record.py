"""What every benchmark script shares: where data and results are, and what is written beside each figure."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("HEADROOM_SHARED", ROOT.parent / "shared")) / "data"
RESULTS = ROOT / "benchmarks" / "results"


def read_data_folder() -> Path:
    """The data folder: the script's first argument, or ``../shared/data``."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    if not folder.is_dir():
        raise SystemExit(f"no data folder {folder}; name it as the first argument")
    return folder


def write_result(name: str, content: dict[str, Any]) -> Path:
    """Write ``benchmarks/results/NAME.json`` with the date, the machine and the versions inside."""
    about = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("headroom", "numpy", "onnx")},
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"about": about, **content}, indent=1) + "\n")
    return path
