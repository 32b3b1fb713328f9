"""Tables 4 and 5 of the tail-effect paper, VGG16 and ResNet56 on a P6000 and a Jetson Nano, predicted from sheets.

    python benchmarks/tail_effect_tables.py

Writes ``docs/tail-effect-tables.md`` and ``results/tail_effect_tables.json``; minutes, without a GPU. The paper names
neither the widths nor the batch of these tables. The widths here are those of ``headroom fit --goal latency`` under the
unpruned network, asked for the paper's own saving. The batch of the Nano follows from the printed columns: FLOP/s times
time is 32 times the multiply-adds of Table 2 (35.5 G/s for 60.5 ms are 2.15 G, of 67.0 M each; 25.6 for 82.1, of
65.9 M). On the P6000 no batch fits (104 and 74); 128 is Table 2's.

The two copies of the paper differ elsewhere (Table 3: 82.72 and 82.32 %) and agree here, unit slips included: the times
of Table 4 are nanoseconds, those of Table 5 milliseconds, and two savings do not follow from the printed times
(5.84 to 5.32 is 8.9 %, not 9.0; 67.2 to 58.1 is 13.5, not 13.3). Times are what is used here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page_tables import table
from record import RESULTS, ROOT, write_result

NAME, PAGE = "tail_effect_tables", ROOT / "docs" / "tail-effect-tables.md"


@dataclass(frozen=True)
class Row:
    """A pruned network of Table 4 or 5 and what the paper made of it: milliseconds, millions of parameters."""

    table: int
    gpu: str
    batch: int
    network: str
    unpruned: str
    before_ms: float
    after_ms: float
    before_m: float
    after_m: float

    @property
    def saving(self) -> float:
        return 1 - self.after_ms / self.before_ms


ROWS = (
    Row(4, "p6000", 128, "vgg16-hrank", "vgg16", 4.15, 3.02, 1.90, 2.04),
    Row(4, "p6000", 128, "resnet56-hrank", "resnet56", 5.84, 5.32, 0.48, 0.50),
    Row(5, "jetson-nano", 32, "vgg16-hrank", "vgg16", 60.5, 48.1, 1.90, 2.04),
    Row(5, "jetson-nano", 32, "resnet56-hrank", "resnet56", 82.1, 68.0, 0.48, 0.50),
    Row(5, "jetson-nano", 32, "resnet56-hrank-024", "resnet56", 67.2, 58.1, 0.24, 0.39),
)


def main() -> None:
    found = [predicted(row) for row in ROWS]
    write_result(NAME, {"rows": found})
    PAGE.write_text(page(found), "utf-8")


def predicted(row: Row) -> dict[str, Any]:
    """The pruned network's predicted time, and what ``headroom fit`` makes of it for the paper's saving."""
    import torch

    import headroom as hr
    from trained_networks import NETWORKS, macs_and_parameters

    network, unpruned = (NETWORKS[name].build().eval() for name in (row.network, row.unpruned))
    plan = hr.fit(
        network,
        row.gpu,
        example_inputs=torch.zeros(1, *NETWORKS[row.network].image),
        unpruned=unpruned,
        goal="latency",
        saves=row.saving,
        batch=row.batch,
        dtype="fp32",
        source="predicted",
    )
    problem = plan.space.problem
    grown = problem.total_parameters({**problem.current, **plan.widths}) - problem.total_parameters(problem.current)
    parameters = macs_and_parameters(network, NETWORKS[row.network].image)[1]
    answer = {"table": row.table, "gpu": row.gpu, "network": row.network, "before_ms": plan.before_us / 1e3}
    answer |= {"before_error_ms": plan.space.error_us({}) / 1e3, "after_ms": plan.after_us / 1e3}
    answer |= {"gain_error_ms": plan.error_us / 1e3, "before_m": parameters / 1e6}
    answer |= {"after_m": (parameters + grown) / 1e6, "notes": list(plan.choice.notes)}
    print(answer, flush=True)
    return answer


def page(found: Sequence[dict[str, Any]]) -> str:
    return "\n".join(_lines(found)).rstrip() + "\n"


def _lines(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield from ("# Tables 4 and 5 of the tail-effect paper, predicted", "")
    yield "Written by `benchmarks/tail_effect_tables.py`, which says what the paper leaves open; from sheets, no GPU."
    yield ""
    yield (
        "*Pruned* is HRank's network, *fitted* what came of it: by the paper's algorithm, and here by "
        "`headroom fit --goal latency --unpruned`, asked for the paper's saving, in fp32. The paper's times are "
        "PyTorch 1.6's with cuDNN 7.6.5; predictions sum the layers. The paper's widths are not printed."
    )
    yield ""
    yield (
        "The saving was asked for, so that what can be compared is the time before and the parameters that are kept. "
        "No error bar is smaller than the saving: these plans are uncertain until somebody measures on such a GPU."
    )
    yield ""
    heads = ("network", "pruned, ms: paper", "predicted", "off", "fitted, ms: paper", "predicted", "saving: paper")
    heads += ("predicted", "parameters, M: paper", "fitted here")
    for number, title in ((4, "Quadro P6000, batch 128"), (5, "Jetson Nano, batch 32")):
        yield from (f"## Table {number}: {title}", "")
        pairs = [(row, each) for row, each in zip(ROWS, found, strict=True) if row.table == number]
        yield from table(heads, [_cells(row, each) for row, each in pairs])
        for row, each in pairs:
            yield from (f"- {row.network}: {note}" for note in each["notes"])


def _cells(row: Row, each: dict[str, Any]) -> tuple[str, ...]:
    saved = 1 - each["after_ms"] / each["before_ms"]
    return (
        row.network,
        f"{row.before_ms:.2f}",
        f"{each['before_ms']:.2f} ±{each['before_error_ms']:.2f}",
        f"{100 * (each['before_ms'] / row.before_ms - 1):+.0f} %",
        f"{row.after_ms:.2f}",
        f"{each['after_ms']:.2f}",
        f"{100 * row.saving:.1f} %",
        f"{100 * saved:.1f} % ±{100 * each['gain_error_ms'] / each['before_ms']:.1f}",
        f"{row.before_m:.2f} → {row.after_m:.2f}",
        f"{each['before_m']:.2f} → {each['after_m']:.2f}",
    )


def rows_in(path: Path = RESULTS / f"{NAME}.json") -> list[dict[str, Any]]:
    return list(json.loads(path.read_text("utf-8"))["rows"])


if __name__ == "__main__":
    main()
