"""On a machine with a GPU: packed layers and products beside fp64, in every format."""

from __future__ import annotations

from typing import Any

import pytest

from headroom.change.fission import FORMATS
from headroom.change.fission.kernels.gemm_variants import figure_11
from headroom.change.fission.kernels.sources import variants

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("a_gpu")]


@pytest.fixture
def torch() -> Any:
    found = pytest.importorskip("torch")
    if not found.cuda.is_available():
        pytest.skip("needs a PyTorch with CUDA")
    return found


def layer(torch: Any, form: str) -> Any:
    import headroom as hr

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dense = torch.nn.Linear(1234, 517)
    return hr.PackedLinear.from_float(dense, form, activation="relu")


def wanted(torch: Any, packed: Any, inputs: Any) -> tuple[Any, Any]:
    weight = packed.unpacked().double()
    spread = (inputs.double().abs() @ weight.abs().T + packed.bias.abs()) * 2.0**-20
    return (inputs.double() @ weight.T + packed.bias).relu(), spread


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_packed_layer_runs_its_kernel_and_multiplies_like_fp64(torch: Any, form: str, batch: int, dtype: str) -> None:
    from headroom.change.fission.kernels.gpu import run_linear

    packed = layer(torch, form).cuda()
    inputs = torch.randn(batch, 1234, generator=torch.Generator().manual_seed(1)).to("cuda", getattr(torch, dtype))
    found = run_linear(packed, inputs)
    assert found is not None
    expected, spread = wanted(torch, packed, inputs)
    assert bool(
        ((found.double() - expected).abs() <= spread + expected * (2.0**-8 if dtype == "bfloat16" else 0)).all()
    )
    assert torch.equal(packed(inputs), found)


def test_every_shape_of_the_kernel_gives_the_same_outputs(torch: Any) -> None:
    from headroom.change.fission.kernels.gpu import run_linear

    packed = layer(torch, "int8").cuda()
    inputs = torch.randn(2, 1234, generator=torch.Generator().manual_seed(1)).cuda()
    expected, spread = wanted(torch, packed, inputs)
    for variant in variants("int8", "fp32", 2):
        found = run_linear(packed, inputs, variant)
        assert bool(((found.double() - expected).abs() <= spread).all()), variant


def test_a_packed_layer_replays_in_a_cuda_graph(torch: Any) -> None:
    packed = layer(torch, "int4_g128").cuda()
    inputs = torch.randn(1, 1234, generator=torch.Generator().manual_seed(1)).cuda()
    expected = packed(inputs)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = packed(inputs)
    outputs.zero_()
    graph.replay()
    assert torch.equal(outputs, expected)


@pytest.mark.parametrize("name", [name for name, variant in figure_11().items() if not variant.simulated])
def test_the_strict_product_is_fp64s(torch: Any, name: str) -> None:
    from headroom.change.fission.kernels.gemm_gpu import GemmOperand, run_gemm

    variant = figure_11()[name]
    draw = torch.Generator().manual_seed(2)
    left, right = (torch.randn(rows, 517, generator=draw).cuda() for rows in (300, 261))
    a, b = GemmOperand(left, variant.left), GemmOperand(right, variant.right)
    found = torch.full((300, 261), float("nan"), device="cuda")
    run_gemm(variant, a, b, found)
    # What the formats themselves lose; to the bit it is checked on the CPU.
    error = (found.double() - left.double() @ right.double().T).norm() / found.double().norm()
    assert float(error) < {32: 1e-6, 16: 1e-2, 8: 0.2}[min(variant.left.bits, variant.right.bits)]


CONVOLUTIONS = {
    "few channels": {"channels": 3, "outputs": 70, "window": 11, "stride": 4, "padding": 2},
    "wide loads": {"channels": 64, "outputs": 130, "window": 3, "padding": 1},
    "groups": {"channels": 48, "outputs": 96, "window": 5, "padding": 2, "groups": 2},
    "dilated": {"channels": 20, "outputs": 33, "window": 3, "stride": 2, "dilation": 2},
}


def drawn(torch: Any, name: str) -> tuple[Any, Any, Any, dict[str, int]]:
    layer = dict(CONVOLUTIONS[name])
    draw = torch.Generator().manual_seed(3)
    channels, outputs, window = (layer.pop(each) for each in ("channels", "outputs", "window"))
    images = torch.randn(2, channels, 35, 31, generator=draw)
    weight = torch.randn(outputs, channels // layer.get("groups", 1), window, window, generator=draw)
    return images.cuda(), weight.cuda(), torch.randn(outputs, generator=draw).cuda(), layer


@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize("name", [name for name, variant in figure_11().items() if not variant.simulated])
def test_the_strict_convolution_is_fp64s(torch: Any, name: str, layer: str) -> None:
    from headroom.change.fission.kernels.convolution_gpu import operands_of, run_convolution
    from headroom.change.fission.kernels.convolutions import Convolution, variant_for

    images, weight, bias, settings = drawn(torch, layer)
    pairs = {key: (each, each) for key, each in settings.items() if key != "groups"}
    size = (int(images.shape[2]), int(images.shape[3]))
    window = (int(weight.shape[2]), int(weight.shape[3]))
    convolution = Convolution(
        2, int(images.shape[1]), size, len(weight), window, groups=settings.get("groups", 1), **pairs
    )
    sides = figure_11()[name]
    for tile in (64, 128):
        variant = variant_for(convolution, sides.left, sides.right, tile)
        operands = operands_of(convolution, variant, images, weight, bias)
        for parts in (1, 3):
            found = torch.full((2, *convolution.size_out, len(weight)), float("nan"), device="cuda")
            run_convolution(convolution, variant, operands, found, parts=parts)
            wanted = torch.nn.functional.conv2d(images.double(), weight.double(), bias.double(), **settings)
            # What the formats themselves lose; to the bit it is checked on the CPU.
            error = (found.permute(0, 3, 1, 2).double() - wanted).norm() / wanted.norm()
            bits = min(sides.left.bits, sides.right.bits)
            assert float(error) < {32: 1e-6, 16: 1e-2, 8: 0.2}[bits], (tile, parts)


@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_a_packed_convolution_runs_its_kernel_in_strict_fp32_and_replays(
    torch: Any, layer: str, monkeypatch: Any
) -> None:
    import headroom as hr
    from headroom.change.fission.kernels.convolution_gpu import run_packed

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    images, weight, _, settings = drawn(torch, layer)
    dense = torch.nn.Conv2d(images.shape[1], len(weight), weight.shape[2], **settings).cuda()
    packed = hr.PackedConv2d.from_float(dense, "int8", activation="relu")
    found = run_packed(packed, images)
    assert found is not None
    packed.near = False
    torch.testing.assert_close(found, packed(images), rtol=1e-4, atol=1e-5)
    packed.near = True
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = packed(images)
    outputs.zero_()
    graph.replay()
    assert torch.equal(outputs, found)
