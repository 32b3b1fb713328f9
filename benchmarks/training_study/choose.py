"""Widths of the fitted variants: what each goal of ``headroom fit`` chooses for the pruned networks on an H200.

What is trained on stays under the unpruned network, as with ``--unpruned``; zeros cost nothing to train.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import torch

from headroom.advise.stored import measurements_of
from headroom.change.widths.fit.ceilings import under
from headroom.change.widths.fit.choice import Asked
from headroom.change.widths.fit.goals import GOALS
from headroom.change.widths.fit.plan import plan_of
from headroom.change.widths.fit.space import space_of
from headroom.change.widths.fit.targets import target_of
from headroom.change.widths.fit.times import Clock
from headroom.change.widths.groups import set_widths
from headroom.files import write_whole
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.store.default import open_for_reading
from trained_networks import NETWORKS
from training_study.jobs import CHOSEN, TARGETS, chosen_widths
from training_study.shapes import Shape

BATCH, DTYPE = 128, DataType.BF16

#: Shares of the latency to save: a little more than the figures to reach, because tables are not the network.
SAVES = {"vgg16-hrank": 0.38, "resnet56-hrank": 0.23, "resnet56-hrank-024": 0.23}
SAVES |= {"resnet56-soft-1": 0.23, "resnet56-soft-2": 0.23}


def choose(targets: Iterable[str], db: str | None = None) -> None:
    """Choose what is missing of each target's widths, and keep it; to choose anew, take the entry out of the file."""
    gpu = load_gpu("h200")
    for target in targets:
        found = dict(chosen_widths().get(target, {}))
        goals = (("lossless", Asked()), ("latency", Asked(saves=SAVES[target])), ("accuracy", Asked()))
        missing = [each for each in goals if each[0] not in found]
        if not missing:
            continue
        known = NETWORKS[target]
        module, inputs = known.build().eval(), torch.zeros(1, *known.image)
        network = target_of(module, inputs).network(BATCH)
        unpruned = target_of(NETWORKS[_parent(target)].build().eval(), inputs).graph(BATCH)
        with open_for_reading(db) as store:
            clock = Clock(gpu, DTYPE, "warm", measurements_of(store, network.graph, gpu, DTYPE, "warm", None))
        for name, asked in missing:
            goal = GOALS[name]
            plan = plan_of(
                space_of(network if goal.lossless else under(network, unpruned), clock, goal.bounds), goal, asked
            )
            changed = set_widths(module, inputs, network.groups, plan.widths)
            found[name] = {**Shape.of(changed).to_json(), "before_us": plan.before_us, "after_us": plan.after_us}
            print(
                f"{target} {name}: {plan.before_us:.1f} to {plan.after_us:.1f} us, {found[name]['widths']}", flush=True
            )
        # Only then, because others may have been kept meanwhile.
        write_whole(CHOSEN, json.dumps({**chosen_widths(), target: found}, indent=1) + "\n")


def _parent(target: str) -> str:
    """The network that a target is pruned from."""
    return next(network for network, targets in TARGETS.items() if target in targets)
