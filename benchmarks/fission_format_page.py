"""The page of the manual on packed formats, with the tables that ``fission_formats.py`` measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import fmean
from typing import Any

from page_tables import table

#: Layers of the network by name, as the tables call them.
LAYERS = {"0": "conv 1", "2": "conv 2", "5": "linear 1", "7": "linear 2"}

MANUAL = """# Packed formats

Written by `benchmarks/fission_formats.py`.

What a packed value means, bit by bit, is in `headroom.change.fission.formats`: one file per format, in NumPy, and
that is what kernels are checked against. A row of values is packed along the GEMM's K dimension, code 0 in the lowest
bits of a 32-bit word, and filled up to 16 bytes.
"""

CHOICES = """Where the paper (section 4.2) leaves a choice:

- **Deft-16's rounding.** The paper says which bits are kept. Taken: to nearest; `Deft16(truncated=True)` cuts.
- **Deft-16Q's spill.** "The most significant bits of one value spill into the least significant bits of the other": the
  high value is the word as it stands, the low value the word shifted up. Packing knows the low half when it rounds the
  high one and makes up for it, which costs nothing and brings the error back to Deft-16's.
  `Deft16Q(plain=True)` does not.
- **Deft-8's bias and its zero.** The bias is IEEE's for N bits, 2^(N-1) - 1. Figure 8 adds the difference of the biases
  to every exponent, so that every code is a normal number and none is 0: with 4 exponent bits a zero becomes 0.0078.
  `deft8eN_paper` is that unit to the letter. `deft8eN` gives code 0 the meaning 0 and has a scale per row, since the
  fixed bias misses the range of most weights.
- **Infinity and NaN in 8 bits.** The unit knows neither. Packing saturates; modules refuse weights with either.
"""


HEADS = ("format", "bits", "sign, exponent, mantissa", "rounding", "subnormals", "infinity", "NaN")
_EVEN = "nearest, ties to even"
MEANINGS = (
    ("`half`", 16, "1, 5, 10", _EVEN, "to 2^-24", "from 65520", "kept"),
    ("`deft16`", 16, "1, 8, 7 (bfloat16)", f"{_EVEN}; or cut", "kept", "kept", "kept, quiet"),
    (
        *("`deft16q`", 16, "as Deft-16, the low half below the high value", "the word nearest to it"),
        *("kept; a high 0 becomes one", "low value: kept; high value: largest", "kept, quiet"),
    ),
    ("`deft8eN_paper`", 8, "1, N, 7 - N, the literal unit", _EVEN, "none, and no 0", "largest", "largest"),
    ("`deft8eN`", 8, "1, N, 7 - N, code 0 is 0; a scale per row", _EVEN, "none", "largest", "largest"),
    ("`fp8_e4m3`", 8, "1, 4, 3 (OCP); a scale per row", _EVEN, "kept", "largest, 448", "kept"),
    ("`fp8_e5m2`", 8, "1, 5, 2 (OCP); a scale per row", _EVEN, "kept", "largest, 57344", "kept"),
    ("`int8`", 8, "-127 to 127, offset 128; a scale per row", _EVEN, "none", "largest", "0"),
    ("`int4_g128`", 4, "-7 to 7, offset 8; a scale per 128 values", _EVEN, "none", "largest", "0"),
    ("`int4_g32`", 4, "the same; a scale per 32 values", _EVEN, "none", "largest", "0"),
)


def page(content: dict[str, Any]) -> str:
    return "\n".join((MANUAL, *table(HEADS, MEANINGS), CHOICES, *_measured(content))).rstrip() + "\n"


def _measured(content: dict[str, Any]) -> Iterator[str]:
    dense = fmean(content["dense_pct"])
    yield "## LeNet-5 on Fashion-MNIST"
    yield ""
    yield f"{len(content['seeds'])} seeds, {content['epochs']} epochs, {dense:.2f} % of {content['tested']} test images"
    yield "right in fp32. Nothing is trained after packing. Accuracy: points lost (negative: gained), the mean of the"
    yield "seeds, with every layer's weights packed, and with every layer's inputs packed as well (a scale per image)."
    yield ""
    names = list(dict.fromkeys(row["format"] for row in content["rows"]))
    of = {name: [row for row in content["rows"] if row["format"] == name] for name in names}
    losses = [
        (name, *(f"{dense - fmean(row[key] for row in of[name]):.2f}" for key in ("weights_pct", "both_pct")))
        for name in names
    ]
    yield from table(("format", "weights packed", "weights and inputs packed"), losses)
    for key, title in (
        ("weight", "Error of the weights"),
        ("input", "Error of the activations a layer reads"),
        ("output", "Error of a layer's outputs, weights packed"),
        ("output_both", "Error of a layer's outputs, weights and inputs packed"),
    ):
        yield f"{title}: root mean square in % of the values' own, the mean of the seeds and of"
        yield f"{content['images']} test images."
        yield ""
        rows = [(name, *(_percent(of[name], layer, key) for layer in LAYERS)) for name in names]
        yield from table(("format", *LAYERS.values()), rows)


def _percent(rows: list[dict[str, Any]], layer: str, key: str) -> str:
    share: Callable[[dict[str, Any]], float] = lambda row: row["layers"][layer][key]  # noqa: E731
    return f"{100 * fmean(map(share, rows)):.3g}"
