"""AlexNet and VGG16 at 224x224 as the DeftNN paper changes them, with random weights: for timing. Loads PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import nn

import headroom as hr
from headroom.change.fission.slim_layers import packed_twin
from headroom.change.synapses.modules import SlimConv2d, SlimLinear
from synapse_layers import LAYERS, PaperLayer

#: Half of the synapse vectors stay: what the paper removes from its IMC.
SHARE = 0.5
FEATURES = {"AlexNet": 36, "VGG16": 49}


def layers_of(network: str, outputs: int = 1000) -> list[PaperLayer]:
    """Convolutions and linear layers in their order; the last has so many outputs."""
    if network == "AlexNet":
        found = [each for each in LAYERS if each.network == "AlexNet"]
    else:
        widths = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
        sizes = (224, 224, 112, 112, 56, 56, 56, 28, 28, 28, 14, 14, 14)
        found = [
            PaperLayer("VGG16", f"conv{i + 1}", widths[i], widths[i + 1], size, 3, 1, 1) for i, size in enumerate(sizes)
        ]
        found += [PaperLayer("VGG16", "fc1", 25088, 4096), PaperLayer("VGG16", "fc2", 4096, 4096)]
        found += [PaperLayer("VGG16", "fc3", 4096, 1000, relu=False)]
    return [*found[:-1], replace(found[-1], outputs=outputs)]


def pooled(network: str, place: int, layers: list[PaperLayer]) -> nn.Module | None:
    """The pooling after a convolution, if there is one."""
    if layers[place].linear or (network == "AlexNet" and layers[place].name in ("conv3", "conv4")):
        return None
    if network == "AlexNet":
        return nn.MaxPool2d(3, 2)
    follows = layers[place + 1]
    return nn.MaxPool2d(2) if follows.linear or follows.size < layers[place].size else None


def built(network: str, layers: list[PaperLayer], made: Callable[[PaperLayer], nn.Module]) -> nn.Sequential:
    """The network of ``made`` layers."""
    modules: list[nn.Module] = []
    for place, layer in enumerate(layers):
        if layer.linear and not layers[place - 1].linear:
            modules.append(nn.Flatten())
        modules.append(made(layer))
        if layer.relu:
            modules.append(nn.ReLU(inplace=True))
        pool = pooled(network, place, layers)
        if pool is not None:
            modules.append(pool)
    return nn.Sequential(*modules).eval()


def dense(layer: PaperLayer) -> nn.Module:
    if layer.linear:
        return nn.Linear(layer.channels, layer.outputs)
    return nn.Conv2d(layer.channels, layer.outputs, layer.kernel, layer.stride, layer.padding)


def narrowed(network: str, layers: list[PaperLayer], share: float = SHARE) -> list[PaperLayer]:
    """Channels gone with the filters that made them, through the flattening too: all hidden widths are ``share``."""
    found = [
        replace(each, channels=each.channels if each is layers[0] else round(share * each.channels),
                outputs=each.outputs if each is layers[-1] else round(share * each.outputs))
        for each in layers
    ]  # fmt: skip
    assert found[-3].channels == found[-4].outputs * FEATURES[network]
    return found


def columns(layer: PaperLayer) -> nn.Module:
    """Half of the columns, in runs of channels, or a linear layer's features; images stay whole."""
    slim: SlimConv2d | SlimLinear = layer.slim(1.0 if layer.channels == 3 else SHARE, True)
    return slim


def packed(network: nn.Module, form: str) -> nn.Module:
    """Linear layers packed, slim ones too."""
    for name, module in list(network.named_children()):
        if isinstance(module, nn.Linear | SlimLinear):
            setattr(network, name, packed_twin(module, form))
    return network


def near(network: nn.Module, form: str) -> nn.Module:
    """Convolutions too, by the kernel that splits beside the arithmetic."""
    for name, module in list(packed(network, form).named_children()):
        if isinstance(module, nn.Conv2d):
            setattr(network, name, hr.PackedConv2d.from_float(module, form))
    return network


def ways(network: str, outputs: int = 1000) -> Mapping[str, Callable[[], nn.Module]]:
    """Every form of the network by its name in the tables, each made when it is asked for; the most telling first."""
    layers = layers_of(network, outputs)
    narrow = narrowed(network, layers)

    def whole() -> nn.Sequential:
        return built(network, layers, dense)

    def slim() -> nn.Sequential:
        return built(network, narrow, dense)

    return {
        "dense": whole,
        "slim, filters too": slim,
        "slim columns": lambda: built(network, layers, columns),
        "packed int8": lambda: packed(whole(), "int8"),
        "packed int4_g128": lambda: packed(whole(), "int4_g128"),
        "slim columns, packed int8": lambda: packed(built(network, layers, columns), "int8"),
        "slim, filters too, packed int8": lambda: packed(slim(), "int8"),
        "near Deft-16Q": lambda: near(whole(), "deft16q"),
        "near int8": lambda: near(whole(), "int8"),
    }


def sample(network: str, batch: int) -> torch.Tensor:
    """Images."""
    return torch.randn(batch, 3, 224, 224)
