"""Whole networks on older GPUs: the sum of the layers against published sums of the fastest kernels."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

import headroom as hr
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.predict.model import predict_layers

GPUS = {"v100-sxm2-16gb": "Tesla_V100-SXM2-16GB", "titan-xp": "TITAN_Xp"}


def published_ms(shared_data: Path, model: str, gpu: str, batch: int) -> float:
    """Benanza's sum of each layer's fastest measured kernel (fp32, cuDNN 7.6)."""
    with gzip.open(shared_data / "tables" / "benanza_totals.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            key = (row["model"], row["gpu"], row["batch"], row["strategy"], row["algo_choice"])
            if key == (model, GPUS[gpu], str(batch), "serial", "best_measured"):
                return float(row["total_ms"])
    raise LookupError(f"no published total for {model} on {gpu} at batch {batch}")


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize(("file", "model"), [("resnet50", "ResNet050-v1"), ("resnet152", "ResNet152-v1")])
def test_a_residual_network_is_predicted_to_a_sixth(shared_data: Path, gpu: str, file: str, model: str) -> None:
    graph = hr.load(shared_data / "models" / f"{file}.onnx", batch=32)
    total_us = sum(answer.time_us for answer in predict_layers(graph.layers, load_gpu(gpu), DataType.FP32))
    assert total_us / 1e3 == pytest.approx(published_ms(shared_data, model, gpu, 32), rel=1 / 6)


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize(
    ("file", "model"), [("vgg16", "VGG16"), ("resnet18", "ResNet018-v1"), ("resnet34", "ResNet034-v1")]
)
def test_a_network_of_winograd_kernels_is_predicted_to_an_eighth(
    shared_data: Path, gpu: str, file: str, model: str
) -> None:
    graph = hr.load(shared_data / "models" / f"{file}.onnx", batch=32)
    answers = predict_layers(graph.layers, load_gpu(gpu), DataType.FP32)
    total_us = sum(answer.time_us for answer in answers)
    assert total_us / 1e3 == pytest.approx(published_ms(shared_data, model, gpu, 32), rel=1 / 8)
    assert sum("Winograd" in answer.algorithm for answer in answers) > 10
