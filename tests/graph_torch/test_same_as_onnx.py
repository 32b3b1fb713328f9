"""The same network through both readers: PyTorch directly, and the ONNX file that PyTorch exports."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch

from graph_torch import zoo
from graph_torch.conftest import Read
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.onnx.client import ReaderWorker
from headroom.graph.work import Pooling, Reduction, Work

#: What both readers must agree on, record by record and in order. Not elementwise arithmetic, because an
#: exporter writes the bias of a linear layer on three dimensions as an addition of its own, and not movement,
#: because PyTorch transposes and slices without copying where an ONNX runtime copies.
COMPARED = frozenset(LayerKind) - {
    LayerKind.ELEMENTWISE,
    LayerKind.MOVEMENT,
    LayerKind.FREE,
    LayerKind.UNKNOWN,
}

ReadFile = Callable[[Path], Graph]


@pytest.fixture(scope="module")
def read_file() -> Iterator[ReadFile]:
    """One warm child process for all files."""
    with ReaderWorker() as worker:
        yield worker.read


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Export a network of the zoo, batch normalisations kept apart as the reader sees them."""
    folder = tmp_path_factory.mktemp("onnx")

    def export(name: str, *, dynamo: bool) -> Path:
        module, inputs = getattr(zoo, name)()
        path = folder / f"{name}_{dynamo}.onnx"
        options: dict[str, Any] = {"dynamo": True, "optimize": False, "verbose": False}
        if not dynamo:
            keep = torch.onnx.TrainingMode.PRESERVE
            options = {"dynamo": False, "training": keep, "do_constant_folding": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module.eval(), inputs, str(path), **options)
        return path

    return export


def compared(graph: Graph) -> list[object]:
    return [comparable(layer.work) for layer in graph.layers if layer.kind in COMPARED]


def comparable(work: Work) -> object:
    """Global average pooling is a mean: one of the exporters writes it as one."""
    if isinstance(work, Pooling) and work.function == "average" and work.flops == work.out_elements * prod(work.stride):
        return Reduction("reducemean", work.flops, work.out_elements)
    return work


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize(
    "name",
    ["resnet18", "mobilenet_blocks", "vit", "bert_layer", "encoder", "llama_block", "conv1d", "conv3d", "unet",
     "lstm_tagger", "gru_tagger"],
)  # fmt: skip
def test_both_readers_see_the_same_compute_layers(
    name: str, dynamo: bool, read: Read, exported: Callable[..., Path], read_file: ReadFile
) -> None:
    from_torch, from_onnx = read(name), read_file(exported(name, dynamo=dynamo))
    assert compared(from_torch) == compared(from_onnx)
    assert from_torch.macs == from_onnx.macs
    assert from_torch.batch == from_onnx.batch


def test_the_shared_resnet18_is_the_one_of_the_zoo(shared_models: Path, read: Read, read_file: ReadFile) -> None:
    from_torch, from_onnx = read("resnet18"), read_file(shared_models / "resnet18.onnx")
    both = COMPARED | {LayerKind.ELEMENTWISE}
    assert [layer.work for layer in from_torch.layers if layer.kind in both] == [
        layer.work for layer in from_onnx.layers if layer.kind in both
    ]
    assert from_torch.macs == from_onnx.macs == 1_814_073_344


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50"])
def test_shared_classics_have_the_macs_of_the_zoo(
    name: str, shared_models: Path, read: Read, read_file: ReadFile
) -> None:
    path = shared_models / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"the shared folder has no {path.name}")
    assert read(name).macs == read_file(path).macs


def test_paths_of_modules_agree(read: Read, exported: Callable[..., Path], read_file: ReadFile) -> None:
    """The exporter keeps module paths in its node names; advice then names the same module either way."""
    from_onnx = read_file(exported("resnet18", dynamo=False))
    named = [layer.module for layer in from_onnx.layers if layer.macs]
    assert named == [layer.module for layer in read("resnet18").layers if layer.macs]
