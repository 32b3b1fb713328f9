"""The lossless goal on ONNX files: pad groups of widths with zero channels, prove it, write a new file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from headroom.change.widths.groups import LayerWidths, WidthGroups, layer_widths, set_widths, width_groups
from headroom.change.widths.onnx.compare import check_files
from headroom.change.widths.onnx.file import arrays, read_with_weights, write_model
from headroom.change.widths.onnx.network import OnnxNetwork
from headroom.errors import ModelError, UsageError
from headroom.files import refuse_overwriting


def onnx_width_groups(path: Path) -> WidthGroups:
    """The width groups of an ONNX file with weights; groups are named after the nodes that make their channels.

    Raises:
        ModelError: the file cannot be read, or has an operator that cannot be widened around.
    """
    return onnx_layer_widths(path)[0]


def onnx_layer_widths(path: Path) -> tuple[WidthGroups, tuple[LayerWidths, ...], dict[str, str]]:
    """The width groups of an ONNX file with weights, the widths of its layers, and the tensor that each layer writes.

    Raises:
        ModelError: as :func:`onnx_width_groups`.
    """
    model = read_with_weights(path)
    network = OnnxNetwork(model.graph, arrays(model))
    groups = width_groups(network, example_inputs(model))
    written = {f"layers.{name}": node.output[0] for name, node in network.layer_nodes.items()}
    return groups, layer_widths(network, groups), written


def grow_onnx(source: Path, target: Path, groups: WidthGroups, widths: Mapping[str, int]) -> Path:
    """Write ``source`` to ``target`` with groups padded by zero channels, and check both with ONNX Runtime.

    Weights are stored inside ``target``, wherever those of ``source`` were.

    Args:
        source: an ONNX file with weights.
        target: a new file; never ``source`` itself.
        groups: what :func:`onnx_width_groups` found in ``source``.
        widths: the new widths by the names of groups, none below the current one.

    Raises:
        UsageError: a width that the group cannot have or that would lose channels, or a place that cannot be written.
        ModelError: the file cannot be read, or the wider network computes something else; nothing is written then.
    """
    refuse_overwriting([source], {"out": target})
    for name, width in widths.items():
        if name in {group.name for group in groups.groups} and width < groups[name].width:
            raise UsageError(f"{name} has {groups[name].width} channels; {width} would lose some, which padding cannot")
    model = read_with_weights(source)
    network = OnnxNetwork(model.graph, arrays(model))
    wider = set_widths(network, example_inputs(model), groups, widths)
    _write_back(model, wider)
    partial = target.with_name(f".{target.name}.unchecked")
    try:
        write_model(partial, model)
        check_files(source, partial)
        partial.replace(target)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}; choose another path or free it") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def example_inputs(model: onnx.ModelProto) -> tuple[Tensor, ...]:
    """Zeros for every input; symbolic sizes are one."""
    stored = {each.name for each in model.graph.initializer}
    found = []
    for each in model.graph.input:
        if each.name not in stored:
            kind = each.type.tensor_type
            dtype = torch.from_numpy(np.zeros(1, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))).dtype
            found.append(torch.zeros([size.dim_value or 1 for size in kind.shape.dim], dtype=dtype))
    return tuple(found)


def _write_back(model: onnx.ModelProto, network: nn.Module) -> None:
    """Put the network's tensors and group counts into the model, and drop the shapes that are no longer true."""
    tensors = {**dict(network.named_parameters(remove_duplicate=False)), **dict(network.named_buffers())}
    values: dict[str, np.ndarray] = {}
    for name, (initializer, turned) in network.origins.items():
        value = tensors[name].detach().numpy()
        value = np.ascontiguousarray(value.T if turned else value)
        if initializer in values and values[initializer].shape != value.shape:
            raise ModelError(f"{initializer} is the weight of several nodes, which would need different sizes")
        values[initializer] = value
    for initializer in model.graph.initializer:
        value = values.get(initializer.name)
        if value is not None and list(initializer.dims) != list(value.shape):
            initializer.CopyFrom(numpy_helper.from_array(value, initializer.name))
    for each in model.graph.input:
        if each.name in values:
            for size, wanted in zip(each.type.tensor_type.shape.dim, values[each.name].shape, strict=True):
                size.dim_value = wanted
    for name, node in network.layer_nodes.items():
        for attribute in node.attribute:
            if attribute.name == "group":
                _node_like(model, node).attribute[list(node.attribute).index(attribute)].i = network.layers[name].groups
    # Written by an exporter for the old widths; every reader can infer them.
    del model.graph.value_info[:]


def _node_like(model: onnx.ModelProto, node: onnx.NodeProto) -> onnx.NodeProto:
    """The model's own node: a copy of the network has copies of them."""
    return next(each for each in model.graph.node if each.output[0] == node.output[0])
