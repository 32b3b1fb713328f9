"""What the layers and products enqueue is what the kernels take: the same arguments run the kernels on the CPU."""

from __future__ import annotations

import pytest

import headroom as hr
from change_fission.test_gemm_kernel import CHECKED as PRODUCTS
from change_fission.test_gemm_kernel import MIXED
from change_fission.test_linear_kernel import CHECKED as LINEAR
from change_fission.test_linear_kernel import program
from cuda_on_cpu.program import cpu_program, needs_compiler
from headroom.change.fission.kernels.sources import FOLDER, FOLDERS

torch = pytest.importorskip("torch")
from headroom.change.fission.kernels import gemm_gpu, gpu  # noqa: E402
from headroom.change.kernels import launch  # noqa: E402

pytestmark = needs_compiler


def on_the_cpu(monkeypatch, module, program) -> None:
    """Launches run on the CPU, with each argument as the GPU's launcher would pass it."""

    def enqueue(kernel, _device, shape, *arguments):
        passed = [each.numpy() if torch.is_tensor(each) else each for each in arguments]
        passed = [each if each is None or hasattr(each, "shape") else launch._passed(each) for each in passed]
        program.launch(kernel, shape.grid, (shape.threads,), *passed, shared_bytes=shape.shared_bytes)

    monkeypatch.setattr(module, "loaded", lambda _folders, _file, name, *_rest: name)
    monkeypatch.setattr(module, "enqueue", enqueue)


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
