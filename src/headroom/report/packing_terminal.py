"""A plan of packed layers in a terminal: what is packed, what it costs in error, what it is predicted to save."""

from __future__ import annotations

import itertools

from rich.console import Console
from rich.table import Table
from rich.text import Text

from headroom import figures
from headroom.change.fission.plan import LayerPlan, PackPlan
from headroom.text import view

#: What fits 80 columns beside a name; the rest is in the JSON.
HEADS = ("layer", "format", "output error", "bytes", "packed", "time", "packed time")
#: Layers that are named among those left out.
_NAMED = 3


def render(plan: PackPlan, console: Console) -> None:
    """The plan, layer by layer, and its sum."""
    head = f"{view(plan.model, 80)} on {view(plan.gpu, 40)}, {plan.dtype}, batch {plan.batch}, L2 {plan.l2}"
    console.print(Text(head, style="bold"))
    console.print(_table(plan))
    for line in summary(plan):
        console.print(Text(line))


def summary(plan: PackPlan) -> list[str]:
    """What the plan comes to, in sentences."""
    if not plan.forms:
        aim = "saves time" if plan.goal.value == "time" else "saves memory"
        return [
            f"Nothing is packed: no format {aim} within an output error of {100 * plan.budget:.2g} %.",
            *_left_out(plan),
        ]
    before, after = plan.bytes
    lines = [
        f"{len(plan.forms)} of {len(plan.layers)} layers packed: weights {figures.size(before)} -> "
        f"{figures.size(after)}, output error {100 * plan.output_error:.2g} % on {view(plan.calibration, 60)} "
        f"(budget {100 * plan.budget:.2g} %).",
    ]
    if plan.saves_us > 0:
        saved = f"{figures.time_with_error(plan.saves_us, plan.error_pct)} of {figures.time(plan.total_us)}"
        lines.append(
            f"Measured layer by layer, it saves {saved}."
            if plan.measured
            else f"Predicted to save {saved}; packed kernels were not timed here."
        )
    if plan.quality is not None:
        lines.append(f"The metric goes from {plan.quality[0]:.6g} to {plan.quality[1]:.6g}.")
    return lines + _left_out(plan)


def _left_out(plan: PackPlan) -> list[str]:
    named = [
        f"{view(name, 60)} ({view(reason, 100)})" for name, reason in itertools.islice(plan.left_out.items(), _NAMED)
    ]
    more = f", and {len(plan.left_out) - _NAMED} more" if len(plan.left_out) > _NAMED else ""
    return [f"Left out: {', '.join(named)}{more}."] if named else []


def _table(plan: PackPlan) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for name in HEADS:
        words = name in ("layer", "format")
        table.add_column(name, justify="left" if words else "right", overflow="fold")
    for layer in plan.layers:
        table.add_row(*_row(layer))
    return table


def _row(layer: LayerPlan) -> tuple[str, ...]:
    option = layer.option
    return (
        view(layer.name, 60) or "the network",
        option.form if option else "-",
        f"{100 * option.output_error:.2g} %" if option else "-",
        figures.size(layer.dense_bytes),
        figures.size(option.bytes) if option else "-",
        "-" if layer.time_us is None else figures.time(layer.time_us),
        "-" if option is None or option.time_us is None else figures.time(option.time_us),
    )
