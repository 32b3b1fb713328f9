"""Rows and elements picked from a tensor by indices."""

from __future__ import annotations

import torch
from torch.nn import functional

from headroom.graph.chain import FLOATING
from headroom.graph.layer import Layer
from headroom.graph.work import Embedding
from headroom.measure.backends.torch_ops.binding import Step, Tensors
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import operands_of


def picked(layer: Layer) -> Step:
    """Slices of a table along the dimension that the indices replace, or single elements."""
    floating = [t for t in operands_of(layer) if t.element == FLOATING]
    indices = [t for t in operands_of(layer) if t.element in ("int64", "int32")]
    if len(floating) != 1 or len(indices) != 1:
        raise UnsupportedError(f"a pick with {len(indices)} index operands; one is known")
    table, index, out = floating[0], indices[0], layer.outputs[0].shape
    for dim in range(len(table.shape)):
        if table.shape[:dim] + index.shape + table.shape[dim + 1 :] == out:
            return lambda tensors: torch.index_select(
                tensors[table.name], dim, tensors[index.name].reshape(-1)
            ).reshape(out)
    if index.shape == out and len(out) == len(table.shape):
        along = next((d for d in range(len(out)) if out[d] != table.shape[d]), len(out) - 1)
        return lambda tensors: torch.gather(tensors[table.name], along, tensors[index.name])
    raise UnsupportedError(f"no dimension of {table.shape} is picked from by indices of {index.shape} to give {out}")


def bind_embedding(layer: Layer, constants: Tensors) -> Step:
    work = layer.work
    assert isinstance(work, Embedding)
    tables = [t for t in operands_of(layer) if t.element == FLOATING and len(t.shape) > 1]
    indices = [t for t in operands_of(layer) if t.element in ("int64", "int32")]
    if len(tables) != 1 or len(indices) != 1 or indices[0].elements != work.rows:
        raise UnsupportedError("a look-up in several tables at once has no implementation in PyTorch")
    table, index, out = tables[0].name, indices[0].name, layer.outputs[0].shape
    rows = tables[0].shape[0]
    return lambda tensors: functional.embedding(tensors[index], tensors[table].reshape(rows, -1)).reshape(out)
