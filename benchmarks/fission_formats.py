"""What packing LeNet-5's weights and activations loses, format by format.

    OMP_NUM_THREADS=1 python benchmarks/fission_formats.py [DATA]

Writes ``benchmarks/results/fission_formats.json`` and ``docs/formats.md``. It needs no GPU and takes a few minutes of
one core. Errors are of test images: the root of the mean square, over that of what should have come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from fashion_mnist import EPOCHS, accuracy_pct, images, trained
from fission_format_page import page
from headroom.change.fission import FORMATS, Format
from record import ROOT, read_data_folder, write_result

SEEDS = (0, 1, 2)
LAYERS = ("0", "2", "5", "7")
IMAGES, TESTED = 1000, 5000


def main() -> None:
    torch.set_num_threads(1)
    folder = read_data_folder() / "datasets" / "fashion-mnist"
    train, test = images(folder, "train"), tuple(part[:TESTED] for part in images(folder, "t10k"))
    rows, dense = [], []
    for seed in SEEDS:
        network = trained(*train, seed)
        dense.append(accuracy_pct(network, *test))
        print(f"seed {seed}: {dense[-1]:.2f} %", flush=True)
        rows += [{"seed": seed, **row} for row in judged(network, test)]
    content = {
        **{"seeds": SEEDS, "epochs": EPOCHS, "images": IMAGES, "tested": TESTED, "torch": torch.__version__},
        **{"dense_pct": dense, "rows": rows},
    }
    write_result("fission_formats", content)
    (ROOT / "docs" / "formats.md").write_text(page(content), "utf-8")


def judged(network: nn.Sequential, test: tuple[torch.Tensor, torch.Tensor]) -> Iterator[dict[str, Any]]:
    """A row per format."""
    inputs = inputs_of(network, test[0][:IMAGES])
    originals = {name: network.get_submodule(name).weight.detach().clone() for name in LAYERS}
    for form in FORMATS.values():
        weights = {name: through(form, weight) for name, weight in originals.items()}
        layers = {name: layer_errors(network.get_submodule(name), form, inputs[name], weights[name]) for name in LAYERS}
        put(network, weights)
        weights_pct = accuracy_pct(network, *test)
        hooks = [
            network.get_submodule(name).register_forward_pre_hook(lambda _, read, form=form: through(form, read[0]))
            for name in LAYERS
        ]
        both_pct = accuracy_pct(network, *test)
        for hook in hooks:
            hook.remove()
        put(network, originals)
        yield {"format": form.name, "layers": layers, "weights_pct": weights_pct, "both_pct": both_pct}


def layer_errors(layer: nn.Module, form: Format, inputs: torch.Tensor, weight: torch.Tensor) -> dict[str, float]:
    """Relative errors of a layer's weight, its inputs, and its outputs with the packed weight and with both."""
    original, packed = layer.weight.detach().clone(), through(form, inputs)
    with torch.no_grad():
        wanted = layer(inputs)
        layer.weight.copy_(weight)
        found = {
            "weight": relative(weight, original),
            "input": relative(packed, inputs),
            "output": relative(layer(inputs), wanted),
            "output_both": relative(layer(packed), wanted),
        }
        layer.weight.copy_(original)
    return found


def through(form: Format, values: torch.Tensor) -> torch.Tensor:
    """What is left of values after packing: rows along the first dimension."""
    rows = values.detach().reshape(len(values), -1).numpy()
    return torch.from_numpy(np.ascontiguousarray(form.unpack(form.pack(rows)))).view(values.shape)


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).double().norm() / wanted.double().norm())


def inputs_of(network: nn.Sequential, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for name, layer in network.named_children():
            found[name] = batch
            batch = layer(batch)
    return found


def put(network: nn.Sequential, weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, weight in weights.items():
            network.get_submodule(name).weight.copy_(weight)


if __name__ == "__main__":
    main()
