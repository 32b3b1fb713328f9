"""Check the Verilog unit against its Python model in Icarus Verilog, over every code of every exponent width.

python examples/dfu/check.py
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from headroom.change.fission.unit import EXPONENT_BITS, dfu_cvt_8, dfu_cvt_16

HERE = Path(__file__).resolve().parent
SOURCES = ("dfu.v", "dfu_check.v")
RANDOM_WORDS = 2000


def test_words() -> np.ndarray:
    """Every code in every place, and words drawn at random."""
    codes = np.arange(256, dtype=np.uint32)
    alone = [codes << np.uint32(shift) for shift in (0, 8, 16, 24)]
    drawn = np.random.default_rng(0).integers(0, 2**32, RANDOM_WORDS, np.uint32)
    return np.concatenate((*alone, drawn))


def vectors() -> str:
    """A line per test, as ``dfu_check.v`` reads them."""
    words = test_words()
    lines = []
    for bits in EXPONENT_BITS:
        paper = dfu_cvt_8(words, bits)
        zero = paper.view(np.uint32).copy()
        codes = (words[:, None] >> np.arange(0, 32, 8, dtype=np.uint32)) & np.uint32(0x7F)
        zero[codes == 0] &= np.uint32(0x80000000)
        for word, *values in zip(words, paper.view(np.uint32), zero, dfu_cvt_16(words).view(np.uint32), strict=True):
            # The last destination stands first, as Verilog writes its vectors.
            shown = ("".join(f"{value:08x}" for value in each[::-1]) for each in values)
            lines.append(f"{bits:x} {word:08x} {' '.join(shown)}\n")
    return "".join(lines)


def check(sources: Path = HERE) -> str:
    """What the simulator says of the unit in ``sources``: so many tests, so many wrong."""
    compiler, simulator = shutil.which("iverilog"), shutil.which("vvp")
    if compiler is None or simulator is None:
        raise SystemExit("no Icarus Verilog here; install iverilog")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vectors.hex").write_text(vectors())
        program = Path(folder) / "check.vvp"
        subprocess.run([compiler, "-g2005", "-o", program, *(sources / name for name in SOURCES)], check=True)
        done = subprocess.run([simulator, program], check=True, capture_output=True, text=True, cwd=folder)
    return done.stdout.strip()


if __name__ == "__main__":
    print(check())
