"""What LeNet-5 on Fashion-MNIST still knows when synapse vectors go, by who is chosen and by what makes up for them.

    OMP_NUM_THREADS=1 python benchmarks/synapse_accuracy.py [DATA]

Writes ``benchmarks/results/synapse_accuracy.json`` and ``docs/synapses.md``. It needs no GPU and takes a few minutes of
one core. Nothing is fine-tuned after the removal. Samples of inputs are of training images, accuracies and output
errors of test images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from fashion_mnist import BATCH, EPOCHS, accuracy_pct, images, trained
from headroom.change.synapses import (
    ContributionCorrelation,
    Grain,
    Selection,
    Transform,
    VectorCorrelation,
    by_vector,
    flat,
    least_damage,
    output_error,
    search_count,
    transformed,
)
from headroom.change.synapses.sampling import sample_inputs
from headroom.change.synapses.slim import Removal, slim
from headroom.change.synapses.vectors import Floats
from record import ROOT, read_data_folder, write_result
from synapse_page import BASELINES, WAYS, page

SEEDS = (0, 1, 2)
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
#: The middle layers; the first reads 25 pixels and the paper, too, gains nothing there.
GRAINS = {"2": Grain.COLUMN, "5": Grain.FEATURE, "7": Grain.FEATURE}
ROWS, HELD_OUT_ROWS, IMAGES, TESTED = 4000, 2000, 4000, 5000
ERROR_SHARE = 0.5


def main() -> None:
    torch.set_num_threads(1)
    folder = read_data_folder() / "datasets" / "fashion-mnist"
    train, test = images(folder, "train"), tuple(part[:TESTED] for part in images(folder, "t10k"))
    rows, dense, seconds = [], [], []
    for seed in SEEDS:
        started = time.process_time()
        network = trained(*train, seed)
        seconds.append(time.process_time() - started)
        dense.append(accuracy_pct(network, *test))
        print(f"seed {seed}: {dense[-1]:.2f} % after {seconds[-1]:.0f} s of a core", flush=True)
        rows += list(judged(network, train[0], test, seed))
    content = {
        **{"seeds": SEEDS, "epochs": EPOCHS, "batch": BATCH, "torch": torch.__version__},
        **{"sample_rows": ROWS, "sample_images": IMAGES, "tested": TESTED, "error_share": ERROR_SHARE},
        **{"dense_pct": dense, "training_cpu_s": seconds, "rows": rows},
    }
    write_result("synapse_accuracy", content)
    (ROOT / "docs" / "synapses.md").write_text(page(content), "utf-8")


def judged(
    network: nn.Sequential, train: torch.Tensor, test: tuple[torch.Tensor, torch.Tensor], seed: int
) -> Iterator[dict[str, Any]]:
    """A row per choice, share and way."""
    inputs = sample_inputs(network, train[:IMAGES].split(500), GRAINS, rows=ROWS, seed=seed)
    held_out = sample_inputs(network, test[0][:HELD_OUT_ROWS].split(500), GRAINS, rows=HELD_OUT_ROWS, seed=seed)
    weights = {
        name: by_vector(network.get_submodule(name).weight.detach().numpy(), grain) for name, grain in GRAINS.items()
    }
    with torch.no_grad():
        # The first layers stay dense, so their outputs are computed once.
        features = torch.cat([network[:2](part) for part in test[0].split(1000)])
    for choice, choose in choosers(seed).items():
        for share in SHARES:
            chosen = {name: choose(weights[name], inputs[name], share) for name in GRAINS}
            for way, transform, sampled in WAYS:
                if choice in BASELINES and transform is Transform.FOLD:
                    continue  # Nobody represents what they remove.
                removals = {
                    name: Removal(grain, chosen[name], transform, inputs[name] if sampled else None)
                    for name, grain in GRAINS.items()
                }
                row = {"seed": seed, "choice": choice, "share": share, "way": way}
                row["accuracy_pct"] = accuracy_pct(slim(network, removals)[2:], features, test[1])
                if share == ERROR_SHARE:
                    row["output_error"] = {
                        name: output_error(
                            weights[name],
                            transformed(transform, weights[name], chosen[name], removals[name].inputs),
                            held_out[name],
                        )
                        for name in GRAINS
                    }
                yield row


Chooser = Callable[[Floats, Floats, float], Selection]


def choosers(seed: int) -> dict[str, Chooser]:
    """Who decides which vectors go, given a layer's weights, a sample of its inputs and the share to remove."""

    def by_weights(weight: Floats, inputs: Floats, share: float) -> Selection:
        return search_count(VectorCorrelation(flat(weight)), left(weight, share))

    def by_inputs(weight: Floats, inputs: Floats, share: float) -> Selection:
        return search_count(VectorCorrelation(flat(inputs)), left(weight, share))

    def by_both(weight: Floats, inputs: Floats, share: float) -> Selection:
        return search_count(ContributionCorrelation(flat(weight), flat(inputs)), left(weight, share))

    def smallest(weight: Floats, inputs: Floats, share: float) -> Selection:
        return keeping(np.argsort(-np.linalg.norm(flat(weight), axis=0)), left(weight, share))

    def drawn(weight: Floats, inputs: Floats, share: float) -> Selection:
        return keeping(np.random.default_rng(seed).permutation(weight.shape[1]), left(weight, share))

    def by_damage(weight: Floats, inputs: Floats, share: float) -> Selection:
        return least_damage(weight, inputs, left(weight, share))

    found = {"weights": by_weights, "inputs": by_inputs, "contributions": by_both, "least damage": by_damage}
    return found | dict(zip(BASELINES, (smallest, drawn), strict=True))


def left(weight: Floats, share: float) -> int:
    return round(weight.shape[1] * (1 - share))


def keeping(order: np.ndarray, count: int) -> Selection:
    """The first of an order; the others go to nobody in particular."""
    retained = np.sort(order[:count])
    # Their own index would mean that they stay; any other does for the ways that do not fold.
    representative = np.full(len(order), retained[0])
    representative[retained] = retained
    return Selection(1.0, retained, representative, np.zeros(len(order)))


if __name__ == "__main__":
    main()
