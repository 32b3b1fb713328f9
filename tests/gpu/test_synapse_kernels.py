"""On a machine with a GPU: our synapse kernels against fp64, eager, compiled, in CUDA graphs and on other streams."""

from __future__ import annotations

from typing import Any

import pytest

from headroom.change.synapses.kernels.variants import Arithmetic, Gather, Gemv, gathers

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("a_gpu")]

#: Errors relative to the root mean square of the outputs: of sums in fp32, of tf32's and bf16's operands.
TOLERANCE = {Arithmetic.FP32: 1e-5, Arithmetic.TF32: 2e-3, Arithmetic.BF16: 8e-3}


@pytest.fixture
def torch() -> Any:
    found = pytest.importorskip("torch")
    if not found.cuda.is_available():
        pytest.skip("needs a PyTorch with CUDA")
    return found


def conv(torch: Any, channels: int, share: float = 0.5, outputs: int = 100, **options: Any) -> Any:
    from headroom.change.synapses.modules import SlimConv2d

    count = 9 * channels
    return filled(torch, SlimConv2d((outputs, channels, 3, 3), max(1, int(share * count)), **options), count)


def linear(torch: Any, features: int, outputs: int) -> Any:
    from headroom.change.synapses.modules import SlimLinear

    return filled(torch, SlimLinear(features, features // 2, outputs), features)


def filled(torch: Any, slim: Any, count: int) -> Any:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        slim.retained.copy_(torch.randperm(count, generator=generator)[: len(slim.retained)])
        for parameter in slim.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / len(slim.retained) ** 0.5)
    return slim


def gathered(slim: Any, kernel: Gather | Gemv, **options: Any) -> Any:
    from headroom.change.synapses.kernels.layers import GatheredLayer

    return GatheredLayer(slim, kernel, **options).cuda()


def relative_error(torch: Any, slim: Any, kernel: Gather | Gemv, shape: tuple[int, ...], **options: Any) -> float:
    """Against the slim layer in fp64 on the CPU."""
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(6))
    held = inputs.bfloat16() if kernel.arithmetic is Arithmetic.BF16 else inputs
    with torch.no_grad():
        found = gathered(slim, kernel, **options)(held.cuda()).double().cpu()
        exact = slim.double()(held.double())
        slim.float()
    exact = exact.relu() if options.get("relu") else exact
    return float((found - exact).abs().max() / exact.square().mean().sqrt())


def every_kernel(torch: Any, slim: Any, arithmetic: Arithmetic, rows: int = 1) -> list[Gather | Gemv]:
    from headroom.change.synapses.kernels.layers import kernels_for

    return [each for each in kernels_for(slim, arithmetic, rows) if runs_here(torch, each)]


def runs_here(torch: Any, kernel: Gather | Gemv) -> bool:
    if torch.cuda.get_device_capability() < kernel.arithmetic.minimum:
        return False
    most = torch.cuda.get_device_properties(0).shared_memory_per_block_optin
    return isinstance(kernel, Gemv) or kernel.shared_bytes <= most


@pytest.mark.parametrize("arithmetic", Arithmetic)
def test_every_instance_computes_convolutions(torch: Any, arithmetic: Arithmetic) -> None:
    odd = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)}
    for slim, shape in (
        (conv(torch, 64, padding=(1, 1, 1, 1)), (3, 64, 14, 14)),
        (conv(torch, 24, 0.3, **odd), (2, 24, 17, 15)),
        (conv(torch, 3, 0.9, outputs=64, padding=(1, 1, 1, 1)), (2, 3, 32, 32)),
        (conv(torch, 512, 0.5, outputs=512, padding=(1, 1, 1, 1)), (1, 512, 7, 7)),
    ):
        kernels = every_kernel(torch, slim, arithmetic)
        assert kernels or torch.cuda.get_device_capability() < arithmetic.minimum
        for kernel in kernels:
            for parts in (1, 0):
                error = relative_error(torch, slim, kernel, shape, parts=parts, relu=True)
                # Eight standard deviations: the largest of many outputs is compared with their root mean square.
                assert error < 8 * TOLERANCE[arithmetic], (kernel.key, parts, shape)


@pytest.mark.parametrize("arithmetic", Arithmetic)
@pytest.mark.parametrize("rows", [1, 3, 8, 32])
def test_every_instance_computes_linear_layers(torch: Any, arithmetic: Arithmetic, rows: int) -> None:
    slim = linear(torch, 9216, 1000)
    for kernel in every_kernel(torch, slim, arithmetic, rows):
        assert relative_error(torch, slim, kernel, (rows, 9216)) < 8 * TOLERANCE[arithmetic], kernel.key


def network(torch: Any, arithmetic: Arithmetic) -> tuple[Any, Any]:
    """A convolution with ReLU and a linear layer, gathered, and inputs."""
    first, second = conv(torch, 16, outputs=32), linear(torch, 32 * 36, 10)
    layers = gathered(first, next(gathers(arithmetic)), relu=True), gathered(second, Gemv(arithmetic, 4))
    dtype = torch.bfloat16 if arithmetic is Arithmetic.BF16 else torch.float32
    inputs = torch.randn((4, 16, 8, 8), device="cuda", dtype=dtype)
    return torch.nn.Sequential(layers[0], torch.nn.Flatten(), layers[1]).eval(), inputs


@pytest.mark.parametrize("arithmetic", Arithmetic)
def test_a_network_is_compiled_without_a_graph_break(torch: Any, arithmetic: Arithmetic) -> None:
    eager, inputs = network(torch, arithmetic)
    with torch.no_grad():
        expected = eager(inputs)
        for mode in ("default", "reduce-overhead"):
            compiled = torch.compile(eager, fullgraph=True, mode=mode)
            for _ in range(3):
                found = compiled(inputs).clone()
            assert torch.equal(found, expected), mode


@pytest.mark.parametrize("arithmetic", Arithmetic)
def test_a_captured_network_follows_its_inputs(torch: Any, arithmetic: Arithmetic) -> None:
    eager, inputs = network(torch, arithmetic)
    with torch.no_grad():
        eager(inputs)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = eager(inputs)
        inputs.copy_(inputs.flip(0))
        graph.replay()
        assert torch.equal(found, eager(inputs))


def test_kernels_run_on_the_stream_that_is_current(torch: Any) -> None:
    eager, inputs = network(torch, Arithmetic.FP32)
    with torch.no_grad():
        expected = eager(inputs)
        torch.cuda.synchronize()
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            torch.cuda._sleep(20_000_000)
            inputs.zero_()
            found = eager(inputs)
        stream.synchronize()
    assert not torch.equal(found, expected), "the kernel waited for what its stream did before"
    assert torch.equal(found, eager(inputs))


def test_inputs_from_the_midst_of_a_tensor_and_none_at_all(torch: Any) -> None:
    slim = conv(torch, 16)
    kernel = next(each for each in every_kernel(torch, slim, Arithmetic.FP32) if each.vector == 4)
    layer, held = gathered(slim, kernel), torch.randn(1 + 2 * 16 * 64, device="cuda")
    inputs = held[1:].view(2, 8, 8, 16).permute(0, 3, 1, 2)
    with torch.no_grad():
        assert torch.equal(layer(inputs), layer(inputs.clone()))
        assert layer(inputs[:0]).shape == (0, 100, 6, 6)


def test_inputs_of_another_type_are_refused(torch: Any) -> None:
    from headroom.errors import UsageError

    eager, inputs = network(torch, Arithmetic.FP32)
    with torch.no_grad(), pytest.raises(UsageError, match="takes inputs and weights of"):
        eager(inputs.bfloat16())
