"""The gradients of ResNet-18's layers as an H200 ran them, replayed through an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

import headroom as hr
from headroom.gpu.sheets import load_gpu
from headroom.graph.chain import Chain
from headroom.predict.model import predict_layers
from headroom.store.imported import JsonSource
from headroom.store.merge import merge
from headroom.store.record import ChainRecord
from headroom.store.rows import Status
from headroom.store.store import Store

ROWS = Path(__file__).resolve().parents[1] / "rows" / "h200_resnet18_gradients.json"

RECORDS = list(JsonSource(ROWS).records())


def fastest_us(record: ChainRecord) -> float:
    return min(t.median_us or 0.0 for t in record.timings if (t.l2, t.status) == ("warm", Status.OK))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gradients") / "rows.sqlite"
    with Store.open(file) as store:
        merge(store, JsonSource(ROWS))
    return file


def test_no_gradient_was_faster_than_the_hardware_allows() -> None:
    gpu = load_gpu("h200")
    for record in RECORDS:
        (prediction,) = predict_layers([record.chain.anchor], gpu, record.dtype)
        assert fastest_us(record) > prediction.floor_us, record.chain.title


def test_every_gradient_is_right() -> None:
    timed = [timing for record in RECORDS for timing in record.timings if timing.status is Status.OK]
    assert all(timing.relative_error is not None for timing in timed)
    assert all((timing.relative_error or 0.0) <= (timing.tolerance or 0.0) for timing in timed)


@pytest.mark.parametrize("direction", ["dgrad", "wgrad"])
def test_every_layer_of_the_pass_is_answered_from_measurements(
    direction: str, database: Path, shared_models: Path
) -> None:
    graph = hr.load(shared_models / "resnet18.onnx")
    answer = hr.analyze(graph, "h200", "bf16", source="measured", db=database, direction=direction)
    assert answer.measured_layers == sum(one.count for one in answer.answers) > 19
    by_digest = {record.chain.digest: fastest_us(record) for record in RECORDS}
    assert answer.bounds.sequential_us == pytest.approx(
        sum(by_digest[Chain.of([one.layer]).digest] * one.count for one in answer.answers)
    )


def test_a_training_step_takes_its_convolutions_gradients_from_measurements(
    database: Path, shared_models: Path
) -> None:
    graph = hr.load(shared_models / "resnet18.onnx")
    answer = hr.analyze(graph, "h200", "bf16", db=database, direction="training")
    gradients = [one for one in answer.answers if one.layer.name.endswith(("(input gradient)", "(weight gradient)"))]
    assert sum(one.count for one in gradients) > 2 * 19
    assert all(one.is_measured for one in gradients)
