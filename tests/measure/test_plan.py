"""What a model gives to measure, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders
import headroom as hr
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Matmul
from headroom.measure.gradients import gradient
from headroom.measure.plan import Planned, most_valuable_first, plan_tasks
from headroom.measure.roles import convolution_roles, product_roles
from measure.chains import net

BF16 = DataType.BF16


def titles(planned: list[Planned]) -> list[str]:
    return sorted(item.task.chain.title for item in planned)


def test_every_distinct_layer_and_fusible_part_is_a_task() -> None:
    assert titles(plan_tasks(net(), BF16, builders.H200)) == [
        "batch norm", "convolution", "convolution + batch norm + relu", "convolution + relu", "matvec", "relu",
    ]  # fmt: skip


def test_layers_that_are_alike_are_measured_once_and_counted() -> None:
    twice = builders.graph(builders.relu("a", "x"), builders.conv("c", "a"), builders.relu("b", "c"))
    planned = {item.task.chain.title: item for item in plan_tasks(twice, BF16, builders.H200)}
    assert planned["relu"].count == 2


def test_without_fusion_only_single_layers_are_left() -> None:
    assert not any(item.task.chain.is_fused for item in plan_tasks(net(), BF16, builders.H200, fused=False))


def test_in_tf32_only_products_are_measured_apart_from_fp32() -> None:
    types = {item.task.chain.title: item.task.dtype for item in plan_tasks(net(), DataType.TF32, builders.H200)}
    assert types["relu"] == types["batch norm"] == DataType.FP32
    assert types["convolution"] == types["convolution + relu"] == types["matvec"] == DataType.TF32


def test_the_most_valuable_comes_first() -> None:
    values = [item.value_us for item in plan_tasks(net(), BF16, builders.H200)]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0


def test_views_and_unknown_operators_are_no_tasks() -> None:
    graph = builders.graph(builders.unknown("u", "x"), builders.view("v", "u"), builders.relu("r", "v"))
    assert titles(plan_tasks(graph, BF16, builders.H200)) == ["relu"]


def test_several_batches_share_what_they_have_in_common() -> None:
    once = plan_tasks(net(), BF16, builders.H200)
    both = most_valuable_first([*once, *once])
    assert len(both) == len(once)
    assert both[0].value_us == pytest.approx(2 * once[0].value_us)
    tf32 = plan_tasks(net(), DataType.TF32, builders.H200)
    assert len(most_valuable_first([*once, *tf32])) == 2 * len(once)


def test_training_adds_both_gradients_of_every_product() -> None:
    planned = plan_tasks(net(), BF16, builders.H200, direction="training", fused=False)
    works = [item.task.chain.anchor.work for item in planned]
    directions = {work.direction for work in works if isinstance(work, Convolution)}
    assert directions == {"forward", "dgrad", "wgrad"}
    assert {(w.m, w.n, w.k) for w in works if isinstance(w, Matmul)} == {(1, 1000, 512), (1, 512, 1000), (512, 1000, 1)}


def test_nobody_asks_for_the_gradient_of_the_model_s_input() -> None:
    graph = builders.graph(builders.conv("c", "x"))
    assert titles(plan_tasks(graph, BF16, builders.H200, direction="dgrad")) == []


def test_a_gradient_has_as_many_macs_as_its_layer_and_operands_that_fit() -> None:
    layer = builders.conv("c", "x", channels=32, size=28)
    for direction in ("dgrad", "wgrad"):
        back = gradient(layer, direction)
        assert back is not None
        assert back.macs == layer.macs
        assert convolution_roles(back)
    product = builders.matmul("m", "x", 64, 128, 256)
    for direction in ("dgrad", "wgrad"):
        back = gradient(product, direction)
        assert back is not None
        assert back.macs == product.macs
        roles = product_roles(back)
        assert (roles.transpose_left, roles.transpose_right) == (
            (False, True) if direction == "dgrad" else (True, False)
        )


def test_a_gpu_without_a_sheet_is_planned_for_all_the_same() -> None:
    assert titles(plan_tasks(net(), BF16, None)) == titles(plan_tasks(net(), BF16, builders.H200))


@pytest.mark.parametrize("direction", ["forward", "training"])
def test_every_shared_model_can_be_planned(shared_models: Path, direction: str) -> None:
    for name in ("resnet50", "bert_base", "efficientnet_b0", "stream_gpt2like_training"):
        graph = hr.load(shared_models / f"{name}.onnx")
        planned = plan_tasks(graph, BF16, builders.H200, direction=direction)
        assert len(planned) >= len([c for c in graph.configurations if c.layer.kind != "unknown"])
        assert len({item.task.chain.digest for item in planned}) == len(planned)
