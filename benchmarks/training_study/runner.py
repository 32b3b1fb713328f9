"""One job after the other: each is made, trained, judged and kept, and goes on where a kill or the limit stopped it.

A job's folder holds ``made.json`` and ``weights.pt`` (before training), ``run.pt`` (the checkpoint, while it trains),
``trained.pt`` and, last of all, ``row.json``: a job with a row is done.
"""

from __future__ import annotations

import copy
import json
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import headroom
from cifar_networks import Resnet, Vgg16
from headroom.change.saved import read_weights, write_tensors
from headroom.change.synapses.stored import load_slim, save_slim
from headroom.change.training import accuracy_pct, train
from headroom.files import write_whole
from trained_networks import NETWORKS, macs_and_parameters
from training_study.data import ImageSet, image_set
from training_study.jobs import BUDGETS, Job, recipe_text
from training_study.shapes import Shape
from training_study.slimming import Slimmed
from training_study.variants import LeftOut, Parent, keeping_zeros, weights_of

#: Epochs of rehearsals.
REHEARSED_EPOCHS = 2


@dataclass(frozen=True)
class Place:
    """Where jobs run and what they read: ``work`` holds their folders, ``data`` the shared data."""

    work: Path
    data: Path
    device: str
    rehearsal: bool = False

    def folder(self, key: str) -> Path:
        return self.work / key.replace("/", "_")

    def images(self, network: str) -> ImageSet:
        return image_set(data_of(network, self.rehearsal), self.data, self.work / "images", self.device)


def data_of(network: str, rehearsal: bool) -> str:
    """The name of the images that a network is trained on."""
    known = NETWORKS[network]
    return f"made-up-{known.image[0]}" if rehearsal else known.data


def run_all(jobs: Iterable[Job], place: Place, limit_s: float) -> int:
    """Run jobs until the time is up; return how many are left."""
    end = time.monotonic() + limit_s
    images: dict[str, ImageSet] = {}
    left = 0
    for job in jobs:
        if (place.folder(job.key) / "row.json").exists():
            continue
        if time.monotonic() >= end or (job.parent is not None and not _is_done(place, job.parent_key)):
            left += 1
            continue
        images.setdefault(job.network, place.images(job.network))
        if not run(job, place, images[job.network], end - time.monotonic()):
            left += 1
    return left


def _is_done(place: Place, key: str) -> bool:
    return (place.folder(key) / "trained.pt").exists()


def run(job: Job, place: Place, images: ImageSet, limit_s: float) -> bool:
    """Make, train and judge one network; return whether it is done."""
    folder = place.folder(job.key)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if not (folder / "made.json").exists():
            _make(job, place, images, folder)
    except LeftOut as reason:
        _write_row(folder, {**_about(job, place), "left_out": str(reason)})
        print(f"{job.key}: left out, {reason}", flush=True)
        return True
    module = load(folder, job.network).to(place.device)
    told = json.loads((folder / "made.json").read_text())
    recipe = job.recipe
    if recipe is not None and place.rehearsal:
        recipe = replace(recipe, epochs=REHEARSED_EPOCHS, compile=False)
    seconds = 0.0
    if recipe is not None:
        if torch.device(place.device).type == "cuda":
            module = module.to(memory_format=torch.channels_last)
        budget = BUDGETS[job.network]
        progress = train(
            module,
            images.training(budget.batch if not place.rehearsal else 32, budget.hole if job.parent is None else 0),
            recipe,
            checkpoint=folder / "run.pt",
            limit_s=limit_s,
            after_step=keeping_zeros(module) if job.keeps_zeros else None,
        )
        if not progress.finished:
            print(f"{job.key}: {progress.epochs} of {progress.of} epochs", flush=True)
            return False
        seconds = progress.seconds
    row = {**_about(job, place), **told, **judged(module, images, NETWORKS[job.network].image), "train_s": seconds}
    row["recipe"] = None if recipe is None else recipe_text(recipe)
    write_tensors(folder / "trained.pt", module.state_dict())
    _write_row(folder, row)
    (folder / "run.pt").unlink(missing_ok=True)
    print(f"{job.key}: {row['accuracy_pct']:.2f} % in {seconds:.0f} s", flush=True)
    return True


def _make(job: Job, place: Place, images: ImageSet, folder: Path) -> None:
    """Make the network before training and keep it, so that a resumed job trains the same one."""
    begin = time.monotonic()
    network = NETWORKS[job.network]
    told: dict[str, Any] = {"kind": "plain"}
    if job.make is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            module = network.build()
    else:
        parent_folder = place.folder(job.parent_key)
        parent = load(parent_folder, job.network)
        parent.load_state_dict(read_weights(parent_folder / "trained.pt"))
        made = job.make(Parent(parent.eval(), network.image, images, job.seed))
        if isinstance(made, Slimmed):
            save_slim(folder, made.module, made.plan)
            told, module = {"kind": "slim"}, made.module
        else:
            module = made
    if isinstance(module, Vgg16 | Resnet) and told["kind"] == "plain":
        told |= {"kind": "shape", "shape": Shape.of(module).to_json()}
    if told["kind"] != "slim":
        write_tensors(folder / "weights.pt", module.state_dict())
    before = accuracy_pct(copy.deepcopy(module).to(place.device), images.judging)
    told |= {"accuracy_before_pct": before, "make_s": time.monotonic() - begin}
    write_whole(folder / "made.json", json.dumps(told))


def load(folder: Path, network: str) -> nn.Module:
    """The network of a job's folder as it was made, on the CPU."""
    told = json.loads((folder / "made.json").read_text())
    if told["kind"] == "slim":
        return load_slim(NETWORKS[network].build(), folder)
    module = Shape.from_json(told["shape"]).build() if told["kind"] == "shape" else NETWORKS[network].build()
    module.load_state_dict(read_weights(folder / "weights.pt"))
    return module


def judged(module: nn.Module, images: ImageSet, image: tuple[int, int, int]) -> dict[str, Any]:
    """Accuracy as trained and with weights rounded to fp16, as they are kept; size."""
    rounded = copy.deepcopy(module)
    rounded.load_state_dict({name: each.float() for name, each in halved(module.state_dict()).items()}, strict=True)
    macs, parameters = macs_and_parameters(module, image)
    return {
        "accuracy_pct": accuracy_pct(module, images.judging),
        "accuracy_fp16_pct": accuracy_pct(rounded, images.judging),
        "macs": macs,
        "parameters": parameters,
        "zeros": sum(int((each == 0).sum()) for each in weights_of(module)),
    }


def halved(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights in fp16; statistics and scales, which may be out of its range, as they are."""
    return {n: each.half() if each.ndim > 1 and each.is_floating_point() else each for n, each in weights.items()}


def _about(job: Job, place: Place) -> dict[str, Any]:
    on_gpu = torch.device(place.device).type == "cuda"
    cudnn = torch.backends.cudnn.version() if on_gpu else None
    return {
        **{"key": job.key, "network": job.network, "variant": job.variant, "seed": job.seed},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU",
        "versions": {
            "torch": torch.__version__,
            "headroom": headroom.__version__,
            "cudnn": cudnn,
        },
        "rehearsal": place.rehearsal,
    }


def _write_row(folder: Path, row: dict[str, Any]) -> None:
    write_whole(folder / "row.json", json.dumps(row))
