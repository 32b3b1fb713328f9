"""Gathered layers give what the slim ones do, on the CPU, by shapes alone, compiled, and for every kernel."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from headroom.change.synapses.kernels.layers import GatheredLayer, kernels_for
from headroom.change.synapses.kernels.programs import fastest_programs
from headroom.change.synapses.kernels.variants import Arithmetic, Gather, Gemv
from headroom.change.synapses.modules import SlimConv2d, SlimLinear
from headroom.errors import UsageError


def conv(channels: int = 8, **options: Any) -> SlimConv2d:
    generator = torch.Generator().manual_seed(3)
    slim = SlimConv2d((12, channels, 3, 3), 23, **options)
    filled(slim, torch.randperm(9 * channels, generator=generator)[:23], generator)
    return slim


def linear(features: int = 40) -> SlimLinear:
    generator = torch.Generator().manual_seed(3)
    slim = SlimLinear(features, 17, 9)
    filled(slim, torch.randperm(features, generator=generator)[:17], generator)
    return slim


def filled(slim: SlimConv2d | SlimLinear, retained: torch.Tensor, generator: torch.Generator) -> None:
    with torch.no_grad():
        slim.retained.copy_(retained)
        for parameter in slim.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


ODD = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)}


@pytest.mark.parametrize("relu", [False, True])
def test_a_gathered_convolution_gives_what_the_slim_one_does(relu: bool) -> None:
    for slim in (conv(), conv(**ODD), conv(3, bias=False)):
        for kernel in kernels_for(slim, Arithmetic.FP32, 1):
            batch = images(2, slim.shape[1], 9, 8)
            with torch.no_grad():
                expected = slim(batch)
                found = GatheredLayer(slim, kernel, relu=relu)(batch)
            assert torch.allclose(found, expected.relu() if relu else expected, atol=1e-5)
            assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_gathered_linear_layer_takes_inputs_of_any_rank() -> None:
    slim = linear()
    for shape in ((40,), (3, 40), (2, 3, 40)):
        for kernel in kernels_for(slim, Arithmetic.FP32, 6):
            with torch.no_grad():
                assert torch.allclose(GatheredLayer(slim, kernel)(images(*shape)), slim(images(*shape)), atol=1e-5)


def test_one_image_without_a_batch_is_an_image() -> None:
    slim = conv()
    with torch.no_grad():
        found = GatheredLayer(slim, kernels_for(slim, Arithmetic.TF32, 1)[0])(images(8, 6, 6))
        assert torch.allclose(found, slim(images(8, 6, 6)), atol=0.05)


def test_bf16_rounds_weights_once_and_keeps_the_bias() -> None:
    slim = conv()
    kernel = kernels_for(slim, Arithmetic.BF16, 1)[-1]
    with torch.no_grad():
        found = GatheredLayer(slim, kernel)(images(1, 8, 6, 6).bfloat16())
        expected = slim(images(1, 8, 6, 6).bfloat16().float())
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected, atol=0.2)


def test_every_kernel_that_can_run_a_layer_is_looked_at_and_the_fastest_stay() -> None:
    slim, times_us = linear(), iter((5.0, 2.0, 9.0, 3.0))
    found = fastest_programs(slim, images(9, 40), Arithmetic.FP32, lambda program: next(times_us, 7.0), relu=True)
    kernels = kernels_for(slim, Arithmetic.FP32, 9)
    assert list(found) == [kernels[1].key, kernels[3].key]
    with torch.no_grad():
        expected = slim(images(9, 40)).relu()
    for program in found.values():
        program.launch()
        assert torch.allclose(program.outputs()[0], expected, atol=1e-5)


def test_a_batch_of_none_is_no_work() -> None:
    slim = conv()
    layer = GatheredLayer(slim, kernels_for(slim, Arithmetic.FP32, 1)[0])
    assert layer(images(0, 8, 6, 6)).shape == (0, 12, 4, 4)


def test_few_rows_get_a_kernel_of_their_own_and_convolutions_do_not() -> None:
    assert isinstance(kernels_for(linear(), Arithmetic.BF16, 8)[0], Gemv)
    assert all(isinstance(each, Gather) for each in kernels_for(linear(), Arithmetic.BF16, 9))
    assert all(isinstance(each, Gather) for each in kernels_for(conv(), Arithmetic.BF16, 1))
    assert {each.vector for each in kernels_for(conv(3), Arithmetic.BF16, 1)} == {1}


@pytest.mark.parametrize("slim", [conv(), conv(**ODD), linear()], ids=["plain", "odd", "linear"])
def test_the_operators_shape_without_data_is_its_shape_with(slim: Any) -> None:
    layer = GatheredLayer(slim, kernels_for(slim, Arithmetic.FP32, 100)[0])
    inputs = images(4, 40) if isinstance(slim, SlimLinear) else images(2, 8, 9, 8)
    four = inputs[..., None, None] if isinstance(slim, SlimLinear) else inputs
    arguments = (four, layer.table, layer.weight, layer.bias, layer.outputs, layer.window, layer.kernel, 0, False)
    torch.library.opcheck(torch.ops.headroom.gather.default, arguments, test_utils=("test_schema", "test_faketensor"))


def test_a_network_of_gathered_layers_is_exported_with_any_batch() -> None:
    slim = conv()
    layer = GatheredLayer(slim, kernels_for(slim, Arithmetic.FP32, 1)[0], relu=True).eval()
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(layer, (images(3, 8, 6, 6),), dynamic_shapes=({0: batch},))
    assert any(node.target is torch.ops.headroom.gather.default for node in exported.graph.nodes)
    assert exported.module()(images(5, 8, 6, 6)).shape == (5, 12, 4, 4)


def test_a_kernel_that_does_not_fit_is_refused() -> None:
    wide = next(each for each in kernels_for(conv(), Arithmetic.BF16, 1) if each.vector == 8)
    with pytest.raises(UsageError, match="3 channels have no bf16 table of 8"):
        GatheredLayer(conv(3), wide)


def test_nothing_of_pytorch_is_imported_before_it_is_needed() -> None:
    names = ("variants", "geometry", "pack", "choose")
    lines = [f"import headroom.change.synapses.kernels.{name}" for name in names]
    lines.append("import sys; assert not {'torch', 'cuda', 'cuda.core'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
