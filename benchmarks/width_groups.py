"""Width groups of a zoo of networks: which move, why others cannot, and what Torch-Pruning's graph says of each.

    PYTHONPATH=tests python benchmarks/width_groups.py

Writes ``results/width_groups.json`` and ``docs/width-groups.md``. It needs no GPU and takes a few minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

from change_groups import zoo
from headroom.change.widths.groups import Growth, set_widths, width_groups
from headroom.change.widths.groups.second_opinion import second_opinion
from headroom.errors import HeadroomError
from record import ROOT, write_result

#: Units that every group of a network grows by at once.
_UNITS = 3


def row(name: str, make: Callable[[], zoo.Model]) -> dict[str, Any]:
    """What the search finds in one network."""
    torch.manual_seed(0)
    module, inputs = make()
    started = time.perf_counter()
    groups = width_groups(module.eval(), inputs)
    seconds = time.perf_counter() - started
    opinions = second_opinion(module, inputs, groups)
    reasons = [group.frozen.partition(":")[0] for group in groups.frozen if group.frozen is not None]
    widths = {group.name: group.width + _UNITS * group.unit for group in groups.free}
    grown = []
    for growth in Growth:
        try:
            set_widths(module, inputs, groups, widths, growth=growth)
            grown.append(growth.value)
        except HeadroomError:
            continue
    return {
        "network": name,
        "shows": (make.__doc__ or "").split("\n")[0].rstrip("."),
        "free": len(groups.free),
        "frozen": sorted(reasons),
        "grown_together": grown,
        "agree": sum(opinion.agrees for opinion in opinions),
        "disagreements": [
            {
                "group": opinion.group,
                "only_traced": sorted(map(list, opinion.only_traced)),
                "only_graph": sorted(map(list, opinion.only_graph)),
                "failed": opinion.failed,
            }
            for opinion in opinions
            if not opinion.agrees
        ],
        "seconds": seconds,
    }


def page(rows: list[dict[str, Any]]) -> str:
    """The table and what it says."""
    free, agree = (sum(each[key] for each in rows) for key in ("free", "agree"))
    whole = sum(len(each["grown_together"]) == len(Growth) for each in rows)
    lines = [
        "# Width groups, network by network",
        "",
        "Written by `benchmarks/width_groups.py`; what the columns mean stands in [widths.md](widths.md). The networks",
        "are small forms with the published structure (`tests/change_groups/zoo.py`).",
        "",
        f"**{free} groups of {len(rows)} networks move, each proved on a copy; in {whole} of {len(rows)} networks all",
        "of them grow at once, by zero, copied and fresh channels, and the outputs stay.** Torch-Pruning",
        f"{version('torch-pruning')}'s dependency graph names the same layers for {agree} of them. Where it does not,",
        "the proof speaks for the trace: zero-padded shortcuts that are cut and padded, channel shuffles, grouped",
        "convolutions that lose whole groups or change the width of each.",
        "",
        "| network | what it shows | move | fixed, and why | the dependency graph agrees |",
        "|---|---|---|---|---|",
    ]
    for each in rows:
        reasons = dict.fromkeys(each["frozen"])
        fixed = "; ".join(f"{each['frozen'].count(reason)}: {reason}" for reason in reasons)
        other = f"{each['agree']} of {each['free']}"
        failed = {opinion["failed"] for opinion in each["disagreements"]} - {None}
        if failed:
            other += f" ({', '.join(sorted(failed))})"
        lines.append(f"| {each['network']} | {each['shows']} | {each['free']} | {fixed} | {other} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    networks = {**zoo.NETWORKS, "hrank_resnet56": zoo.hrank_resnet56}
    rows = []
    for name, make in networks.items():
        rows.append(row(name, make))
        print(f"{name}: {rows[-1]['free']} groups in {rows[-1]['seconds']:.1f} s")
    write_result("width_groups", {"torch_pruning": version("torch-pruning"), "torch": torch.__version__, "rows": rows})
    (ROOT / "docs" / "width-groups.md").write_text(page(rows), "utf-8")


if __name__ == "__main__":
    main()
