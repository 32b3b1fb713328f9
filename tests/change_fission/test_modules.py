"""Packed layers as modules: what they compute, what they keep, and how they are saved."""

from __future__ import annotations

import io

import numpy as np
import pytest

import headroom as hr
from headroom.change.fission import FORMATS, format_called
from headroom.errors import UsageError

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from headroom.change.fission.unpacking import unpack_weights  # noqa: E402


def seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def linear(inputs: int = 70, outputs: int = 9, *, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=bias)
    with torch.no_grad():
        for each in layer.parameters():
            each.copy_(torch.randn(each.shape, generator=seeded()))
    return layer


@pytest.mark.parametrize("name", FORMATS)
def test_pytorch_unpacks_to_the_references_bits(name):
    form = format_called(name)
    rows = torch.randn(6, 137, generator=seeded()).numpy()
    packed = form.pack(rows)
    scales = None if packed.scales is None else torch.from_numpy(packed.scales)

    found = unpack_weights(torch.from_numpy(packed.words.view(np.int32)), scales, form, 137).numpy()

    assert np.array_equal(found.view(np.uint32), form.unpack(packed).view(np.uint32))


@pytest.mark.parametrize("name", ["deft16q", "deft8e4", "int8", "int4_g32"])
@pytest.mark.parametrize("activation", [None, "relu"])
def test_a_packed_linear_layer_multiplies_the_unpacked_weight(name, activation):
    dense = linear()
    packed = hr.PackedLinear.from_float(dense, name, activation=activation)
    inputs = torch.randn(2, 3, 70, generator=seeded(1))

    wanted = inputs @ packed.unpacked().T + dense.bias
    torch.testing.assert_close(packed(inputs), (wanted.relu() if activation else wanted).detach())
    assert packed.packed_bytes < 4 * dense.weight.numel()


@pytest.mark.parametrize("groups", [1, 2])
def test_a_packed_convolution_convolves_the_unpacked_weight(groups):
    dense = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=groups)
    packed = hr.PackedConv2d.from_float(dense, "int8", activation="relu")
    inputs = torch.randn(2, 4, 11, 9, generator=seeded(2))
    twin = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=groups)
    with torch.no_grad():
        twin.weight.copy_(packed.weight)
        twin.bias.copy_(dense.bias)

    torch.testing.assert_close(packed(inputs), twin(inputs).relu().detach())
    assert float((packed.weight - dense.weight).detach().abs().max()) < float(dense.weight.detach().abs().max()) / 200


def test_outputs_have_the_inputs_type_and_scales_stay_fp32_in_a_network_that_is_cast():
    exact = hr.PackedLinear.from_float(linear(), "int8")
    packed = hr.PackedLinear.from_float(linear(), "int8").bfloat16()

    assert packed(torch.randn(1, 70, generator=seeded()).bfloat16()).dtype is torch.bfloat16
    assert torch.equal(packed.scales, exact.scales)
    assert torch.equal(packed.bias, exact.bias)
    assert packed.words.dtype is torch.int32


def test_gradients_pass_to_the_inputs():
    inputs = torch.randn(2, 70, generator=seeded(), requires_grad=True)
    packed = hr.PackedLinear.from_float(linear(), "int8")
    packed(inputs).sum().backward()

    torch.testing.assert_close(inputs.grad, packed.unpacked().sum(0).expand(2, -1))


def test_a_state_dict_is_read_without_pickle_and_only_into_the_same_format():
    packed = hr.PackedLinear.from_float(linear(bias=False), "int4_g32")
    file = io.BytesIO()
    torch.save(packed.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)

    twin = hr.PackedLinear(70, 9, "int4_g32", bias=False)
    twin.load_state_dict(state)
    assert torch.equal(twin.unpacked(), packed.unpacked())
    with pytest.raises((UsageError, RuntimeError)):
        hr.PackedLinear(70, 9, "int4_g128", bias=False).load_state_dict(state)


def test_what_cannot_be_packed_is_refused_in_a_sentence():
    broken = linear()
    with torch.no_grad():
        broken.weight[0, 0] = float("nan")
    with pytest.raises(UsageError, match="infinities or NaN"):
        hr.PackedLinear.from_float(broken)
    with pytest.raises(UsageError, match="'gelu' is not fused"):
        hr.PackedLinear(4, 4, activation="gelu")
    with pytest.raises(UsageError, match="padding by reflect"):
        hr.PackedConv2d.from_float(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"))
    with pytest.raises(UsageError, match=r"made of a torch\.nn\.Linear, not of Embedding"):
        hr.PackedLinear.from_float(nn.Embedding(3, 4))
    with pytest.raises(UsageError, match="on the meta device"):
        hr.PackedLinear.from_float(nn.Linear(3, 4, device="meta"))
    with torch.no_grad(), pytest.raises(UsageError, match="half has no number as large as the weight's"):
        hr.PackedLinear.from_float(nn.Linear(3, 4).apply(lambda each: each.weight.fill_(1e6)), "half")


def test_inputs_of_another_width_are_refused_and_no_kernel_reads_past_them():
    from headroom.change.fission.kernels.gpu import run_linear

    packed = hr.PackedLinear.from_float(linear())
    for shape in ((2, 35), (1, 140), (70, 1), ()):
        assert run_linear(packed, torch.ones(shape)) is None
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        packed(torch.ones(2, 35))
