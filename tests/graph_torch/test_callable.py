"""``package.module:callable`` and the sentences for everything that can be wrong with it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from headroom.errors import HeadroomError, ModelError, UsageError
from headroom.graph.torch.callable import load_callable

SOURCE = """
import torch
from torch import nn

def pair():
    return nn.Linear(3, 4), torch.zeros(2, 3)

def bare():
    return nn.Linear(3, 4)

def carrying():
    module = nn.Linear(3, 4)
    module.example_inputs = (torch.zeros(5, 3),)
    return module

class Offering(nn.Linear):
    def __init__(self):
        super().__init__(3, 4)
    def example_inputs(self):
        return torch.zeros(7, 3)

class Refusing(nn.Linear):
    def __init__(self):
        super().__init__(3, 4)
    def example_inputs(self):
        raise OSError("no data here")

def broken():
    raise KeyError("no such width")

def leaving():
    raise SystemExit("bye")

def wrong():
    return 42

def nothing():
    pass

ready = nn.Linear(3, 4), torch.zeros(2, 3)
number = 7
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with ``headroom_test_nets.py``, found because it is the current one."""
    (tmp_path / "headroom_test_nets.py").write_text(SOURCE)
    (tmp_path / "headroom_test_needs.py").write_text("import headroom_test_absent_library\n")
    (tmp_path / "headroom_test_typo.py").write_text("def (\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("headroom_test_"):
            del sys.modules[name]


@pytest.mark.parametrize(("name", "batch"), [("pair", 2), ("ready", 2)])
def test_a_pair_is_returned_as_it_is(folder: Path, name: str, batch: int) -> None:
    module, inputs = load_callable(f"headroom_test_nets:{name}")
    assert isinstance(module, torch.nn.Linear)
    assert inputs.shape == (batch, 3)


def test_example_inputs_may_be_an_attribute_of_the_module(folder: Path) -> None:
    assert load_callable("headroom_test_nets:carrying")[1][0].shape == (5, 3)


def test_example_inputs_may_be_a_method_of_the_module(folder: Path) -> None:
    assert load_callable("headroom_test_nets:Offering")[1].shape == (7, 3)


WAY_OUT = "return (module, example_inputs), example_inputs being a tensor, a tuple or a dict of them"


@pytest.mark.parametrize(
    ("reference", "error", "sentence"),
    [
        ("nets", UsageError, "'nets' is no package.module:callable; write for example models.net:make"),
        ("nets:", UsageError, "'nets:' is no package.module:callable; write for example models.net:make"),
        (
            "headroom_test_nets:absent",
            ModelError,
            "module 'headroom_test_nets' has no attribute 'absent'; it has Offering, Refusing, bare, broken, "
            "carrying, leaving, nothing, pair",
        ),
        (
            "headroom_test_needs:make",
            ModelError,
            "importing 'headroom_test_needs' failed: ModuleNotFoundError: No module named "
            "'headroom_test_absent_library'; install it or repair headroom_test_needs",
        ),
        (
            "headroom_test_nets:broken",
            ModelError,
            f"headroom_test_nets:broken raised KeyError: 'no such width'; it is called without arguments and must "
            f"{WAY_OUT}",
        ),
        (
            "headroom_test_nets:leaving",
            ModelError,
            f"headroom_test_nets:leaving raised SystemExit: bye; it is called without arguments and must {WAY_OUT}",
        ),
        (
            "headroom_test_nets:Refusing",
            ModelError,
            "headroom_test_nets:Refusing.example_inputs raised OSError: no data here; it is called without arguments "
            f"and must {WAY_OUT}",
        ),
        ("headroom_test_nets:wrong", ModelError, f"headroom_test_nets:wrong returned an int; {WAY_OUT}"),
        ("headroom_test_nets:nothing", ModelError, f"headroom_test_nets:nothing returned nothing; {WAY_OUT}"),
        (
            "headroom_test_nets:bare",
            ModelError,
            f"headroom_test_nets:bare returned a Linear without example inputs; {WAY_OUT}, or give the module an "
            "attribute example_inputs",
        ),
        (
            "headroom_test_nets:number",
            ModelError,
            f"headroom_test_nets:number is an int and cannot be called; name a function to call, which must {WAY_OUT}",
        ),
    ],
)
def test_each_mistake_has_its_sentence(folder: Path, reference: str, error: type[HeadroomError], sentence: str) -> None:
    with pytest.raises(error) as caught:
        load_callable(reference)
    assert str(caught.value) == sentence


def test_a_module_that_is_nowhere_names_the_folder(folder: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_callable("headroom_test_nowhere.net:make")
    assert str(caught.value) == (
        f"no module 'headroom_test_nowhere.net' for 'headroom_test_nowhere.net:make' in {folder} or on the Python "
        "path; check the name or start Headroom in the folder that holds it"
    )


def test_a_syntax_error_in_the_module_is_named(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"^importing 'headroom_test_typo' failed: SyntaxError: .*; repair"):
        load_callable("headroom_test_typo:make")


def test_without_torch_the_sentence_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        load_callable("headroom_test_nets:pair")
    assert str(caught.value) == (
        "reading headroom_test_nets:pair needs PyTorch; install it with: pip install 'headroom[torch]'"
    )
