"""The paper's networks, written out for the benchmark, against real model files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from delta_study.networks import NETWORKS
from headroom.graph.onnx.client import read_onnx
from headroom.graph.work import Convolution


def _filters(convs: list[Convolution]) -> Counter[tuple[object, ...]]:
    return Counter((c.in_channels, c.out_channels, c.kernel, c.groups) for c in convs)


def _file_convolutions(path: Path) -> list[Convolution]:
    return [layer.work for layer in read_onnx(path).layers if isinstance(layer.work, Convolution)]


@pytest.mark.parametrize(
    ("network", "file"),
    [
        ("AlexNet", "light_bvlc_alexnet"),
        ("VGG16", "vgg16"),
        ("GoogLeNet", "light_inception_v1"),
        ("ResNet-152", "resnet152"),
    ],
)
def test_channels_filters_and_groups_are_those_of_the_model_files(network: str, file: str, shared_models: Path) -> None:
    written = [conv for _, conv in NETWORKS[network]()]

    assert _filters(written) == _filters(_file_convolutions(shared_models / f"{file}.onnx"))


def test_vgg16_is_the_model_file_s_layer_for_layer(shared_models: Path) -> None:
    written = [conv for _, conv in NETWORKS["VGG16"]()]
    read = read_onnx(shared_models / "vgg16.onnx", batch=256).layers

    assert written == [layer.work for layer in read if isinstance(layer.work, Convolution)]
