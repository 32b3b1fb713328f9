"""How far predictions of matrix products are off on GPUs that no constant was fitted on, beside the field's models.

    python benchmarks/product_accuracy.py

Writes ``benchmarks/results/product_accuracy.json`` and ``docs/products.md``. For each GPU the shared constants are
fitted again without any of its rows; then it gets one scale and one constant per source, like every other model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from accuracy import judge, roofline_us
from estimates import chosen, given, sample
from headroom.files import write_whole
from headroom.predict.calibration import load_calibration
from headroom.predict.constants import GemmConstants
from product_fit import THROTTLED, fit_plain_products, fit_tensor, seen_tiles
from product_page import page
from record import ROOT, write_result
from tables import Cases, aiconfigurator_matmuls, deepbench_matmuls, neusight_matmuls
from tile_utilization import TileUtilization

#: Rows of each table of tensor cores' products that a fit looks at.
TENSOR_SAMPLE = 1500


def model_of(case: Cases) -> str:
    """The GPU's model: boards of one model are not new to each other."""
    return case.gpu.id.split("-")[0]


def tensor_transfer() -> list[dict[str, object]]:
    """Each GPU's bf16 products by the constants that the other GPU's rows give."""
    cases = aiconfigurator_matmuls()
    answers = []
    for left in cases:
        rest = [sample(case, TENSOR_SAMPLE) for case in cases if case is not left]
        ours = chosen(left, fit_tensor(rest))[0].time_us
        answers.append(entry(left, [("Headroom", ours), ("roofline", roofline_us(left))]))
    return answers


def plain_transfer() -> list[dict[str, object]]:
    """Each GPU's fp32 products by the constants that the other GPUs' rows give, and so every model that learns."""
    cases = neusight_matmuls("linear") + neusight_matmuls("bmm")
    answers = []
    for name in sorted({model_of(case) for case in cases}):
        rest = [case for case in cases if model_of(case) != name]
        steady = [case for case in rest if case.gpu.id not in THROTTLED]
        constants = fit_plain_products(steady, [c for c in deepbench_matmuls() if model_of(c) != name])
        learned = TileUtilization(rest)
        answers += [entry(left, plain_models(left, constants, learned)) for left in cases if model_of(left) == name]
    return answers


def plain_models(case: Cases, constants: GemmConstants, learned: TileUtilization) -> Iterator[tuple[str, np.ndarray]]:
    yield "Headroom", given(case, constants).time_us
    habit = replace(constants, batched_tiles=load_calibration().plain_matmul.batched_tiles)
    yield "Headroom, tile chosen", chosen(case, habit)[0].time_us
    yield "Headroom, library unknown", chosen(case, constants)[0].time_us
    yield "learned utilisation", learned.predict(case)
    yield "wave model", wave_work(case)
    yield "roofline", roofline_us(case)


def wave_work(case: Cases) -> np.ndarray:
    """Waves of the kernel's own grid times the multiply-adds of a CTA."""
    work, tiles = case.work, case.tiles
    ctas = np.ceil(work.m / tiles.m) * np.ceil(work.n / tiles.n) * work.batch * tiles.splits
    return np.ceil(ctas / case.gpu.sms) * np.ceil(work.k / tiles.splits) * tiles.m * tiles.n / 1e6


def entry(case: Cases, models: Iterable[tuple[str, np.ndarray]]) -> dict[str, object]:
    judged = {name: judge(case, predicted_us) for name, predicted_us in models}
    print(f"{case.source:20} {case.gpu.id:16}", {name: j["all"]["mean_pct"] for name, j in judged.items()})
    return {"source": case.source, "gpu": case.gpu.id, "rows": len(case), "models": judged}


def agreement() -> list[dict[str, object]]:
    """How often the tile that the package chooses is the kernel's own, on shapes that nothing was fitted on.

    *Close*: the kernel's own tile is predicted to take at most a tenth longer than the chosen one.
    """
    constants = load_calibration().plain_matmul
    answers = []
    for case in (c.where(c.held_out) for c in neusight_matmuls("linear") + neusight_matmuls("bmm")):
        best, tiles = chosen(case, constants)
        same = (tiles.m == case.tiles.m) & (tiles.n == case.tiles.n)
        close = given(case, constants).time_us <= 1.1 * best.time_us
        answers.append(
            {
                "source": case.source, "gpu": case.gpu.id, "rows": len(case), "tiles": seen_tiles(case),
                "same_share": round(float(same.mean()), 3), "close_share": round(float(close.mean()), 3),
            }
        )  # fmt: skip
    return answers


def main() -> None:
    result: dict[str, Sequence[dict[str, object]]] = {
        "tensor": tensor_transfer(),
        "plain": plain_transfer(),
        "agreement": agreement(),
    }
    write_result("product_accuracy", result)
    write_whole(ROOT / "docs" / "products.md", page(result))


if __name__ == "__main__":
    main()
