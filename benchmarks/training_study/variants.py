"""How each variant of a network is made of its parent, before it is trained on.

Every variant of a network starts from the same trained network of the same seed and is trained on for as long. What a
tool cannot do is raised as :class:`LeftOut` and kept as a row with the reason.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from headroom.change.training import accuracy_pct
from headroom.change.widths.groups import Axis, Growth, Member, WidthGroup, WidthGroups, taylor_importance
from trained_networks import macs_and_parameters
from training_study.data import ImageSet
from training_study.shapes import Scores, Shape, apart, transferred

#: Training images that criteria see. Our own cuts choose channels by first-order Taylor scores of BatchNorm's gates.
SEEN = 2000

#: Torch-Pruning's ratios, each of which is tried: with ``round_to`` it leaves layers whole that would get too narrow,
#: so that a larger ratio may need more multiply-adds.
RATIOS = tuple(step / 40 for step in range(1, 40))

#: Padded networks may differ by this share of the largest output, in float64.
_SAME = 1e-6


class LeftOut(Exception):  # noqa: N818  # no error: a tool's limit, kept beside the figures
    """The variant cannot be made; the text says why."""


@dataclass(frozen=True)
class Parent:
    """What a variant is made of: a trained network on the CPU, its images, and the seed."""

    module: nn.Module
    image: tuple[int, int, int]
    images: ImageSet
    seed: int

    @property
    def macs(self) -> int:
        return macs_and_parameters(self.module, self.image)[0]


Maker = Callable[[Parent], nn.Module]


def cut(shape: Shape) -> Maker:
    """The parent at other widths: its channels of largest score, and fresh ones where it is too narrow."""
    return lambda parent: transferred(parent.module, shape, gate_scores(parent), Growth.FRESH, parent.seed)


def padded(shape: Shape) -> Maker:
    """The parent with channels of zeros, shown to compute the same."""

    def make(parent: Parent) -> nn.Module:
        found = transferred(parent.module, shape, {}, Growth.ZERO)
        images = torch.randn(4, *parent.image, generator=torch.Generator().manual_seed(0))
        if not apart(parent.module, found, images) < _SAME:
            raise LeftOut("these widths cannot be padded to without another function")
        return found

    return make


def gate_scores(parent: Parent) -> Scores:
    """First-order Taylor scores of the channels behind each BatchNorm, by its name."""
    sample = parent.images.sample(SEEN)
    module = copy.deepcopy(parent.module).to(sample.inputs.device)
    gates = [name for name, each in module.named_modules() if isinstance(each, _NormBase)]
    groups = []
    for name in gates:
        axis, width = Axis(f"{name}.weight", 0), module.get_submodule(name).num_features
        groups.append(WidthGroup(name, width, 1, (Member(axis, width, ((0, width),)),), {}))
    found = taylor_importance(module, WidthGroups(tuple(groups)), sample.epoch(0))
    return {axis.layer: score for axis, score in found.items()}


def torch_pruned(macs: int, round_to: int | None = None) -> Maker:
    """Torch-Pruning's magnitude pruner at one ratio for all layers: that of most multiply-adds within ``macs``.

    Left alone: what zero-padded shortcuts join, because that pruner breaks them, and linear layers, as HRank does.
    """

    def make(parent: Parent) -> nn.Module:
        every = (_torch_pruned(parent, ratio, round_to) for ratio in RATIOS)
        sized = ((macs_and_parameters(each, parent.image)[0], each) for each in every)
        fitting = ((size, each) for size, each in sized if size <= macs)
        _, best = max(fitting, key=lambda pair: pair[0], default=(0, None))
        if best is None:
            raise LeftOut(f"no ratio gives {macs} multiply-adds or fewer")
        return _rebuilt(best)

    return make


def _torch_pruned(parent: Parent, ratio: float, round_to: int | None) -> nn.Module:
    import torch_pruning

    module = copy.deepcopy(parent.module).eval()
    streams = [each for name, each in module.named_modules() if name == "conv1" or name.endswith("conv2")]
    linear = [each for each in module.modules() if isinstance(each, nn.Linear)]
    pruner = torch_pruning.pruner.MagnitudePruner(
        module,
        torch.zeros(1, *parent.image),
        importance=torch_pruning.importance.MagnitudeImportance(p=1),
        pruning_ratio=ratio,
        round_to=round_to,
        ignored_layers=[*linear, *streams],
    )
    pruner.step()
    return module


def fast_nas(macs: int) -> Maker:
    """ModelOpt's FastNAS at no more multiply-adds than ``macs``, ranked by accuracy on training images."""

    def make(parent: Parent) -> nn.Module:
        try:
            import modelopt.torch.prune as mtp
        except ImportError as error:
            raise LeftOut("nvidia-modelopt is not installed") from error
        device = parent.images.train[0].device
        sample = parent.images.sample(SEEN)
        config = {"data_loader": list(sample.epoch(0)), "score_func": lambda each: accuracy_pct(each, sample)}
        try:
            pruned, _ = mtp.prune(
                copy.deepcopy(parent.module).to(device),
                mode="fastnas",
                constraints={"flops": f"{100 * macs / parent.macs:.1f}%"},
                dummy_input=torch.zeros(1, *parent.image, device=device),
                config=config,
            )
        # Whatever a foreign search stumbles over on these networks is its limit here.
        except Exception as error:
            raise LeftOut(f"FastNAS failed with {type(error).__name__}: {str(error).splitlines()[0][:120]}") from error
        return _rebuilt(pruned.cpu())

    return make


def _rebuilt(pruned: nn.Module) -> nn.Module:
    """The network that a tool changed in place, made anew by our own classes: any other change shows."""
    found = Shape.of(pruned).build()
    try:
        found.load_state_dict(pruned.state_dict())
    except RuntimeError as error:
        raise LeftOut(f"it changes more than widths: {' '.join(str(error).split())[:120]}") from error
    return found


def masked(share: float) -> Maker:
    """Magnitude pruning: the smallest weights of the whole network are zero, and stay so while it is trained on."""

    def make(parent: Parent) -> nn.Module:
        module = copy.deepcopy(parent.module)
        weights = weights_of(module)
        sizes = torch.cat([each.detach().abs().flatten() for each in weights])
        least = float(sizes.kthvalue(max(1, round(share * sizes.numel()))).values)
        with torch.no_grad():
            for each in weights:
                each.mul_(each.abs() > least)
        return module

    return make


def two_of_four(parent: Parent) -> nn.Module:
    """Of every four weights along the inputs the two smallest are zero: what sparse tensor cores skip."""
    module = copy.deepcopy(parent.module)
    with torch.no_grad():
        for each in weights_of(module):
            rows = each.flatten(1)
            if rows.shape[1] % 4 == 0:
                fours = rows.view(len(rows), -1, 4)
                kept = torch.zeros_like(fours).scatter_(2, fours.abs().topk(2, dim=2).indices, 1.0)
                each.mul_(kept.view_as(each))
    return module


def weights_of(module: nn.Module) -> list[nn.Parameter]:
    """The weights that pruning by masks takes from."""
    return [layer.weight for layer in module.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]


def keeping_zeros(module: nn.Module) -> Callable[[], None]:
    """What holds weights at zero that are zero now."""
    weights = weights_of(module)
    masks = [each.detach() != 0 for each in weights]

    @torch.no_grad()
    def keep() -> None:
        for weight, mask in zip(weights, masks, strict=True):
            weight.mul_(mask)

    return keep
