"""What of real models the libraries are asked for: almost every fused convolution, and a reason for all else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import headroom
from headroom.graph.chain import Chain
from headroom.graph.chains import fusible_chains
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.measure.backends.cudnn.describe import describe, forms_of
from headroom.measure.backends.layouts import layouts_of
from headroom.measure.backends.legacy.forms import forms_of as legacy_forms_of
from headroom.measure.backends.lt.problem import problem_of
from headroom.measure.bench import UnsupportedError
from headroom.measure.task import Task
from measure_backends import interpreter
from measure_backends.stand_ins import operands

pytest.importorskip("cudnn")

MODELS = (
    "bert_base", "convnext_tiny_dynamo", "efficientnet_b0", "light_densenet121", "light_shufflenet",
    "light_squeezenet", "mobilenet_v3_large", "resnet50", "stream_resnet18_full_training", "timm_darknet53",
    "vgg16", "vit_b_16_dynamo",
)  # fmt: skip

PRODUCTS = (LayerKind.MATMUL, LayerKind.MATVEC)


@pytest.fixture(scope="module")
def chains(shared_models: Path) -> dict[str, list[Chain]]:
    """Distinct chains by what they are: ``fused`` as the models could fuse them, ``single`` layers."""
    fused, single = {}, {}
    for name in MODELS:
        graph = headroom.load(shared_models / f"{name}.onnx")
        for indices in fusible_chains(graph):
            chain = Chain.of([graph.layers[i] for i in indices])
            fused[chain.digest] = chain
        for layer in graph.working_layers:
            chain = Chain.of([layer])
            single[chain.digest] = chain
    return {"fused": list(fused.values()), "single": list(single.values())}


def answers(chains: list[Chain]) -> Iterator[tuple[Chain, str]]:
    """``described``, or why not, for each layout and form of each chain."""
    for chain in chains:
        for layout in layouts_of(Task(chain, DataType.BF16)):
            for form in forms_of(chain, layout):
                try:
                    describe(chain, DataType.BF16, layout, form)
                except UnsupportedError as error:
                    yield chain, str(error)
                else:
                    yield chain, "described"


def test_every_fused_convolution_and_product_of_inference_is_described(chains):
    refused = Counter(
        reason
        for chain, reason in answers(chains["fused"])
        if chain.anchor.kind in (LayerKind.CONVOLUTION, *PRODUCTS) and reason != "described"
    )
    # One training graph adds gradients of shapes that do not fit each other.
    assert all("spreads over a part" in reason for reason in refused)
    total = sum(chain.anchor.kind is LayerKind.CONVOLUTION for chain in chains["fused"])
    assert total > 150


def test_every_chain_is_described_or_refused_with_a_reason(chains):
    for chain, reason in answers(chains["single"] + chains["fused"]):
        assert reason, chain.title


def test_layers_without_an_operation_are_those_that_move_or_pool(chains):
    refused = {str(chain.anchor.kind) for chain, reason in answers(chains["single"]) if reason != "described"}
    assert refused <= {"movement", "embedding", "pooling", "softmax", "reduction", "normalization", "activation"}


def test_every_product_of_a_weight_is_one_of_cublaslt_too(chains):
    for chain in chains["single"]:
        if chain.anchor.kind in PRODUCTS:
            assert problem_of(chain, DataType.BF16, "").epilogue in ("DEFAULT", "BIAS")


def test_pooling_has_a_function_of_its_own(chains):
    refused = []
    for chain in chains["single"]:
        if chain.anchor.kind is LayerKind.POOLING:
            try:
                legacy_forms_of(chain.anchor, "nhwc")
            except UnsupportedError as error:
                refused.append(str(error))
    assert all("both ends" in reason or "average_gradient" in reason for reason in refused)


def test_small_chains_of_real_models_compute_what_the_reference_does(chains):
    """One of each kind of chain, the smallest that there is, in its first layout and every form."""
    from headroom.measure.backends.torch_ops import bind_chain

    smallest: dict[str, Chain] = {}
    for chain in chains["fused"] + chains["single"]:
        if chain.macs < 30_000_000 and chain.macs <= smallest.get(chain.title, chain).macs:
            smallest[chain.title] = chain
    checked = 0
    for chain in smallest.values():
        given = operands(chain)
        layout = layouts_of(Task(chain, DataType.FP32))[0]
        for form in forms_of(chain, layout):
            try:
                description = describe(chain, DataType.FP32, layout, form)
            except UnsupportedError:
                continue
            tensors = {name: tensor.double() for name, tensor in given.sources.items()}
            expected = bind_chain(chain, tensors)(tensors)[0]
            error = (interpreter.run(description, given) - expected).norm() / expected.norm()
            assert error < 1e-4, chain.title
            checked += 1
    assert checked > 25
    assert torch.get_default_dtype() == torch.float32
