"""The networks whose framework runs are held against their bounds, as ``bound_networks:NAME``.

Torchvision's and Hugging Face's own code, so that what is timed is what people run; and every ``.onnx`` file of a
folder, rebuilt by Headroom. ``BOUNDS`` names the shared file that holds the same network, from whose layers the bound
is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Network to the file of the shared folder ``models`` with the same layers.
BOUNDS = {
    "alexnet": "alexnet.onnx",
    "convnext_tiny": "convnext_tiny_dynamo.onnx",
    "efficientnet_b0": "efficientnet_b0.onnx",
    "googlenet": "googlenet.onnx",
    "mobilenet_v2": "mobilenet_v2.onnx",
    "mobilenet_v3_large": "mobilenet_v3_large.onnx",
    "resnet18": "resnet18.onnx",
    "resnet50": "resnet50.onnx",
    "resnet152": "resnet152.onnx",
    "shufflenet_v2_x1_0": "shufflenet_v2_x1_0.onnx",
    "squeezenet1_1": "squeezenet1_1.onnx",
    "vgg16": "vgg16.onnx",
    "vit_b_16": "vit_b_16_dynamo.onnx",
    "bert_base": "bert_base.onnx",
}

#: Where torch.compile tries kernels out, which takes minutes each.
AUTOTUNED = ("resnet50", "mobilenet_v2", "bert_base")

_BERT_TOKENS = 128


def __getattr__(name: str) -> Callable[[], tuple[Any, Any]]:
    """The maker of a network, as the command line's ``package.module:callable`` finds it."""
    if name == "tiny":
        return _tiny
    if name == "bert_base":
        return _bert
    if name in BOUNDS:
        return lambda: _torchvision(name)
    raise AttributeError(name)


def _torchvision(name: str) -> tuple[Any, Any]:
    import torch
    import torchvision

    extra = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    return torchvision.models.get_model(name, weights=None, **extra).eval(), torch.randn(1, 3, 224, 224)


def _bert() -> tuple[Any, Any]:
    import torch
    import transformers

    class LastHidden(torch.nn.Module):
        """The encoder alone, as the shared file has it: no pooled output behind it."""

        def __init__(self) -> None:
            super().__init__()
            self.bert = transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.bert(tokens, return_dict=False)[0]

    module = LastHidden().eval()
    return module, torch.randint(module.bert.config.vocab_size, (1, _BERT_TOKENS))


def _tiny() -> tuple[Any, Any]:
    """For a rehearsal without a GPU."""
    import torch

    layers = (torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(512, 10))
    return torch.nn.Sequential(*layers).eval(), torch.randn(1, 3, 8, 8)
