"""Another batch size: every layer follows, or the answer says which does not."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from graph_torch import zoo
from graph_torch.conftest import Read
from graph_torch.modules import Module
from headroom.errors import ModelError, UsageError
from headroom.graph.torch.reader import read_module


@pytest.mark.parametrize("name", ["resnet18", "vit", "unet", "conv3d", "encoder", "llama_block", "lstm_tagger"])
def test_every_layer_scales_with_the_batch(name: str, read: Read) -> None:
    module, inputs = getattr(zoo, name)()
    given, scaled = read(name), read_module(module, inputs, batch=12)
    assert scaled.batch == 12
    assert [layer.macs * given.batch for layer in scaled.layers] == [layer.macs * 12 for layer in given.layers]
    assert [layer.name for layer in scaled.layers] == [layer.name for layer in given.layers]


def test_every_input_with_the_leading_size_of_the_first_follows() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
            return (x + y) @ table

    graph = read_module(Net(), (torch.zeros(2, 5), torch.zeros(2, 1), torch.zeros(5, 3)), batch=7)
    assert [tensor.shape for tensor in graph.inputs] == [(7, 5), (7, 1), (5, 3)]


def test_the_batch_of_the_example_inputs_stays_without_one() -> None:
    assert read_module(nn.ReLU(), torch.zeros(6, 2)).batch == 6


def test_a_frozen_batch_that_breaks_the_export_names_the_module() -> None:
    head = Module(lambda m, x: m.fc(x.view(2, 12)), fc=nn.Linear(12, 3))
    with pytest.raises(ModelError) as caught:
        read_module(Module(lambda m, x: m.head(x), head=head), torch.zeros(2, 3, 4), batch=4, name="Net")
    assert re.match(
        r"Net runs at batch 2 but not at 4, so it holds its batch size as a constant \(write x.shape\[0\] there\) or "
        r"needs it fixed; torch.export stopped in module 'head' of Net \(test_batch.py:\d+\): RuntimeError: ",
        str(caught.value),
    )


def test_a_frozen_batch_that_exports_silently_names_the_layer() -> None:
    head = Module(lambda m, x: m.fc(x[:2].flatten(1)), fc=nn.Linear(12, 3))
    with pytest.raises(ModelError) as caught:
        read_module(Module(lambda m, x: m.head(x), head=head), torch.zeros(2, 3, 4), batch=4, name="Net")
    assert str(caught.value) == (
        "layer 'head.fc' (aten.linear) has 72 macs at batch 2 and 72 at batch 4, so Net holds its batch size as a "
        "constant near there; compute shapes from the input's size instead"
    )


def test_a_layer_per_sample_is_refused() -> None:
    module = Module(lambda m, x: torch.stack([m.fc(x[i : i + 1]) for i in range(len(x))]), fc=nn.Linear(4, 4))
    with pytest.raises(ModelError, match=r"make the number of layers independent|holds its batch size as a constant"):
        read_module(module, torch.zeros(2, 4), batch=3)


def test_what_depends_on_no_input_keeps_its_size() -> None:
    module = Module(lambda m, x: m.a(x) @ (m.a.weight @ m.b.weight), a=nn.Linear(4, 4), b=nn.Linear(4, 4))
    graph = read_module(module, torch.zeros(1, 4), batch=8)
    assert sorted(layer.macs for layer in graph.layers if layer.macs) == [64, 128, 128]


def test_scalars_have_no_batch() -> None:
    with pytest.raises(UsageError, match=r"^the example inputs are scalars and have no batch dimension to set"):
        read_module(nn.ReLU(), torch.zeros(()), batch=2)
