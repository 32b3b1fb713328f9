"""The PyTorch reader: a module and example inputs give a :class:`~headroom.graph.graph.Graph`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import headroom.graph.torch.operators  # noqa: F401 -- fills the table of operators
from headroom.errors import ModelError
from headroom.graph.dead import live
from headroom.graph.graph import Graph
from headroom.graph.tensor import TensorSpec
from headroom.graph.torch import nodes
from headroom.graph.torch.batch import check_scaling
from headroom.graph.torch.callable import require_torch
from headroom.graph.torch.example_inputs import fake_inputs
from headroom.graph.torch.export import export_program, lives_on_meta
from headroom.graph.torch.naming import named
from headroom.graph.torch.recognise import recognised
from headroom.graph.torch.walk import Walk

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def read_module(module: Any, example_inputs: Any, *, batch: int | None = None, name: str | None = None) -> Graph:
    """Read a ``torch.nn.Module`` through ``torch.export``, undecomposed and in evaluation mode.

    Only shapes are computed: the module may be too large for this machine's memory if it is on the meta
    device. It is the same object afterwards, training flags included.

    Args:
        module: on the CPU or on the meta device.
        example_inputs: a tensor, a sequence of arguments, or a dict of named arguments.
        batch: the leading size to give every tensor that shares the first tensor's; as given when ``None``.
        name: what the graph is called; the module's class when ``None``.

    Raises:
        ModelError: PyTorch cannot export the module, or it does not follow the batch size; names the place.
        UsageError: PyTorch is not installed, or the batch is impossible.
    """
    called = name or type(module).__name__
    require_torch(called)
    _check_module(module, called)
    given = _read(module, example_inputs, None, called)
    if batch is None or batch == given.batch:
        return given
    try:
        scaled = _read(module, example_inputs, batch, called)
    except ModelError as error:
        raise ModelError(
            f"{called} runs at batch {given.batch} but not at {batch}, so it holds its batch size as a constant "
            f"(write x.shape[0] there) or needs it fixed; {error}"
        ) from error
    check_scaling(given, scaled)
    return scaled


def _check_module(module: Any, called: str) -> None:
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ModelError(f"{called} is no torch.nn.Module; pass a module and its example inputs")
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(f"{called} is a TorchScript module, which torch.export does not read; pass the module itself")


def _read(module: Any, example_inputs: Any, batch: int | None, called: str) -> Graph:
    inputs = fake_inputs(example_inputs, batch=batch, on_meta=lives_on_meta(module))
    program = export_program(module, inputs, called)
    walk = Walk()
    user_inputs = _bind_placeholders(walk, program, dict(module.named_buffers()))
    outputs = tuple(value.spec for value in walk.run(program.graph_module))
    used, notes = live(walk.layers, outputs, walk.effects)
    leaves = {path for path, part in module.named_modules() if next(part.children(), None) is None}
    return Graph(
        name=called,
        layers=named(recognised(used, outputs, inputs.batch, walk.causal), leaves),
        inputs=user_inputs,
        outputs=outputs,
        batch=inputs.batch,
        notes=notes,
    )


def _bind_placeholders(walk: Walk, program: ExportedProgram, buffers: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    """Bind inputs under the user's argument names, weights under their dotted paths; return the inputs."""
    targets = {spec.arg.name: spec.target for spec in program.graph_signature.input_specs}
    first_of: dict[object, str] = {}
    inputs = []
    for node in program.graph.nodes:
        if node.op != "placeholder" or not nodes.tensors_of(node):
            continue
        target = targets.get(node.name)
        if target is None:
            inputs.append(walk.placeholder(node, node.name, constant=False))
            continue
        (tensor,) = nodes.tensors_of(node)
        walk.constants.bind(node, buffers.get(target))
        storage = nodes.storage_of(tensor)
        # Tied weights are one tensor under two paths; slices of one flat buffer are not.
        place = storage, tensor.storage_offset(), tensor.shape
        walk.placeholder(node, first_of.setdefault(place, target), constant=True, storage=storage)
    return tuple(inputs)
