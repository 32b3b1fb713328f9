"""``docs/products.md`` from the results of ``benchmarks/product_accuracy.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from page_tables import table

INTRODUCTION = """# Matrix products on GPUs that nothing was fitted on

Written by `python benchmarks/product_accuracy.py`; all digits are in `benchmarks/results/product_accuracy.json`. What
the shipped constants do, which know half of every table's shapes, is in [accuracy.md](accuracy.md).

For each GPU the shared constants were fitted again without a single row of its model, from any source. Then it got one
scale and one additive constant per source, fitted to the least mean absolute relative error, like every model beside
it. Figures are of all its rows.
"""

TENSOR = """## bf16 on tensor cores

The rows are those of NVIDIA's aiconfigurator, under CUDA graphs. Its collectors launch a product with six copies of its
weights in turn (vLLM's, on the L40S) or of both operands (SGLang's, on the A100): small ones stay in the L2 cache in
all their copies, large ones do not. The constants of each GPU come from the other's rows alone. What they are:

- the share of DRAM's and L2's bandwidth that a product's loads reach; of the L2's size, what a cyclic sweep can use,
  half of that on an A100, whose L2 is two halves that each keep what the SMs beside them read;
- the shortest time of a CTA for 64 bytes of K (about 130 ns on both GPUs: a load's way, which a small tile waits for);
- what storing a CTA's results costs its SM, and what dividing K among CTAs adds;
- three of ten SMs draw all that the L2 delivers, fewer do not.

Neighbouring rows of the L40S's table differ by up to a sixth for no reason in the shape (its 350 W bind on long rows).
"""

PLAIN = """## fp32 on plain units

The rows are NeuSight's, with the tile and the parts of K that each kernel's name and grid tell. *Learned utilisation*
is NeuSight's own way: a network learns the utilisation of a tile on the other GPUs (`benchmarks/tile_utilization.py`).
It, the *wave model* and *Headroom* are given the kernel's tile. *Tile chosen*: by the package, which knows what tiles
the library takes for batches on this very GPU, from half of the shapes (no time of it is used). *Library unknown*: the
fastest of all tiles, as on an architecture without a table.

On the P100, sums of more than 6,000 elements lose up to two thirds of the rate, the more the larger both operands are;
no other GPU's rows show that, so a GPU left out cannot know. The T4 lets its clock fall by half in the course of a row,
by how long the row takes: no constant follows that, and a T4 should be read for the ranking only.
"""

AGREEMENT = """## Which tile the library takes

On shapes that nothing was fitted on: how often the package's tile is the kernel's own, and how often the kernel's own
is predicted to take at most a tenth longer (*close*). *Tiles*: m by n, as the kernels' names tell. For single products
the package takes the fastest; the library often takes another that is nearly as fast.
"""

MODELS = (
    "Headroom", "Headroom, tile chosen", "Headroom, library unknown", "learned utilisation", "wave model", "roofline",
)  # fmt: skip
TENSOR_MODELS = ("Headroom", "roofline")

#: Mean errors that were set as targets, in percent.
TARGETS = {"a100-80gb-sxm": 10, "l40s": 12, "plain": 10}


def page(result: Mapping[str, Any]) -> str:
    return "\n".join([*_body(result)]) + "\n"


def _body(result: Mapping[str, Any]) -> Iterator[str]:
    yield INTRODUCTION
    yield TENSOR
    yield from _models(result["tensor"], TENSOR_MODELS)
    yield PLAIN
    yield from _models(result["plain"], MODELS)
    yield AGREEMENT
    yield from table(
        ("source", "GPU", "rows", "same", "close", "tiles"),
        [
            (e["source"], e["gpu"], e["rows"], _share(e["same_share"]), _share(e["close_share"]), ", ".join(e["tiles"]))
            for e in result["agreement"]
        ],
    )


def _models(entries: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterator[str]:
    yield "Mean absolute relative error in percent; in brackets the median.\n"
    yield from table(
        ("source", "GPU left out", "rows", *names, "rank", "target"),
        [
            (
                e["source"], e["gpu"], e["rows"],
                *(f"{s['mean_pct']:.1f} ({s['median_pct']:.1f})" for s in (e["models"][n]["all"] for n in names)),
                f"{e['models']['Headroom']['all']['spearman']:.3f}",
                TARGETS.get(e["gpu"], TARGETS["plain"]),
            )
            for e in entries
        ],
    )  # fmt: skip


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
