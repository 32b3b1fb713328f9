"""A user's own training function and data, named as package.module:callable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from headroom.change.training import (
    BuiltIn,
    Outcome,
    Recipe,
    TensorBatches,
    accuracy_pct,
    own_data,
    own_trainer,
    trained_by,
)
from headroom.errors import ModelError, UsageError


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Writes a module into a folder on the path; returns its name, which no other test uses."""

    def write(text: str) -> str:
        name = f"own_{abs(hash(request.node.nodeid))}"
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        return name

    return write


def test_a_users_function_trains_the_module_in_place_or_returns_it(
    written: Callable[[str], str], fresh: nn.Module
) -> None:
    name = written(
        "def fit(module):\n    module[0].weight.data.zero_()\n\n"
        "def score(module): return 91\n\ndef other(module): return module[:3]\n"
    )
    found = trained_by(own_trainer(f"{name}:fit"), fresh)
    assert (found.module, found.score) == (fresh, None)
    assert bool((fresh[0].weight == 0).all())
    assert trained_by(own_trainer(f"{name}:score"), fresh) == Outcome(fresh, 91.0)
    assert len(trained_by(own_trainer(f"{name}:other"), fresh).module) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise ValueError('no data here')", "fit raised ValueError: no data here; it is called with the module"),
        ("return 'good'", "training returned 'good'; it is called with the module"),
        ("return float('nan')", "training returned nan"),
        ("raise SystemExit", "fit raised SystemExit: no message"),
    ],
)
def test_what_a_users_function_does_wrong_is_one_sentence(
    body: str, sentence: str, written: Callable[[str], str], fresh: nn.Module
) -> None:
    name = written(f"def fit(module):\n    {body}\n")
    with pytest.raises(ModelError, match=sentence):
        trained_by(own_trainer(f"{name}:fit"), fresh)


def test_what_is_no_function_is_refused_before_anything_is_trained(written: Callable[[str], str]) -> None:
    name = written("fit = 3\n")
    with pytest.raises(ModelError, match="is of type int and no function"):
        own_trainer(f"{name}:fit")
    with pytest.raises(ModelError, match="has no attribute 'other'"):
        own_trainer(f"{name}:other")
    with pytest.raises(UsageError, match=r"is no package\.module:callable"):
        own_trainer("fit.py")


def test_a_users_data_is_a_pair_of_loaders(written: Callable[[str], str]) -> None:
    name = written("def data():\n    return [1], [2]\n\ndef one():\n    return [1]\n\ndef bad():\n    return 1 / 0\n")
    assert own_data(f"{name}:data") == ([1], [2])
    with pytest.raises(ModelError, match="one returned something of type list; it is called without arguments"):
        own_data(f"{name}:one")
    with pytest.raises(ModelError, match="bad raised ZeroDivisionError: division by zero; it is called"):
        own_data(f"{name}:bad")


def test_the_built_in_recipe_is_a_trainer_like_any_other(
    fresh: nn.Module, training: TensorBatches, test_data: TensorBatches
) -> None:
    assert BuiltIn(training, Recipe(epochs=4, rate=0.1))(fresh) is fresh
    assert accuracy_pct(fresh, test_data) > 95
