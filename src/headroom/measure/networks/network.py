"""A network that is ready to run: its module, its inputs, and the graph that an analysis of it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headroom.graph.chain import graph_digest
from headroom.graph.onnx.client import read_onnx
from headroom.graph.torch.callable import is_callable_address, load_callable
from headroom.measure.networks.device import Device, Run
from headroom.measure.networks.inputs import for_graph, like_examples
from headroom.measure.networks.precision import torch_dtype
from headroom.measure.networks.rebuild import rebuild
from headroom.measure.networks.request import Request

if TYPE_CHECKING:
    import torch


@dataclass
class Network:
    """A module in evaluation mode on its device, with the arguments of one inference.

    ``digest`` is that of the graph (:func:`headroom.graph.chain.graph_digest`) at ``batch``.
    """

    module: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    digest: str
    batch: int

    def run_eagerly(self) -> Any:
        return self.module(*self.args, **self.kwargs)

    def compiled(self, mode: str) -> Run:
        """An inference through torch.compile; the first call compiles."""
        import torch

        call = torch.compile(self.module, mode=mode, dynamic=False)

        def run() -> Any:
            # Tells the CUDA graphs inside that the outputs of the run before are no longer needed.
            torch.compiler.cudagraph_mark_step_begin()
            return call(*self.args, **self.kwargs)

        return run

    def to_channels_last(self) -> None:
        """Put weights and inputs of four dimensions in channels-last order, for good."""
        import torch
        from torch.utils import _pytree as pytree

        def converted(leaf: Any) -> Any:
            four = isinstance(leaf, torch.Tensor) and leaf.dim() == 4
            return leaf.contiguous(memory_format=torch.channels_last) if four else leaf

        self.module.to(memory_format=torch.channels_last)
        self.args = pytree.tree_map(converted, self.args)
        self.kwargs = pytree.tree_map(converted, self.kwargs)


@dataclass(frozen=True)
class Source:
    """A network that has been read and not been made yet.

    ``make`` raises ``UnsupportedError`` where no framework runs whole networks in the data type, ``ModelError`` where
    the file holds layers that cannot be run, and PyTorch's own error where the device is too small.
    """

    digest: str
    batch: int
    make: Callable[[Device], Network]


def find_network(request: Request) -> Source:
    """Read the model of ``request``. It is made with random inputs, and an ONNX file with random weights as well.

    Raises:
        ModelError: it cannot be read.
    """
    return (_callable if is_callable_address(request.model) else _file)(request)


def _callable(request: Request) -> Source:
    from headroom.graph.torch.reader import read_module

    module, examples = load_callable(request.model)
    graph = read_module(module, examples, batch=request.batch, name=request.model)
    digest = graph_digest(graph)

    def make(device: Device) -> Network:
        dtype = torch_dtype(request.dtype)
        args, kwargs = like_examples(examples, request.batch, dtype, device.torch)
        return Network(module.eval().to(device.torch, dtype), args, kwargs, digest, graph.batch)

    return Source(digest, graph.batch, make)


def _file(request: Request) -> Source:
    graph = read_onnx(request.model, batch=request.batch, dims=request.dims)
    digest = graph_digest(graph)

    def make(device: Device) -> Network:
        dtype = torch_dtype(request.dtype)
        module = rebuild(graph, dtype, device.torch)
        return Network(module, for_graph(graph, dtype, device.torch), {}, digest, graph.batch)

    return Source(digest, graph.batch, make)
