"""How the profiles of measured gains are kept: one archive per network, of traces without what no reader looks at.

    python benchmarks/advice_kept.py MEASURED_FOLDER…

A measured folder is one that ``advice_gains.py measure`` wrote; all of them go to ``benchmarks/results``.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from record import RESULTS

FILE = "advice_gains.jsonl"
ARCHIVES = RESULTS / "advice_profiles"

#: What Headroom reads of an event's arguments.
_READ = frozenset({
    "External id", "correlation", "Input Dims", "Input type", "Input Strides", "Concrete Inputs", "graph node id",
    "stream", "device", "grid", "block", "registers per thread", "shared memory", "bytes",
})  # fmt: skip


def profile_name(network: str, batch: int, run: str) -> str:
    return f"{network}-{batch}-{run.replace(' ', '_')}.json"


def keep(folders: list[Path]) -> None:
    """Rows and profiles of ``folders`` into the results."""
    rows = [line for folder in folders for line in (folder / FILE).read_text().splitlines()]
    (RESULTS / FILE).write_text("\n".join(sorted(rows)) + "\n")
    ARCHIVES.mkdir(exist_ok=True)
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        for path in (folder / "profiles").glob("*.json.gz"):
            found[path.name.split("-")[0]].append(path)
    for network, paths in found.items():
        with tarfile.open(ARCHIVES / f"{network}.tar.xz", "w:xz", preset=9) as archive:
            for path in sorted(paths, key=lambda each: each.name):
                content = json.dumps(_short(json.loads(gzip.decompress(path.read_bytes())))).encode()
                member = tarfile.TarInfo(path.name.removesuffix(".gz"))
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def _short(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The events that take time, from the first one's start."""
    timed = [event for event in trace["traceEvents"] if event.get("ph") == "X" and event.get("cat") != "Trace"]
    begin = min(event["ts"] for event in timed)
    for event in timed:
        event["ts"] = round(event["ts"] - begin, 3)
        event["args"] = {name: value for name, value in event.get("args", {}).items() if name in _READ}
    return {"deviceProperties": trace.get("deviceProperties"), "traceEvents": timed}


@cache
def kept(network: str) -> Mapping[str, bytes]:
    """The kept profiles of a network by the name of their file; none where no archive is there."""
    path = ARCHIVES / f"{network}.tar.xz"
    if not path.exists():
        return {}
    with tarfile.open(path) as archive:
        return {member.name: (archive.extractfile(member) or io.BytesIO()).read() for member in archive}


def write_profile(network: str, name: str, place: Path, latency_us: float) -> None:
    """A kept profile as ``headroom profile`` writes it: with the time that an inference takes unrecorded."""
    place.write_text(json.dumps({"headroom": {"latency_us": latency_us}} | json.loads(kept(network)[name])))


if __name__ == "__main__":
    keep([Path(each) for each in sys.argv[1:]])
