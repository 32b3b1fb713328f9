"""On a machine with a GPU: the search multiplies there; slim layers run eager, compiled and in a CUDA graph."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from headroom.change.synapses import Grain, Selection, Transform, VectorCorrelation, search

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("a_gpu")]


@pytest.fixture
def torch() -> Any:
    found = pytest.importorskip("torch")
    if not found.cuda.is_available():
        pytest.skip("needs a PyTorch with CUDA")
    return found


@pytest.fixture
def networks(torch: Any) -> tuple[Any, Any, Any]:
    """A slim network of all grains on the CPU, the same on the GPU, and a batch on the CPU; strict float32."""
    from headroom.change.synapses.slim import Removal, slim

    grains = {"0": (Grain.COLUMN, 27), "2": (Grain.CHANNEL, 32), "5": (Grain.FEATURE, 1600)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dense = torch.nn.Sequential(
            *(torch.nn.Conv2d(3, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(32, 16, 3)),
            *(torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(1600, 10)),
        ).eval()
        batch = torch.randn(8, 3, 12, 12)
    removals = {name: Removal(grain, every_other(count), Transform.SCALE) for name, (grain, count) in grains.items()}
    slimmer = slim(dense, removals)
    return slimmer, copy.deepcopy(slimmer).cuda(), batch


def every_other(count: int) -> Selection:
    who = np.arange(count) // 2 * 2
    return Selection(0.5, np.arange(0, count, 2), who, np.ones(count))


@pytest.fixture
def _strict_float32(torch: Any) -> Any:
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept


@pytest.mark.usefixtures("_strict_float32")
def test_the_search_decides_on_the_gpu_as_on_the_cpu(torch: Any) -> None:
    random = np.random.default_rng(0)
    centres = np.repeat(random.standard_normal((512, 500)), 10, axis=1)
    weights = torch.from_numpy((centres + random.standard_normal((512, 5000))).astype(np.float32))

    found = search(VectorCorrelation(weights.cuda(), device="cuda"), 0.3)

    assert (found.representative == search(VectorCorrelation(weights), 0.3).representative).all()
    assert len(found.retained) == 500


@pytest.mark.usefixtures("_strict_float32")
def test_slim_layers_give_on_the_gpu_what_they_give_on_the_cpu(torch: Any, networks: tuple[Any, Any, Any]) -> None:
    reference, changed, batch = networks
    with torch.no_grad():
        expected = reference(batch)
        eager = changed(batch.cuda())
        compiled = torch.compile(changed, fullgraph=True)(batch.cuda())

    assert torch.allclose(eager.cpu(), expected, atol=1e-4)
    assert torch.allclose(compiled.cpu(), expected, atol=1e-4)


@pytest.mark.usefixtures("_strict_float32")
def test_slim_layers_are_captured_in_a_cuda_graph(torch: Any, networks: tuple[Any, Any, Any]) -> None:
    reference, changed, batch = networks
    inputs = batch.cuda()
    stream = torch.cuda.Stream()
    with torch.no_grad(), torch.cuda.stream(stream):
        changed(inputs)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        outputs = changed(inputs)
    inputs.copy_(batch.flip(0))
    graph.replay()
    torch.cuda.synchronize()

    with torch.no_grad():
        assert torch.allclose(outputs.cpu(), reference(batch.flip(0)), atol=1e-4)
