"""Gates of the Data Fission Unit, by Yosys, beside what the paper gives for its area and power.

    python benchmarks/dfu_gates.py

Needs Yosys and Icarus Verilog (Debian: ``yosys iverilog``). Writes ``benchmarks/results/dfu_gates.json`` and
``docs/dfu.md``.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from dfu_page import page
from record import ROOT, write_result

FOLDER = ROOT / "examples" / "dfu"
#: Name in the table, top module, parameters.
UNITS = (
    ("dfu_cvt_16", "dfu_cvt_16", ""),
    ("dfu_cvt_8, the paper's", "dfu_cvt_8", ""),
    ("dfu_cvt_8 with a zero", "dfu_cvt_8", "-set ZERO 1"),
    ("dfu_cvt_8 without an adder", "dfu_cvt_8_without_adder", ""),
    ("one lane of the paper's", "dfu_lane", ""),
)
#: Gates that a cell library has at least, and NAND alone, which counts in the unit that areas are quoted in.
LIBRARIES = {"gates": "AND,NAND,OR,NOR,XOR,XNOR,MUX,AOI3,OAI3", "nand": "NAND"}


def main() -> None:
    yosys = shutil.which("yosys")
    if yosys is None:
        raise SystemExit("no Yosys here; install yosys")
    units = [{"unit": name, **counted(yosys, top, parameters)} for name, top, parameters in UNITS]
    version = subprocess.run([yosys, "-V"], check=True, capture_output=True, text=True).stdout.strip()
    content = {"yosys": version, "simulation": simulated(), "units": units}
    write_result("dfu_gates", content)
    (ROOT / "docs" / "dfu.md").write_text(page(content), "utf-8")


def counted(yosys: str, top: str, parameters: str) -> dict[str, Any]:
    """Cells by their kind, once with usual gates and once with NAND alone (and inverters), and transistors."""
    found: dict[str, Any] = {}
    for name, gates in LIBRARIES.items():
        chosen = f"chparam {parameters} {top}; " if parameters else ""
        script = (
            f"read_verilog {FOLDER / 'dfu.v'}; {chosen}hierarchy -check -top {top}; synth -flatten -top {top}; "
            f"abc -g {gates}; opt_clean; stat -tech cmos"
        )
        log = subprocess.run([yosys, "-p", script], check=True, capture_output=True, text=True).stdout
        last = log[log.rindex("Printing statistics") :]
        cells = {kind: int(number) for kind, number in re.findall(r"\$_(\w+)_\s+(\d+)", last)}
        found[name] = cells
        transistors = re.search(r"transistors:\s+(\d+)", last)
        found[f"{name}_transistors"] = int(transistors[1]) if transistors else 0
    return found


def simulated() -> str:
    spec = importlib.util.spec_from_file_location("dfu_check", FOLDER / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.check(Path(FOLDER)))


if __name__ == "__main__":
    main()
