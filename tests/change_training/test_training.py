"""The built-in recipe: it learns, stops at its limit, goes on after a kill as if nothing had been, and repeats."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset as Pairs

from change_training.conftest import network, quadrants
from headroom.change.training import LoaderBatches, Recipe, TensorBatches, accuracy_pct, train
from headroom.change.training.loop import sgd
from headroom.errors import ModelError, UsageError

RECIPE = Recipe(epochs=4, rate=0.1, seed=3)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: each.clone() for name, each in module.state_dict().items()}


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(each, second.state_dict()[name]) for name, each in first.state_dict().items())


class KilledError(Exception):
    pass


def test_the_recipe_learns_what_can_be_learnt(
    fresh: nn.Module, training: TensorBatches, test_data: TensorBatches
) -> None:
    before = accuracy_pct(fresh, test_data)

    progress = train(fresh, training, RECIPE)

    assert progress.finished
    assert before < 60
    assert accuracy_pct(fresh, test_data) > 95


def test_the_same_seed_gives_the_same_network_and_another_one_another(training: TensorBatches) -> None:
    first, second, other = network(), network(), network()
    train(first, training, RECIPE)
    torch.rand(5)  # what is drawn elsewhere does not matter
    train(second, training, RECIPE)
    train(other, training, replace(RECIPE, seed=4))
    assert same(first, second)
    assert not same(first, other)


def test_training_leaves_the_global_random_numbers_as_they_were(fresh: nn.Module, training: TensorBatches) -> None:
    before = torch.random.get_rng_state()
    train(fresh, training, replace(RECIPE, epochs=1))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("killed_in", [1, 2, 3])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(
    killed_in: int, training: TensorBatches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headroom.change.training.loop._BETWEEN_CHECKPOINTS_S", 0.0)
    whole, cut, path = network(), network(), tmp_path / "run.pt"
    train(whole, training, RECIPE)
    steps = 0

    def dies() -> None:
        nonlocal steps
        steps += 1
        if steps == killed_in * len(training) + 2:
            raise KilledError

    with pytest.raises(KilledError):
        train(cut, training, RECIPE, checkpoint=path, after_step=dies)
    resumed = network()
    epochs: list[int] = []
    progress = train(resumed, training, RECIPE, checkpoint=path, on_epoch=lambda each: epochs.append(each.epochs))

    assert epochs == list(range(killed_in + 1, 5))
    assert progress.finished
    assert same(whole, resumed)


def test_a_run_stops_at_its_limit_and_goes_on_from_there(training: TensorBatches, tmp_path: Path) -> None:
    whole, path = network(), tmp_path / "run.pt"
    train(whole, training, RECIPE)
    for expected in (1, 2, 3, 4):
        part = network()
        progress = train(part, training, RECIPE, checkpoint=path, limit_s=0.0)
        assert (progress.epochs, progress.finished) == (expected, expected == 4)
    assert same(whole, part)
    assert train(part, training, RECIPE, checkpoint=path).epochs == 4  # a finished run is read, not run again


def test_a_checkpoint_of_other_settings_is_refused_with_the_settings(training: TensorBatches, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train(network(), training, RECIPE, checkpoint=path, limit_s=0.0)
    with pytest.raises(UsageError, match=r"written with epochs 4, not 5, rate 0.1, not 0.2; take these settings"):
        train(network(), training, replace(RECIPE, epochs=5, rate=0.2), checkpoint=path)
    train(network(), training, replace(RECIPE, precision="auto"), checkpoint=path, limit_s=0.0)


def test_a_checkpoint_of_another_network_and_a_damaged_one_are_refused(training: TensorBatches, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train(network(), training, RECIPE, checkpoint=path, limit_s=0.0)
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    with pytest.raises(ModelError, match="of another network"):
        train(other, training, RECIPE, checkpoint=path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot read"):
        train(network(), training, RECIPE, checkpoint=path)


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    training: TensorBatches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.pt"
    train(network(), training, RECIPE, checkpoint=path, limit_s=0.0)
    held = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        train(network(), training, RECIPE, checkpoint=path, limit_s=0.0)
    assert path.read_bytes() == held
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_in_a_checkpoint_is_executed(training: TensorBatches, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "executed",))  # type: ignore[return-value]

    path = tmp_path / "run.pt"
    torch.save({"settings": Bomb(), "weights": {}, "optimizer": {}, "epochs": 1, "seconds": 0.0}, path)
    with pytest.raises(ModelError, match="cannot read"):
        train(network(), training, RECIPE, checkpoint=path)
    assert not (tmp_path / "executed").exists()


def test_biases_and_scales_do_not_decay(fresh: nn.Module) -> None:
    decay = {id(each): group["weight_decay"] for group in sgd(fresh, RECIPE).param_groups for each in group["params"]}
    found = {name: decay[id(each)] for name, each in fresh.named_parameters()}
    assert found == {"0.weight": 5e-4, "1.weight": 0.0, "1.bias": 0.0, "6.weight": 5e-4, "6.bias": 0.0}


def test_the_rate_rises_falls_and_can_be_ones_own() -> None:
    recipe = Recipe(rate=0.4, warmup=0.1)
    rates = [recipe.rate_at(step / 100) for step in range(101)]
    assert rates[0] == 0
    assert max(rates) == rates[10] == pytest.approx(0.4)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.0)
    assert replace(recipe, schedule=lambda share: 1 - share).rate_at(0.25) == pytest.approx(0.3)


def test_a_data_loader_and_a_loss_of_ones_own_train_too(fresh: nn.Module, test_data: TensorBatches) -> None:
    images, labels = quadrants(128, 5)
    loader = DataLoader(Pairs(images.float() / 255, labels), batch_size=32, shuffle=True)
    cost = nn.MultiMarginLoss()
    seen: list[float] = []
    train(fresh, loader, RECIPE, loss=cost, on_epoch=lambda each: seen.append(each.loss))
    assert seen[-1] < seen[0]
    again = network()
    train(again, LoaderBatches(loader), RECIPE, loss=cost)
    assert same(fresh, again)  # the loader's order is the recipe's seed's


def test_weights_that_a_mask_holds_at_zero_stay_there(fresh: nn.Module, training: TensorBatches) -> None:
    weight = fresh[0].weight
    mask = torch.rand(weight.shape) < 0.5

    def masked() -> None:
        with torch.no_grad():
            weight.mul_(mask)

    before = weight.detach().clone()
    masked()
    train(fresh, training, replace(RECIPE, epochs=1), after_step=masked)
    assert bool((weight[~mask] == 0).all())
    assert not torch.equal(weight[mask], before[mask])


def test_judging_changes_nothing_and_counts_every_sample(fresh: nn.Module, test_data: TensorBatches) -> None:
    before = copy.deepcopy(fresh)
    fresh.train()
    fresh[0].eval()
    modes = [part.training for part in fresh.modules()]
    found = accuracy_pct(fresh, test_data)
    assert [part.training for part in fresh.modules()] == modes
    assert same(before, fresh)
    inputs, labels = (torch.cat(parts) for parts in zip(*test_data.epoch(0), strict=True))
    assert len(labels) == 100
    right = (before.eval()(inputs).argmax(1) == labels).sum()
    assert found == pytest.approx(float(right))


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"epochs": -1}, "-1 epochs"),
        ({"rate": 0.0}, "a learning rate of 0.0"),
        ({"rate": float("nan")}, "a learning rate of nan"),
        ({"warmup": 1.0}, "warmup is 1.0"),
        ({"precision": "fp8"}, "unknown precision 'fp8': choose auto, bf16, fp32"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, float], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Recipe(**setting)  # type: ignore[arg-type]


def test_data_that_cannot_be_trained_on_is_refused(fresh: nn.Module) -> None:
    images, labels = quadrants(8, 1)
    with pytest.raises(UsageError, match="8 inputs and 7 labels"):
        TensorBatches(images, labels[:7], batch=4)
    with pytest.raises(UsageError, match="batches of 9 out of 8"):
        TensorBatches(images, labels, batch=9)
    with pytest.raises(UsageError, match="has no length"):
        train(fresh, iter([(images, labels)]), RECIPE)
    with pytest.raises(UsageError, match="an epoch has no batch"):
        train(fresh, [], RECIPE)
    with pytest.raises(UsageError, match="a Tensor; it must yield"):
        train(fresh, [images], RECIPE)
