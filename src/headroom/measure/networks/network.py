"""A network that is ready to run: its module, its inputs, and the graph that an analysis of it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headroom.graph.chain import graph_digest
from headroom.graph.onnx.client import read_onnx
from headroom.graph.torch.callable import is_callable_address, load_callable
from headroom.measure.networks.device import Device, Run
from headroom.measure.networks.inputs import for_graph, like_examples
from headroom.measure.networks.precision import torch_dtype
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


def load_network(request: Request, device: Device) -> Network:
    """Make the network of ``request`` on ``device``, with random inputs; an ONNX file's weights are random as well.

    Raises:
        ModelError: it cannot be read, or the file holds an operator that cannot be run.
        UnsupportedError: there is no such data type for whole networks.
    """
    dtype = torch_dtype(request.dtype)
    if is_callable_address(request.model):
        return _from_callable(request, dtype, device)
    return _from_onnx(request, dtype, device)


def _from_callable(request: Request, dtype: torch.dtype, device: Device) -> Network:
    from headroom.graph.torch.reader import read_module

    module, examples = load_callable(request.model)
    graph = read_module(module, examples, batch=request.batch, name=request.model)
    args, kwargs = like_examples(examples, request.batch, dtype, device.torch)
    module.eval().to(device.torch, dtype)
    return Network(module, args, kwargs, graph_digest(graph), graph.batch)


def _from_onnx(request: Request, dtype: torch.dtype, device: Device) -> Network:
    from headroom.measure.networks.rebuild import rebuild

    graph = read_onnx(request.model, batch=request.batch, dims=request.dims)
    module = rebuild(graph, dtype, device.torch)
    return Network(module, for_graph(graph, dtype, device.torch), {}, graph_digest(graph), graph.batch)
