"""What faster plans would gain that no setting of the framework runs: told, and promised by no finding."""

from __future__ import annotations

from collections.abc import Sequence

from headroom import figures
from headroom.advise.case import Case
from headroom.advise.choices import Choices
from headroom.advise.findings.common import counted
from headroom.advise.measurements import implementation_text, shown
from headroom.advise.picks import Pick
from headroom.advise.questions.answer import Cell, Table
from headroom.advise.questions.matmul_precision import in_tf32_us

#: A plan that is this much faster is not the noise of two measurements.
_WORTH = 1.05

_MOST_ROWS = 10

_OUT_OF_REACH = (
    "PyTorch cannot be told which cuDNN plan or cuBLASLt algorithm to run: a custom operator over the cuDNN frontend "
    "can run one by its name, layer by layer. torch.compile's max-autotune does not try these plans; it searches "
    "kernels of its own, and on all three networks that were measured both ways it was slower than reduce-overhead."
)


def plans_out_of_reach(case: Case, choices: Choices, found: Sequence[Pick]) -> Table | None:
    """The layers whose fastest plan no setting of PyTorch runs, what each loses, and what all would save."""
    reached = {pick.layer: _reached_us(case, choices, pick) for pick in found}
    lost_us = {
        pick.layer: reached[pick.layer] - pick.best_us
        for pick in found
        if pick.best.implementation.backend != "torch" and reached[pick.layer] > _WORTH * pick.best_us
    }
    if not lost_us:
        return None
    worst = sorted((pick for pick in found if pick.layer in lost_us), key=lambda p: (-lost_us[p.layer], p.layer))
    rows = tuple(_row(case, pick, reached[pick.layer]) for pick in worst[:_MOST_ROWS])
    heads = ("layer", "as it ran us", "by PyTorch's best setting us", "fastest plan", "by that plan us")
    more = f" {len(lost_us) - len(rows)} lose less than those shown." if len(lost_us) > len(rows) else ""
    total = f"{counted(len(lost_us), 'layer')} would take {figures.time(sum(lost_us.values()), 5.0)} less in all."
    return Table("Faster plans that no setting of PyTorch runs", heads, rows, f"{total}{more} {_OUT_OF_REACH}")


def _row(case: Case, pick: Pick, reached_us: float) -> tuple[Cell, ...]:
    name = case.timed.graph.layers[pick.layer].name
    return name, pick.time_us, reached_us, shown(implementation_text(pick.best.implementation)), pick.best_us


def _reached_us(case: Case, choices: Choices, pick: Pick) -> float:
    """The least that a layer takes as it ran or by a setting."""
    return min((pick.time_us, *pick.settings.values(), in_tf32_us(case, choices, pick) or pick.time_us))
