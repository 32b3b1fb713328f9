"""A profile of another model, batch or input is refused, and one sentence says why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import headroom as hr
from advise.matched import graph_of, network_graph, recorded, repeated
from bound_networks import BOUNDS
from headroom.advise.matching import match, overlay
from headroom.advise.matching.training import refuse_training
from headroom.errors import ProfileError
from headroom.measure.profiles.profile import Call, Profile, Step
from profiles import NAMES

_NETWORKS = sorted(set(BOUNDS) - {"resnet152", "mobilenet_v3_large"})


def _reason(profile: Profile, models: Path, network: str, batch: int = 1) -> str:
    with pytest.raises(ProfileError) as refused:
        match(profile, network_graph(models, network, batch))
    assert refused.value.exit_code == 3
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_of_another_network_is_refused(name: str, shared_models: Path) -> None:
    for network in _NETWORKS:
        if network != name.split("-")[0]:
            assert "not a profile of this model" in _reason(recorded(name), shared_models, network)


def test_the_sentence_counts_what_differs(shared_models: Path) -> None:
    eager = _reason(recorded("resnet18-1-default"), shared_models, "resnet50")
    assert "the profile runs 20 convolutions where resnet50 has 53; it is not a profile of this model" in eager
    bare = _reason(recorded("resnet18-1-bf16_graph"), shared_models, "resnet50")
    assert "the profile launches 21 convolutions and matrix products where resnet50 has 54" in bare
    transformer = _reason(recorded("bert_base-1-bf16"), shared_models, "vit_b_16")
    assert "no convolutions and 72 matrix products where vit_b_16_dynamo has 1 convolution and 49 matrix" in transformer


@pytest.mark.parametrize(
    ("name", "batch"), [("resnet50-32-default", 1), ("resnet18-1-default", 8), ("resnet18-1-bf16_graph", 8)]
)
def test_another_batch_is_named_with_the_option_that_sets_it(name: str, batch: int, shared_models: Path) -> None:
    network, ran, _ = name.rsplit("-", 2)
    reason = _reason(recorded(name), shared_models, network, batch)
    assert f"ran batch {ran} where {network} is read at batch {batch}: add --batch {ran}" in reason


def test_a_deeper_network_of_the_same_family_is_refused(shared_models: Path) -> None:
    # Every layer of the shallow one is in the deep one, in order.
    profile = recorded("resnet50-32-default")
    deeper = network_graph(shared_models, "resnet152", 32)
    with pytest.raises(ProfileError, match="53 convolutions where resnet152 has 155"):
        match(profile, deeper)


def test_a_step_without_any_work_is_refused(shared_models: Path) -> None:
    empty = Profile("pytorch", "empty.json", "", (Step("run", 0.0, 1.0),))
    with pytest.raises(ProfileError, match=r"empty\.json.*record it"):
        match(empty, network_graph(shared_models, "resnet18"))


@pytest.mark.parametrize("name", ["resnet18-1-default", "resnet18-1-bf16_graph"])
def test_inferences_that_nobody_marked_are_told_apart_from_another_model(name: str, shared_models: Path) -> None:
    reason = _reason(repeated(recorded(name), 3), shared_models, "resnet18")
    assert "holds 3 inferences of resnet18 in one step: mark each" in reason


def test_a_step_too_long_for_memory_is_refused(shared_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "_MOST_PAIRS", 1000)
    assert "mark each inference as a step" in _reason(recorded("googlenet-1-default"), shared_models, "googlenet")


@pytest.mark.parametrize(
    "name",
    [
        "aten::convolution_backward",
        "aten::native_batch_norm_backward",
        "aten::_fused_adam_",
        "autograd::engine::evaluate_function: AddmmBackward0",
        "CompiledFunctionBackward",
        "Optimizer.step#AdamW.step",
    ],
)
def test_one_operator_that_only_training_calls_is_refused_by_name(name: str, shared_models: Path) -> None:
    profile = recorded("resnet18-1-default")
    trained = tuple(replace(each, calls=(*each.calls, Call(name, 0.0, 1.0, 1))) for each in profile.steps)
    reason = _reason(replace(profile, steps=trained), shared_models, "resnet18")
    assert f"runs {name}, which resnet18 has no layer for; bounds are of inference, so record the forward" in reason
    assert reason.endswith("under torch.inference_mode()")


@pytest.mark.parametrize("name", ["ConvGrad", "BiasGeluGrad_dX", "AdamWOptimizer", "InPlaceAccumulatorV2"])
def test_training_by_onnx_runtime_is_refused_by_name(name: str, shared_models: Path) -> None:
    profile = replace(recorded("resnet18-1-default"), recorder="onnxruntime")
    trained = tuple(replace(each, calls=(*each.calls, Call(name, 0.0, 1.0, 1))) for each in profile.steps)
    reason = _reason(replace(profile, steps=trained), shared_models, "resnet18")
    assert f"runs {name}, which resnet18 has no layer for" in reason
    assert reason.endswith("in an InferenceSession of the model without its gradients")


def test_a_model_that_has_gradients_itself_may_run_them(shared_models: Path) -> None:
    model = hr.load(shared_models / "stream_resnet18_full_training.onnx")
    step = Step("model_run", 0.0, 10.0, (Call("ReluGrad", 0.0, 1.0, 1),))
    refuse_training(Profile("onnxruntime", "run.json", "", (step,)), step, model)
    forward = network_graph(shared_models, "resnet18")
    with pytest.raises(ProfileError, match="holds training"):
        refuse_training(Profile("onnxruntime", "run.json", "", (step,)), step, forward)


@pytest.mark.parametrize("name", ["Conv", "Relu", "Gather", "LayerNormalization", "MemcpyFromHost", "Optimizer"])
def test_operators_of_inference_are_no_training(name: str, shared_models: Path) -> None:
    step = Step("model_run", 0.0, 10.0, (Call(name, 0.0, 1.0, 1),))
    refuse_training(Profile("onnxruntime", "run.json", "", (step,)), step, network_graph(shared_models, "resnet18"))


def test_a_captured_graph_that_trains_is_told_by_its_kernels(shared_models: Path) -> None:
    profile = recorded("resnet18-1-bf16_graph")
    gradient = replace(profile.typical.launches[-1], name="sm90_xmma_wgrad_implicit_gemm_indexed_bf16")
    steps = tuple(replace(each, launches=(*each.launches, gradient)) for each in profile.steps)
    assert "holds training" in _reason(replace(profile, steps=steps), shared_models, "resnet18")


def test_a_name_with_control_characters_does_not_reach_the_sentence(shared_models: Path) -> None:
    profile = replace(recorded("resnet18-1-default"), title="\x1b[31mtrace\n.json")
    assert "\x1b" not in _reason(profile, shared_models, "alexnet")


def test_the_right_batch_is_accepted(shared_models: Path) -> None:
    name = "resnet50-32-default"
    assert match(recorded(name), graph_of(shared_models, name)).notes == ()
