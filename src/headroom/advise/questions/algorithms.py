"""Question 3: are the algorithms optimal?

Per convolution and matrix product: the implementation that ran, the fastest one measured, the loss between them, and
how much of it each setting of the framework recovers, by the rows of PyTorch's own choices (Benanza, question 3).
"""

from __future__ import annotations

from collections.abc import Sequence

from headroom import figures
from headroom.advise.case import Case
from headroom.advise.choices import Choices, Setting
from headroom.advise.findings.common import counted
from headroom.advise.measurements import implementation_text
from headroom.advise.picks import SETTINGS, Pick, picks
from headroom.advise.questions.answer import Answer, Cell, Table
from headroom.advise.questions.matmul_precision import allowed_products
from headroom.advise.questions.pinned import plans_out_of_reach
from headroom.advise.questions.tuning import NAMES, tuned
from headroom.advise.recorded import Recorded

NUMBER = 3
QUESTION = "Are the algorithms optimal?"

_MOST_ROWS = 30

#: Characters of a plan's or kernel's name in a table.
_MOST_NAME = 60


def algorithms(case: Case) -> Answer:
    """What was picked beside what is best, layer by layer, and the settings that recover the difference."""
    choices, run = Choices.of(case), Recorded.of(case)
    found = picks(choices, run)
    if not found:
        return Answer(NUMBER, QUESTION, "Unknown: nothing tells how long each implementation takes.", needs=_MEASURE)
    settings = (*tuned(case, choices, run, found), *allowed_products(case, choices, run, found))
    findings = tuple(sorted(settings, key=lambda finding: -finding.saves_us))
    tables = (_totals(found), _layers(case, found), plans_out_of_reach(case, choices, found))
    return Answer(
        number=NUMBER,
        question=QUESTION,
        sentence=_sentence(found, run),
        findings=findings,
        tables=tuple(filter(None, tables)),
        needs="" if run else _PROFILE,
    )


_MEASURE = "`headroom measure MODEL` times every implementation of each layer on this GPU."
_PROFILE = (
    "Without a profile of a GPU, PyTorch's default (NCHW, no cudnn.benchmark) is taken for what runs; `headroom "
    "analyze MODEL --profile trace.json` looks at what did."
)


def _sentence(found: Sequence[Pick], run: Recorded | None) -> str:
    time_us, best_us = sum(pick.time_us for pick in found), sum(pick.best_us for pick in found)
    slower = [pick for pick in found if pick.loss_us > 0.1 * pick.best_us]
    ran = "ran" if run else "run by PyTorch's default"
    if not slower:
        return (
            f"Yes: all {counted(len(found), 'convolution and product', 'convolutions and products')} {ran} within "
            "10 % of the fastest implementation measured."
        )
    return (
        f"{len(slower)} of {counted(len(found), 'convolution and product', 'convolutions and products')} {ran} more "
        f"than 10 % above the fastest implementation measured: {figures.time(time_us, 3.0)} in total instead of "
        f"{figures.time(best_us, 3.0)}."
    )


def _totals(found: Sequence[Pick]) -> Table:
    """All layers under each setting; a layer without a row of a setting counts as it ran."""
    ran_us, best_us = sum(pick.time_us for pick in found), sum(pick.best_us for pick in found)
    rows: list[tuple[Cell, ...]] = [("as it ran", ran_us, None)]
    for setting in SETTINGS:
        total_us = sum(pick.settings.get(setting, pick.time_us) for pick in found)
        rows.append((NAMES[setting], total_us, _recovered(ran_us, total_us, best_us)))
    rows.append(("the fastest implementation of every layer", best_us, 100.0))
    heads = ("convolutions and products", "time us", "of the loss recovered %")
    return Table("What settings recover", heads, tuple(rows), note="The time of the kernels alone, layer by layer.")


def _recovered(ran_us: float, total_us: float, best_us: float) -> float | None:
    return None if ran_us <= best_us else 100 * (ran_us - total_us) / (ran_us - best_us)


def _layers(case: Case, found: Sequence[Pick]) -> Table:
    """The layers that lose most."""
    worst = sorted(found, key=lambda pick: (-pick.loss_us, pick.layer))[:_MOST_ROWS]
    rows = []
    for pick in worst:
        ran = pick.kernel if pick.row is None else implementation_text(pick.row.implementation)
        gains = (_gain_us(pick, setting) for setting in SETTINGS[:3])
        best = implementation_text(pick.best.implementation)
        layer = case.timed.graph.layers[pick.layer]
        rows.append(
            (
                layer.name,
                layer.module,
                ran[:_MOST_NAME],
                pick.time_us,
                best[:_MOST_NAME],
                pick.best_us,
                pick.loss_us,
                *gains,
            )
        )
    heads = (
        "layer", "module", "picked", "time us", "best plan", "best us", "loss us",
        *(f"{NAMES[setting]} recovers us" for setting in SETTINGS[:3]),
    )  # fmt: skip
    more = len(found) - len(worst)
    return Table("Picked and best, by layer", heads, tuple(rows), f"{more} more lose less." if more else "")


def _gain_us(pick: Pick, setting: Setting) -> float | None:
    time_us = pick.settings.get(setting)
    return None if time_us is None else pick.time_us - time_us
