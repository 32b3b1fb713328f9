"""The study that trains: networks at other widths, jobs that go on after a kill, and what is brought back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import train_networks
from headroom.change.saved import read_weights
from headroom.change.widths.groups import Growth
from trained_networks import NETWORKS, Trained
from training_study.jobs import jobs
from training_study.packing import pack, rows_of, unpack
from training_study.page import page
from training_study.runner import Place, load, run_all
from training_study.shapes import Shape, apart, transferred
from training_study.timing import timed

#: As they are, whatever a fixture puts in their place.
REAL = dict(NETWORKS)
HRANK = {"vgg16": "vgg16-hrank", "resnet56": "resnet56-hrank"}


def drawn(module: nn.Module) -> nn.Module:
    """Random weights and statistics, so that no zero makes things equal by accident."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, each in module.state_dict().items():
            if each.is_floating_point():
                scale = 1 if each.ndim < 2 else (2 / each[0].numel()) ** 0.5
                each.copy_(torch.randn(each.shape, generator=random) * scale)
            if name.endswith("running_var"):
                each.abs_().add_(0.5)
    return module.eval()


IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("growth", [Growth.ZERO, Growth.FRESH])
@pytest.mark.parametrize(
    ("name", "wider"),
    [
        ("vgg16-hrank", Shape((48, 64, 72, 96, 144, 160, 160, 128, 128, 128, 128, 128, 512))),
        ("resnet56", Shape((24,) * 9 + (40,) * 9 + (64,) * 9, (16, 16, 32, 64))),
    ],
)
def test_a_wider_network_computes_what_the_narrower_one_did(name: str, wider: Shape, growth: Growth) -> None:
    network = drawn(REAL[name].build())
    found = transferred(network, wider, {}, growth)
    assert Shape.of(found) == wider
    assert apart(network, found, IMAGES) < 1e-6


@pytest.mark.parametrize("streams", [(16, 13, 27, 64), (24, 16, 32, 72), (16, 16, 32, 72), (16, 24, 48, 96)])
def test_residual_streams_are_padded_with_zeros_where_their_shortcuts_expect_them(streams: tuple[int, ...]) -> None:
    network = drawn(REAL["resnet56-hrank"].build())
    found = transferred(network, Shape((16,) * 9 + (24,) * 9 + (40,) * 9, streams), {}, Growth.ZERO)
    assert apart(network, found, IMAGES) < 1e-6


def test_where_shortcuts_leave_no_room_the_difference_shows() -> None:
    network = drawn(REAL["resnet56-hrank"].build())
    found = transferred(network, Shape((16,) * 9 + (24,) * 9 + (40,) * 9, (16, 16, 32, 64)), {}, Growth.ZERO)
    assert apart(network, found, IMAGES) > 1e-6


@pytest.mark.parametrize("name", ["vgg16", "resnet56"])
def test_a_narrower_network_keeps_the_channels_of_largest_scores(name: str) -> None:
    random = np.random.default_rng(1)
    network = REAL[name].build()
    target = Shape.of(REAL[HRANK[name]].build())
    scores = {
        place: random.permutation(each.num_features).astype(float)
        for place, each in network.named_modules()
        if isinstance(each, nn.BatchNorm2d)
    }
    found = transferred(network, target, scores)
    assert Shape.of(found) == target
    first = "features.0" if name == "vgg16" else "blocks.5.conv1"
    score = scores["features.1" if name == "vgg16" else "blocks.5.bn1"]
    kept = found.get_submodule(first).weight
    best = np.sort(np.argsort(-score)[: len(kept)])
    own = network.get_submodule(first).weight[torch.from_numpy(best)]
    assert torch.equal(kept, own if name == "vgg16" else own[:, _kept_of_the_first_stage(scores)])


def _kept_of_the_first_stage(scores: dict[str, np.ndarray]) -> torch.Tensor:
    total = sum(scores[f"blocks.{index}.bn2"] for index in range(9))
    return torch.from_numpy(np.sort(np.argsort(-total)[:13]))


TINY = {
    "vgg16": Shape((8, 8, 12, 12, 16, 16, 16, 16, 16, 16, 16, 16, 32)),
    "vgg16-hrank": Shape((5, 7, 9, 9, 12, 12, 12, 9, 9, 9, 9, 9, 32)),
    "resnet56": Shape((8, 16, 32), (8, 8, 16, 32)),
    "resnet56-hrank": Shape((5, 9, 19), (8, 6, 13, 32)),
}
CHOSEN = {
    "vgg16-hrank": {
        "lossless": Shape((8, 8, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 32)).to_json(),
        "latency": Shape((4, 8, 8, 8, 16, 16, 16, 8, 8, 8, 8, 8, 32)).to_json(),
        "accuracy": Shape((8, 8, 12, 12, 16, 16, 16, 16, 16, 16, 16, 16, 40)).to_json(),
    },
    "resnet56-hrank": {"lossless": Shape((8, 16, 24), (8, 6, 13, 32)).to_json()},
}


@pytest.fixture(scope="module")
def tiny() -> Iterator[None]:
    """The same study of networks that are a few channels wide."""
    with pytest.MonkeyPatch.context() as patch:
        for name, shape in TINY.items():
            patch.setitem(NETWORKS, name, Trained(shape.build, "cifar10"))
        patch.setattr("training_study.jobs.TARGETS", {"vgg16": ("vgg16-hrank",), "resnet56": ("resnet56-hrank",)})
        patch.setattr("training_study.timing.TARGETS", {"vgg16": ("vgg16-hrank",), "resnet56": ("resnet56-hrank",)})
        patch.setattr("training_study.jobs.SLIMMED", ())
        patch.setattr("training_study.timing.TURN_S", 0.0)
        patch.setattr("training_study.variants.RATIOS", (0.2, 0.4, 0.6))
        yield


@pytest.fixture(scope="module")
def rehearsed(tiny: None, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Every job of two networks and one seed, rehearsed."""
    place = Place(tmp_path_factory.mktemp("work"), Path("nowhere"), "cpu", rehearsal=True)
    assert run_all(jobs(("vgg16", "resnet56"), 0, CHOSEN), place, 600.0) == 0
    return place


def test_every_variant_is_made_trained_and_kept(rehearsed: Place) -> None:
    rows = {row["key"]: row for row in rows_of(rehearsed.work)}
    variants = {key.split("/")[1] for key in rows}
    assert {f"vgg16-hrank-{each}" for each in ("pruned", "lossless", "latency", "accuracy")} <= variants
    assert {f"resnet56-hrank-{each}" for each in ("pruned", "torch-pruning", "torch-pruning-8")} <= variants
    assert rows["vgg16/vgg16-hrank-fastnas/0"]["left_out"] == "nvidia-modelopt is not installed"
    done = [row for row in rows.values() if "left_out" not in row]
    assert len(done) >= 10
    for row in done:
        assert 0 <= row["accuracy_pct"] <= 100
        assert row["parameters"] > 0
        assert row["rehearsal"] is True
    assert not list(rehearsed.work.glob("*/run.pt"))


def test_pruned_and_fitted_networks_have_the_widths_that_were_asked_for(rehearsed: Place) -> None:
    rows = {row["variant"]: row for row in rows_of(rehearsed.work)}
    assert Shape.from_json(rows["resnet56-hrank-pruned"]["shape"]) == TINY["resnet56-hrank"]
    assert Shape.from_json(rows["vgg16-hrank-pruned"]["shape"]) == TINY["vgg16-hrank"]
    asked = CHOSEN["vgg16-hrank"]["latency"]
    assert Shape.from_json(rows["vgg16-hrank-latency"]["shape"]) == Shape.from_json(asked)
    assert rows["vgg16-hrank-torch-pruning"]["macs"] <= rows["vgg16-hrank-pruned"]["macs"]


def test_padding_changes_no_answer(rehearsed: Place) -> None:
    rows = {row["variant"]: row for row in rows_of(rehearsed.work)}
    for target in ("vgg16-hrank", "resnet56-hrank"):
        assert rows[f"{target}-lossless"]["accuracy_pct"] == rows[f"{target}-pruned"]["accuracy_pct"]
        assert rows[f"{target}-lossless"]["recipe"] is None


def test_a_finished_study_runs_nothing_again(rehearsed: Place) -> None:
    before = {path: path.stat().st_mtime_ns for path in rehearsed.work.rglob("*")}
    assert run_all(jobs(("vgg16", "resnet56"), 0, CHOSEN), rehearsed, 600.0) == 0
    assert {path: path.stat().st_mtime_ns for path in rehearsed.work.rglob("*")} == before


def test_a_study_without_time_begins_nothing_and_says_what_is_left(tiny: None, tmp_path: Path) -> None:
    place = Place(tmp_path, Path("nowhere"), "cpu", rehearsal=True)
    every = list(jobs(("vgg16",), 0, CHOSEN))
    assert run_all(every, place, 0.0) == len(every)
    assert not list(tmp_path.iterdir())


def test_what_is_packed_is_small_and_what_is_made_of_it_goes_on_elsewhere(rehearsed: Place, tmp_path: Path) -> None:
    assert pack(rehearsed.work, tmp_path / "out") == []
    files = sorted((tmp_path / "out").iterdir())
    assert [each.name for each in files] == ["trained.jsonl", "weights.tar.0"]
    unpack(files[1:], tmp_path / "fresh")
    fresh = Place(tmp_path / "fresh", Path("nowhere"), "cpu", rehearsal=True)
    for folder in ("vgg16_unpruned_0", "vgg16_vgg16-hrank-latency_0"):
        first, second = (load(place.work / folder, "vgg16") for place in (rehearsed, fresh))
        first.load_state_dict(read_weights(rehearsed.work / folder / "trained.pt"))
        assert apart(first, second, IMAGES) < 2e-2  # fp16
    left = [job for job in jobs(("vgg16",), 0, CHOSEN) if job.variant.endswith("pruned")]
    (fresh.work / "vgg16_vgg16-hrank-pruned_0" / "row.json").unlink()
    assert run_all(left, fresh, 600.0) == 0


def test_weights_beyond_the_limit_stay_behind_and_are_named(
    rehearsed: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_study.packing.ALL_BYTES", 200_000)
    monkeypatch.setattr("training_study.packing.PART_BYTES", 100_000)
    left_out = pack(rehearsed.work, tmp_path)
    assert left_out
    assert all(path.stat().st_size <= 100_000 for path in tmp_path.glob("weights.tar.*"))


def test_shapes_are_timed_side_by_side(rehearsed: Place) -> None:
    rows = list(timed(rows_of(rehearsed.work), "cpu", rehearsal=True))
    assert {row["target"] for row in rows} == {"vgg16-hrank", "resnet56-hrank"}
    for row in rows:
        assert {"unpruned", "pruned", "lossless", "torch-pruning"} <= row["us"].keys()
        assert row["of_pruned"]["pruned"] == 1.0


def test_the_page_shows_every_variant_beside_what_it_lost(rehearsed: Place) -> None:
    rows = rows_of(rehearsed.work)
    text = page(rows, list(timed(rows, "cpu", rehearsal=True)))
    assert "| pruned | " in text
    assert "| fastnas | nvidia-modelopt is not installed |" in text
    lossless = next(line for line in text.splitlines() if line.startswith("| lossless |"))
    assert "| +0.00 |" in lossless
    dense = next(row for row in rows if row["variant"] == "unpruned") | {"network": "lenet"}
    slim = dense | {"variant": "slim-50", "accuracy_pct": dense["accuracy_pct"] - 1.5}
    assert "| -1.50 |" in next(line for line in page([dense, slim], []).splitlines() if line.startswith("| slim-50"))


def test_the_command_trains_in_processes_and_packs_what_came_out(tmp_path: Path) -> None:
    script = [sys.executable, str(Path(train_networks.__file__))]
    work, out = str(tmp_path / "work"), tmp_path / "out"
    run = ["run", work, "--networks", "lenet", "--only", "unpruned", "--seeds", "0", "--dry-run"]
    done = subprocess.run([*script, *run], capture_output=True, text=True, check=False)
    assert "seeds 0: all done" in done.stdout, done.stderr
    subprocess.run([*script, "pack", work, str(out)], check=True, capture_output=True)
    assert '"key": "lenet/unpruned/0"' in (out / "trained.jsonl").read_text()


def test_seeds_of_one_gpu_are_trained_one_after_the_other(tmp_path: Path) -> None:
    script = [sys.executable, str(Path(train_networks.__file__))]
    run = ["run", str(tmp_path / "work"), "--networks", "lenet", "--only", "unpruned", "--seeds", "0,1", "--dry-run"]
    done = subprocess.run([*script, *run], capture_output=True, text=True, check=False)
    assert "seeds 0,1: all done" in done.stdout, done.stderr
