"""An answer finds what several questions want once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

import headroom as hr
from builders import batch_norm, conv, graph, relu
from headroom.advise import bounds, fusion, timed
from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph import chains
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.model import predict_layers


def test_each_data_type_is_predicted_once_apart_and_once_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[tuple[str, DataType]] = Counter()

    def counting(name: str) -> Any:
        def counted(layers: Sequence[Layer], gpu: GpuSpec, dtype: DataType, **circumstances: Any) -> Any:
            asked[name, dtype] += 1
            return predict_layers(layers, gpu, dtype, **circumstances)

        return counted

    monkeypatch.setattr(timed, "predict_layers", counting("apart"))
    monkeypatch.setattr(fusion, "predict_layers", counting("fused"))
    model = graph(conv("a", "x"), batch_norm("n", "a"), relu("r", "n"), conv("b", "r"), relu("s", "b"))
    hr.analyze(model, "h200", "bf16", source="predicted")
    assert set(asked) == {(name, dtype) for name in ("apart", "fused") for dtype in DataType}
    assert set(asked.values()) == {1}


def test_a_graph_s_chains_are_found_once_and_nobody_can_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model = graph(conv("a", "x"), relu("r", "a"))
    first = chains.fusible_chains(model)
    first[0].append(99)
    monkeypatch.setattr(chains, "_find_chains", lambda *_: pytest.fail("found again"))
    assert chains.fusible_chains(model) == [[0, 1]]


def test_the_same_graph_on_another_gpu_has_bounds_of_its_own() -> None:
    model = graph(conv("a", "x"), relu("r", "a"))
    found = [timed.TimedGraph.predict(model, load_gpu(name), DataType.FP32, "warm") for name in ("h200", "t4")]
    first, second = (bounds.lower_bounds(one) for one in found)
    assert second.sequential_us > first.sequential_us
    assert bounds.lower_bounds(found[0]) is first
