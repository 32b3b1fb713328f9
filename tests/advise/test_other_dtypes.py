"""The graph in other data types: what is measured in one type tells of the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from advise.cases import case_of
from builders import H200, conv, graph, relu
from headroom.advise.analyze import analyze_graph
from headroom.advise.fusion import fused_groups
from headroom.advise.other_dtypes import OtherTypes
from headroom.advise.timed import TimedGraph
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Source
from headroom.store.rows import Timing
from measured_rows import Rows, row, timings

CONV, RELU = conv("c", "x", channels=256), relu("r", "c", shape=(1, 256, 56, 56))
MODEL = graph(CONV, RELU)


@dataclass
class PerType(Rows):
    """Rows by data type."""

    by_dtype: Mapping[DataType, Mapping[str, Timing]] = field(default_factory=dict)

    def best(self, chains: Iterable[Chain], dtype: DataType, l2: str) -> Mapping[str, Timing]:
        self.asked += 1
        known = self.by_dtype.get(dtype, {})
        return {chain.digest: known[chain.digest] for chain in chains if chain.digest in known}


def theory_us(dtype: DataType) -> tuple[float | None, ...]:
    return tuple(prediction.time_us for prediction in TimedGraph.predict(MODEL, H200, dtype, "warm").predictions)


def test_a_type_with_rows_is_measured() -> None:
    rows = PerType(by_dtype={DataType.TF32: timings(([CONV], row(77.0)), ([RELU], row(7.0)))})
    other = case_of(MODEL, rows).other_dtypes[DataType.TF32]
    assert other.times_us == (77.0, 7.0)
    assert other.measured_share == 1.0


def test_a_type_without_rows_is_as_far_from_the_theory_as_its_like() -> None:
    bf16 = theory_us(DataType.BF16)
    rows = PerType(by_dtype={DataType.BF16: timings(([CONV], row(1.5 * (bf16[0] or 0.0))))})
    fp16 = case_of(MODEL, rows).other_dtypes[DataType.FP16]
    assert fp16.times_us[0] == pytest.approx(1.5 * (theory_us(DataType.FP16)[0] or 0.0))
    assert fp16.times_us[1] == pytest.approx(theory_us(DataType.FP16)[1])
    assert {prediction.source for prediction in fp16.predictions} == {Source.PREDICTED}


def test_a_chain_gains_in_an_unmeasured_type_what_it_gained_where_it_was_measured() -> None:
    rows = PerType(
        by_dtype={DataType.BF16: timings(([CONV], row(60.0)), ([RELU], row(20.0)), ([CONV, RELU], row(60.0)))}
    )
    fp16 = case_of(MODEL, rows).other_dtypes[DataType.FP16]
    (group,) = fused_groups(fp16)
    assert group.fused_us == pytest.approx(0.75 * group.unfused_us)
    assert group.source is Source.PREDICTED


def test_the_type_asked_for_is_corrected_like_the_others() -> None:
    bf16 = theory_us(DataType.BF16)
    rows = PerType(by_dtype={DataType.BF16: timings(([CONV], row(2.0 * (bf16[0] or 0.0))))})
    analysis = analyze_graph(MODEL, H200, DataType.FP16, "warm", rows)
    assert analysis.answers[0].prediction.time_us == pytest.approx(2.0 * (theory_us(DataType.FP16)[0] or 0.0))
    assert analysis.answers[0].predicted_us == pytest.approx(theory_us(DataType.FP16)[0])
    assert "What is predicted is corrected by how far theory is off for the same layers in bf16." in analysis.notes


def test_a_correction_never_goes_under_the_floor() -> None:
    rows = PerType(by_dtype={DataType.BF16: timings(([CONV], row(0.001)))})
    fp16 = case_of(MODEL, rows).other_dtypes[DataType.FP16]
    assert fp16.times_us[0] >= fp16.predictions[0].floor_us > 0


def test_a_type_is_timed_when_first_asked_for_and_once() -> None:
    rows = PerType()
    others = OtherTypes(TimedGraph.predict(MODEL, H200, DataType.BF16, "warm"), rows)
    assert (len(others), rows.asked) == (sum(map(H200.supports, DataType)) - 1, 0)
    assert others[DataType.TF32] is others[DataType.TF32]
    assert rows.asked > 0


def test_a_type_that_the_gpu_lacks_is_not_there() -> None:
    old = replace(H200, tensor_tflops={}, plain_tflops={DataType.FP32: 15.0})
    others = OtherTypes(TimedGraph.predict(MODEL, old, DataType.FP32, "warm"))
    assert not list(others)
    with pytest.raises(KeyError):
        others[DataType.FP8]
