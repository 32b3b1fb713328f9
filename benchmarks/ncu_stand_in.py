"""A stand-in for ``ncu`` in rehearsals: runs the command that it is given and writes a table of made-up counters.

Each subject's kernel moves its operands once at every level, a tenth more at L2 and twice at L1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from headroom.measure.counters.metrics import DRAM_BYTES, L1_BYTES, L2_BYTES, METRICS, OCCUPANCY, TIME, WAVES
from headroom.measure.counters.request import Subject
from headroom.measure.counters.runner import MARKER

UNITS = {L1_BYTES: "byte", L2_BYTES: "byte", DRAM_BYTES: "byte", OCCUPANCY: "%", TIME: "ns", WAVES: ""}


def main(arguments: list[str]) -> None:
    at = arguments.index("--log-file")
    command = arguments[at + 2 :]
    subprocess.run(command, check=False)
    subjects = [Subject.from_json(data) for data in json.loads(Path(command[-3]).read_text())]
    fared = json.loads(Path(command[-2]).read_text())
    lines = [["ID", "Kernel Name", *METRICS], ["", "", *(UNITS[name] for name in METRICS)]]
    for number, (subject, fare) in enumerate(zip(subjects, fared, strict=False)):
        if fare["marked"]:
            lines.append([str(number), MARKER, *("0" for _ in METRICS)])
            moved = float(subject.chain.layers[0].bytes(subject.dtype))
            values = {L1_BYTES: 2 * moved, L2_BYTES: 1.1 * moved, DRAM_BYTES: moved, OCCUPANCY: 50, TIME: 1e4, WAVES: 1}
            lines.append([str(number), "made_up_kernel", *(f"{values[name]:.0f}" for name in METRICS)])
    table = "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines)
    Path(arguments[at + 1]).write_text(table + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
