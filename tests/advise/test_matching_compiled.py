"""Kernels that a compiler made of several layers. Their names are in the form that Inductor gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from advise.matched import network_graph
from headroom.advise.execution import Execution
from headroom.advise.matching import match
from headroom.advise.matching.kernels import kernel
from headroom.advise.matching.signature import Family
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.measure.profiles.profile import Launch, LaunchKind, Profile, Step

#: Inductor's words for layers, in the order in which it sorts them.
_WORDS = {"batch": "_native_batch_norm_legit_no_training", "add": "add", "relu": "relu"}


def _compiled(graph: Graph) -> tuple[list[str], list[tuple[int, ...]]]:
    """What a compiled ResNet launches, and each launch's layers: convolutions, and all between two in one kernel."""
    names: list[str] = []
    layers: list[tuple[int, ...]] = []
    for index, layer in enumerate(graph.layers):
        function = str(getattr(layer.work, "function", ""))
        if layer.kind is LayerKind.CONVOLUTION:
            names.append("sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_tilesize128x64x64_cudnn")
            layers.append((index,))
        elif layer.kind is LayerKind.POOLING:
            word = "max_pool2d_with_indices" if function == "max" else "mean"
            names.append(f"triton_{'poi' if function == 'max' else 'per'}_fused_{word}_{index}")
            layers.append((index,))
        elif layer.kind.computes_gemm:
            names.append("nvjet_sm90_tst_64x8_64x16_4x1_v_bz_bias_TNN")
            layers.append((index,))
        elif function in _WORDS:
            fused = "triton_poi_fused" in names[-1] and set(graph.predecessors[index]) & set(layers[-1])
            members = (*layers[-1], index) if fused else (index,)
            if fused:
                names.pop(), layers.pop()
            done = {str(getattr(graph.layers[each].work, "function", "")) for each in members}
            names.append(f"triton_poi_fused_{'_'.join(_WORDS[word] for word in _WORDS if word in done)}_{index}")
            layers.append(members)
    return names, layers


def _profile(names: list[str], replayed: bool) -> Profile:
    launches = tuple(
        Launch(name, LaunchKind.KERNEL, 10.0 * place, 5.0, 7, grid=(64, 1, 1), block=(128, 1, 1), graph=replayed)
        for place, name in enumerate(names)
    )
    return Profile("pytorch", "compiled.json", "NVIDIA H200", (Step("ProfilerStep#0", 0.0, 1000.0, (), launches),))


def _layers_of(execution: Execution) -> list[tuple[int, ...]]:
    return sorted(run.layers for run in execution.runs)


@pytest.mark.parametrize("network", ["resnet18", "resnet50"])
def test_a_fused_kernel_runs_all_layers_that_its_name_lists(network: str, shared_models: Path) -> None:
    graph = network_graph(shared_models, network)
    names, layers = _compiled(graph)
    execution = match(_profile(names, replayed=True), graph)
    assert _layers_of(execution) == sorted(layers)
    assert execution.others == ()
    for run in execution.runs:
        assert [names[at] for at in run.launches] == [launch.name for launch in execution.launches(run)]
        assert layers[run.launches[0]] == run.layers


def test_a_compiled_profile_of_another_network_is_refused(shared_models: Path) -> None:
    names, _ = _compiled(network_graph(shared_models, "resnet18"))
    with pytest.raises(Exception, match="not a profile of this model"):
        match(_profile(names, replayed=True), network_graph(shared_models, "resnet50"))


def test_templates_are_products_that_end_with_what_their_name_lists() -> None:
    assert kernel("triton_tem_fused_addmm_relu_4").family is Family.PRODUCT
    assert kernel("triton_tem_fused_addmm_relu_4").functions == {"clamp"}
    assert kernel("triton_tem_fused_flex_attention_0").family is Family.ATTENTION
    assert kernel("triton_tem_fused_convolution_1").family is Family.CONVOLUTION


@pytest.mark.parametrize(
    ("name", "family", "functions", "purpose"),
    [
        ("triton_poi_fused_add_gelu_2", Family.POINTWISE, {"add", "gelu"}, ""),
        ("triton_per_fused_add_native_layer_norm_5", Family.POINTWISE, {"add", "layer"}, ""),
        ("triton_poi_fused_clone_3", Family.POINTWISE, {"copy"}, "copy"),
        ("graph_0_cpp_fused__native_batch_norm_legit_no_training_relu_2", Family.POINTWISE, {"batch", "clamp"}, ""),
        ("void cudnn::engines_precompiled::nhwcToNchwKernel<float>", Family.MOVEMENT, {"copy"}, "transpose"),
        ("ampere_sgemm_32x32_sliced1x4_relu_tn", Family.PRODUCT, {"clamp"}, ""),
        ("void vectorized_elementwise_kernel<4, at::native::FillFunctor<float> >", Family.MOVEMENT, {"fill"}, "fill"),
        ("an_unheard_of_name", Family.OTHER, set(), ""),
    ],
)  # fmt: skip
def test_a_kernel_s_name_tells_what_it_does(name: str, family: Family, functions: set[str], purpose: str) -> None:
    found = kernel(name)
    assert (found.family, found.functions, found.purpose) == (family, functions, purpose)
