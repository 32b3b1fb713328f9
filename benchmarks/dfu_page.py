"""The page of the manual on the Data Fission Unit, with the gates that ``dfu_gates.py`` counted."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from page_tables import table

#: The paper, section 5.5, on a Titan X (Pascal): its area and power for all units together.
PAPER_AREA_MM2, PAPER_AREA_PCT, PAPER_POWER_W = 1.20, 0.25, 2.48
#: Floating-point units of that GPU, each with a unit of its own: 28 SMs of 128.
UNITS = 3584
#: A NAND of two inputs in the open 45 nm library of Nangate, in square micrometres.
NAND_UM2 = 0.798

MANUAL = """# The unit that does not exist

Written by `benchmarks/dfu_gates.py`.

The DeftNN paper adds a Data Fission Unit to every floating-point unit of a GPU (section 4.2.3, Figure 8) and gives it
two instructions. `headroom.change.fission.unit` is their model, bit by bit:

- `dfu_cvt_16` splits a word of Deft-16Q into two fp32 registers: a zero-padded shift and a copy.
- `dfu_cvt_8` splits a word of Deft-8 into four, with the exponent's width N as an immediate. The difference of the
  biases, 127 - (2^(N-1) - 1), is found once; each exponent is added to it, each mantissa shifted to the top and
  padded to 23 bits, each sign copied.

`examples/dfu/dfu.v` is the unit in Verilog. `python examples/dfu/check.py` compares it with the model in Icarus
Verilog: every code in every place at every width of the exponent, and words drawn at random.

Two things that the paper does not have are beside it. A unit that gives code 0 the meaning 0
([formats.md](formats.md) says why a network wants that). And one without an adder: 128 - 2^(N-1) is a run of ones, so
that the sum is the exponent's top bit, then its complement as often as bits are missing, then the exponent's rest. It
gives the same bits in fewer gates.
"""


def page(content: dict[str, Any]) -> str:
    return "\n".join((MANUAL, *_counted(content))).rstrip() + "\n"


def _counted(content: dict[str, Any]) -> Iterator[str]:
    yield "## Gates"
    yield ""
    yosys = content["yosys"].split("(")[0].strip()
    yield f"{yosys}, combinational, without a cell library: a count, no layout. In simulation: {content['simulation']}."
    yield ""
    rows = [
        (unit["unit"], sum(unit["gates"].values()), unit["gates_transistors"], _nands(unit))
        for unit in content["units"]
    ]
    yield from table(("unit", "gates", "transistors (CMOS)", "of NAND and NOT alone"), rows)
    whole = [unit for unit in content["units"] if unit["unit"] in ("dfu_cvt_16", "dfu_cvt_8, the paper's")]
    equivalents = sum(unit["gates_transistors"] for unit in whole) / 4
    um2, of_paper_um2 = equivalents * NAND_UM2, PAPER_AREA_MM2 * 1e6 / UNITS
    yield "## Beside the paper"
    yield ""
    yield textwrap.fill(
        f"The paper synthesised both instructions with a 45 nm library: {PAPER_AREA_MM2:.2f} mm2, {PAPER_AREA_PCT} % "
        f"of a Titan X (Pascal) (section 4.2.3 says 0.22 %), and {PAPER_POWER_W} W, 0.99 %. That is "
        f"{of_paper_um2:.0f} um2 and {1e3 * PAPER_POWER_W / UNITS:.2f} mW for each of its {UNITS} floating-point "
        f"units. Ours has the transistors of {equivalents:.0f} NAND gates; at {NAND_UM2} um2 each, as in an open "
        f"45 nm library, that is {um2:.0f} um2, {100 * um2 / of_paper_um2:.0f} % of the paper's: the area is "
        "believable. How close it comes is chance: a count has no wires and no drivers for writes of 64 and 128 "
        "bits, and theirs is another library. Power needs a layout and an activity; none is given here.",
        118,
    )


def _nands(unit: dict[str, Any]) -> int:
    return sum(unit["nand"].values())
