"""What the layers and products enqueue is what the kernels take: the same arguments run the kernels on the CPU."""

from __future__ import annotations

import pytest

import headroom as hr
from change_fission.test_convolution_kernel import program as convolutions
from change_fission.test_gemm_kernel import CHECKED as PRODUCTS
from change_fission.test_gemm_kernel import MIXED
from change_fission.test_linear_kernel import CHECKED as LINEAR
from change_fission.test_linear_kernel import program
from cuda_on_cpu.program import cpu_program, needs_compiler
from headroom.change.fission.kernels.sources import FOLDER, FOLDERS

torch = pytest.importorskip("torch")
from headroom.change.fission.kernels import convolution_gpu, gemm_gpu, gpu  # noqa: E402
from headroom.change.kernels import launch  # noqa: E402

pytestmark = needs_compiler


def on_the_cpu(monkeypatch, module, program) -> None:
    """Launches run on the CPU, with each argument as the GPU's launcher would pass it."""

    def enqueue(kernel, _device, shape, *arguments):
        passed = [in_memory(each).numpy() if torch.is_tensor(each) else each for each in arguments]
        passed = [each if each is None or hasattr(each, "shape") else launch._passed(each) for each in passed]
        program.launch(kernel, shape.grid, (shape.threads,), *passed, shared_bytes=shape.shared_bytes)

    monkeypatch.setattr(module, "loaded", lambda _folders, _file, name, *_rest: name)
    monkeypatch.setattr(module, "enqueue", enqueue)


def in_memory(tensor):
    """Its values in the order in which memory has them."""
    return tensor if tensor.is_contiguous() else tensor.permute(0, 2, 3, 1)


@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_passes_what_the_small_batch_kernel_takes(monkeypatch, bias):
    on_the_cpu(monkeypatch, gpu, program())
    draw = torch.Generator().manual_seed(0)
    packed = hr.PackedLinear.from_float(torch.nn.Linear(300, 64, bias=bias), "int8", activation="relu")
    inputs = torch.randn(1, 1, 300, generator=draw)
    gpu._kernel.cache_clear()
    found = gpu.run_linear(packed, inputs, LINEAR[7])
    gpu._kernel.cache_clear()

    assert LINEAR[7].format_name == "int8"
    torch.testing.assert_close(found, packed(inputs))


def test_a_product_passes_what_the_strict_kernel_takes(monkeypatch):
    every = cpu_program(FOLDER / "gemm.cu", tuple(each.entry for each in PRODUCTS), folders=FOLDERS)
    on_the_cpu(monkeypatch, gemm_gpu, every)
    draw = torch.Generator().manual_seed(0)
    left, right, bias = (torch.randn(shape, generator=draw) for shape in ((5, 37), (7, 37), (7,)))
    a, b = gemm_gpu.GemmOperand(left, MIXED.left), gemm_gpu.GemmOperand(right, MIXED.right)
    found = torch.full((5, 7), float("nan"))
    gemm_gpu.run_gemm(MIXED, a, b, found, bias, relu=True)

    wanted = (left @ right.T + bias).relu()
    assert float((found - wanted).norm() / wanted.norm()) < 0.02


STRICT = {
    "a tile in parts": torch.nn.Conv2d(64, 34, 3, padding=1, groups=2),
    "a few channels": torch.nn.Conv2d(5, 9, (3, 2), (2, 1), (1, 2), (2, 3), bias=False),
    "padding to the same size": torch.nn.Conv2d(4, 8, 3, padding="same"),
}


@pytest.fixture
def strict(monkeypatch):
    on_the_cpu(monkeypatch, convolution_gpu, convolutions())
    monkeypatch.setattr(convolution_gpu, "sms", lambda _device: 132)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    convolution_gpu._compiles.cache_clear()
    yield
    convolution_gpu._compiles.cache_clear()


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("name", STRICT)
def test_a_packed_convolution_passes_what_its_kernel_takes(name):
    packed = hr.PackedConv2d.from_float(STRICT[name], "int8", activation="relu")
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, STRICT[name].in_channels, 11, 7, generator=draw)
    found = convolution_gpu.run_packed(packed, inputs)

    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, packed(inputs).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("strict")
def test_images_that_begin_in_the_midst_of_a_tensor_are_read_aligned():
    packed = hr.PackedConv2d.from_float(STRICT["padding to the same size"], "int8")
    inputs = torch.randn(1, 6, 5, 5, generator=torch.Generator().manual_seed(0))[..., 1:].permute(0, 3, 1, 2)
    shifted = torch.empty(inputs.numel() + 1)[1:].view(1, 6, 5, 4).permute(0, 3, 1, 2).copy_(inputs)

    torch.testing.assert_close(convolution_gpu.run_packed(packed, shifted), packed(shifted).detach())


@pytest.mark.usefixtures("strict")
def test_what_the_kernel_has_no_instance_for_is_unpacked(monkeypatch):
    layer, inputs = torch.nn.Conv2d(4, 8, 3), torch.randn(1, 4, 5, 5)
    packed = hr.PackedConv2d.from_float(layer, "int8")

    assert convolution_gpu.run_packed(hr.PackedConv2d.from_float(layer, "int4_g32"), inputs) is None
    assert convolution_gpu.run_packed(packed, inputs.bfloat16()) is None
    assert convolution_gpu.run_packed(packed, inputs[0]) is None
    uneven = hr.PackedConv2d.from_float(torch.nn.Conv2d(4, 8, 2, padding="same"), "int8")
    assert convolution_gpu.run_packed(uneven, inputs) is None
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert convolution_gpu.run_packed(packed, inputs) is None, "tensor cores are faster than any splitting"
