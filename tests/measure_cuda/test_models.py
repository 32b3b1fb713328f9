"""Every layer of real models runs in PyTorch and writes exactly the tensors that its model says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

import headroom
from graph_torch import zoo
from headroom.graph.chain import Chain
from headroom.graph.chains import fusible_chains
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.torch.reader import read_module
from headroom.measure.backends.torch_ops import bind_chain
from headroom.measure.bench import UnsupportedError
from headroom.measure.cuda.operands import TorchOperands
from headroom.measure.task import Task

#: Models whose every layer has to run; the sentence behind each other one says what of it does not.
COMPLETE = (
    "alexnet", "bert_base", "convnext_tiny_dynamo", "deeplabv3_resnet50", "efficientnet_b0", "googlenet",
    "light_bvlc_alexnet", "light_densenet121", "light_inception_v2", "light_resnet50", "light_shufflenet",
    "light_squeezenet", "light_vgg19", "light_zfnet512", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_large",
    "resnet50", "resnet152", "shufflenet_v2_x1_0", "timm_darknet53", "timm_resnetv2_50", "timm_tf_efficientnetv2_s",
    "vgg16", "vit_b_16_dynamo",
)  # fmt: skip


class WithoutMemory(TorchOperands):
    """Operands that have shapes and types and nothing else."""

    def _filled(self, spec: TensorSpec) -> torch.Tensor:
        return torch.empty(spec.shape, dtype=self.dtype_of(spec), device="meta")


def refusals(graph: Graph) -> Counter[str]:
    """Why a layer, or a fusible chain of them, does not run; each distinct one once, ``ran`` for those that do."""
    chains = [Chain.of([layer]) for layer in graph.working_layers]
    chains += [Chain.of([graph.layers[i] for i in chain]) for chain in fusible_chains(graph)]
    answers: Counter[str] = Counter()
    for chain in {chain.digest: chain for chain in chains}.values():
        operands = WithoutMemory(Task(chain, DataType.FP32), "meta")
        try:
            outputs = bind_chain(chain, operands.sources)(operands.sources)
        except UnsupportedError as error:
            answers[str(error)] += 1
            continue
        wanted = [(spec.shape, operands.dtype_of(spec)) for spec in chain.outputs]
        assert [(tuple(out.shape), out.dtype) for out in outputs] == wanted, chain.title
        answers["ran"] += 1
    return answers


@pytest.mark.parametrize("name", COMPLETE)
def test_every_layer_and_every_chain_of_a_network_runs(name: str, shared_models: Path) -> None:
    answers = refusals(headroom.load(shared_models / f"{name}.onnx", batch=1))
    assert set(answers) == {"ran"}


@pytest.mark.parametrize("name", ["llama_block", "vit", "encoder", "lstm_tagger", "unet"])
def test_every_layer_of_a_network_read_from_pytorch_runs(name: str) -> None:
    assert set(refusals(read_module(*getattr(zoo, name)(), name=name))) == {"ran"}


def test_what_of_a_training_step_does_not_run_is_named(shared_models: Path) -> None:
    answers = refusals(headroom.load(shared_models / "stream_gpt2like_training.onnx"))
    assert answers.pop("ran") > 60
    assert list(answers) == ["this relative of softmax (a loss or a gradient) has no implementation here"]


def test_quantised_convolutions_are_declined(shared_models: Path) -> None:
    answers = refusals(headroom.load(shared_models / "stream_fsrcnn.onnx", batch=1))
    assert "the convolution's operands are not floating-point tensors" in answers
