"""The page of the manual on synapse vectors, with the tables that ``synapse_accuracy.py`` measured."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any

from headroom.change.synapses import Transform

#: Layers of the network by name, as the tables call them.
LAYERS = {"2": "second convolution, K = 500", "5": "first linear layer, K = 800", "7": "second linear layer, K = 500"}
#: What makes up for removed vectors: name in the tables, transform, and whether it is given the sample.
WAYS = (
    ("truncate", Transform.TRUNCATE, False),
    ("scale by K/(K-D), the paper's", Transform.SCALE, False),
    ("fold by the search's correlation", Transform.FOLD, False),
    ("fold by a sample of inputs", Transform.FOLD, True),
    ("solve on a sample of inputs", Transform.SOLVE, True),
)
#: Who decides without a search.
BASELINES = ("smallest weights go", "drawn at random")

MANUAL = """# Fewer synapse vectors

Written by `benchmarks/synapse_accuracy.py`.

A synapse vector is one index of a GEMM's K dimension: an input feature of a linear layer, a (channel, r, s) or a whole
input channel of a convolution. The DeftNN paper (section 4.1) removes those that another one is like, and what is left
is a smaller dense layer. `headroom.change.synapses` has its search and its transform, and ways past the paper to make
up for what went. It is a library so far. **Times on a GPU are not measured yet, and nothing here is fine-tuned**: the
tables say what the choices lose before that. What the search itself costs stands in
[synapse-search.md](synapse-search.md).

```python
import torch
from torch import nn

from headroom.change.synapses import Grain, Transform, VectorCorrelation, flat, round_up, search
from headroom.change.synapses.sampling import sample_inputs
from headroom.change.synapses.slim import Removal, slim

network = nn.Sequential(nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 10))
inputs = sample_inputs(network, torch.randn(8, 64, 16), {"2": Grain.FEATURE}, rows=512)["2"]
selection = round_up(search(VectorCorrelation(flat(inputs)), 0.5), 32)
smaller = slim(network, {"2": Removal(Grain.FEATURE, selection, Transform.SOLVE, inputs)})
```

- **Who goes** (`search`): every vector represents those whose correlation with it reaches the threshold; the one that
  represents most stays and those go; again among the rest. Correlated are the weights, as in the paper, a sample of
  the inputs, or contributions: the outer products of both, which is what a vector adds to the outputs. `round_up` takes
  back those represented worst, up to a multiple or to the next of the counts that a staircase along K shows to be worth
  having; `search_count` finds the threshold for a count. Past the paper, `least_damage` removes, one by one, the vector
  without which a sample's outputs move least when all others make up for it.
- **What makes up for it** (`Transform`): nothing; the paper's K / (K - D); `fold`, which adds each removed vector's
  weights to its representative's, times the search's correlation or, with a sample of inputs, by least squares with a
  share for the bias; `solve`, the normal equations of all retained inputs on a sample.
- **What runs** (`modules`): `SlimLinear` and `SlimConv2d` gather and multiply, right on any device and compiled as a
  whole; `SlimChannels` is a selection and an ordinary smaller convolution. `save_slim` and `load_slim` write a state
  dict and JSON; nothing in them is executed. Layers with groups stay dense.
- **How much of which layer** (`Front`): from a table of times and losses per layer and threshold, the compositions that
  no other one beats, and the nearest of them to a speedup or a loss. Losses of layers are added up, which is an
  assumption: measure the one you take.

Where the paper leaves a choice: counts are those among the remaining vectors; correlation is compared with its sign, so
opposite vectors do not represent each other; zero vectors go without a representative and do not count in K / (K - D);
other constant vectors have no correlation and stay; of equal counts the first stays.
"""


def page(content: dict[str, Any]) -> str:
    """The whole page."""
    tables = [*setting(content), *accuracy_table(content), *error_table(content), *reading(content)]
    return "\n".join([*MANUAL.splitlines(), "", *tables]) + "\n"


def setting(content: dict[str, Any]) -> list[str]:
    dense = content["dense_pct"]
    return [
        "## LeNet-5 on Fashion-MNIST",
        "",
        f"{len(content['seeds'])} seeds, {content['epochs']} epochs at batch {content['batch']}, dense accuracy"
        f" {fmean(dense):.2f} % ({', '.join(f'{each:.2f}' for each in dense)}).",
        "The same share goes from the second convolution's 500 im2col columns, the first linear layer's 800 inputs and",
        f"the second one's 500, at once. A sample of inputs is {content['sample_rows']} rows of"
        f" {content['sample_images']} training images. *Who goes* is",
        "decided by the paper's search over correlations of weights, of inputs, or of contributions; by least damage",
        "on the sample; or, to compare with, by the smallest weight norm or at random.",
        "",
    ]


def accuracy_table(content: dict[str, Any]) -> list[str]:
    rows, shares = content["rows"], shares_of(content)
    means = {
        (row["choice"], row["way"], row["share"]): fmean(accuracies(rows, row["choice"], row["way"], row["share"]))
        for row in rows
    }
    best = {share: max(value for key, value in means.items() if key[2] == share) for share in shares}
    lines = [
        f"Accuracy in % on the first {content['tested']} test images, the mean of the seeds, by share removed; the",
        "best of each column in bold.",
        "",
        f"| who goes | what makes up for them |{''.join(f' {share:.0%} |' for share in shares)}",
        f"|---|---|{'---|' * len(shares)}",
    ]
    for choice, way in dict.fromkeys((row["choice"], row["way"]) for row in rows):
        cells = [
            f"**{value:.1f}**" if value == best[share] else f"{value:.1f}"
            for share, value in ((share, means[choice, way, share]) for share in shares)
        ]
        lines.append(f"| {choice} | {way} | {' | '.join(cells)} |")
    near = [key for key, value in means.items() if value > fmean(content["dense_pct"]) - 5]
    spread = max(stdev(accuracies(rows, *key)) for key in near)
    lines += ["", f"Where the mean is within 5 points of the dense one, seeds spread by up to {spread:.1f} points.", ""]
    return lines


def shares_of(content: dict[str, Any]) -> list[float]:
    return list(dict.fromkeys(row["share"] for row in content["rows"]))


def accuracies(rows: list[dict[str, Any]], choice: str, way: str, share: float) -> list[float]:
    wanted = (choice, way, share)
    return [row["accuracy_pct"] for row in rows if (row["choice"], row["way"], row["share"]) == wanted]


def error_table(content: dict[str, Any]) -> list[str]:
    rows = [row for row in content["rows"] if "output_error" in row]
    lines = [
        f"How far each layer's outputs then are from the dense one's, {content['error_share']:.0%} removed, on",
        "held-out inputs (Frobenius norm, as a share; mean of the seeds):",
        "",
        f"| who goes | what makes up for them |{''.join(f' {name} |' for name in LAYERS.values())}",
        f"|---|---|{'---|' * len(LAYERS)}",
    ]
    for choice, way in dict.fromkeys((row["choice"], row["way"]) for row in rows):
        same = [row["output_error"] for row in rows if (row["choice"], row["way"]) == (choice, way)]
        cells = " | ".join(f"{fmean(each[name] for each in same):.2f}" for name in LAYERS)
        lines.append(f"| {choice} | {way} | {cells} |")
    return [*lines, ""]


def reading(content: dict[str, Any]) -> list[str]:
    """Points lost, each choice at its best."""
    rows, dense = content["rows"], fmean(content["dense_pct"])
    choices = list(dict.fromkeys(row["choice"] for row in rows))
    shares = shares_of(content)
    lines = [
        "Points lost before any fine-tuning, each choice with the way that suits it best at that share:",
        "",
        f"| who goes |{''.join(f' {share:.0%} |' for share in shares)}",
        f"|---|{'---|' * len(shares)}",
    ]
    for choice in choices:
        ways = list(dict.fromkeys(row["way"] for row in rows if row["choice"] == choice))
        best = [max(fmean(accuracies(rows, choice, way, share)) for way in ways) for share in shares]
        lines.append(f"| {choice} | {' | '.join(f'{dense - value:.1f}' for value in best)} |")
    paper = [dense - fmean(accuracies(rows, "weights", WAYS[1][0], share)) for share in shares]
    lines.append(f"| the paper: weights, scaled by K/(K-D) | {' | '.join(f'{lost:.1f}' for lost in paper)} |")
    return lines
