"""An ONNX file as a PyTorch module: its layers, its edges, its sizes, and random weights.

The graph holds everything that time depends on. What it does not hold (which half a slice takes, the epsilon of a
normalisation) is chosen once, so the module computes a function of the same cost and not always the same function.

Layers run as :mod:`headroom.measure.backends.torch_ops` runs them one by one. Here all of them are traced together:
the result is straight-line code of PyTorch's operators, which runs eagerly without a detour and compiles in one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headroom.errors import ModelError
from headroom.graph.chain import Chain
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import FIXED_WIDTH_BYTES, TensorSpec
from headroom.measure.bench import UnsupportedError
from headroom.measure.networks.straighten import straightened
from headroom.measure.networks.weights import Key, key_of, random_weights
from headroom.text import plain_line

if TYPE_CHECKING:
    import torch

#: The model's tensors while it runs: activations by name, constants by name and shape.
Values = dict[str | Key, Any]
Step = Callable[[Values], None]

#: So many layers that cannot be rebuilt are named; the rest are counted.
_NAMED = 3

_REASON_CHARACTERS = 200


def rebuild(
    graph: Graph, dtype: torch.dtype, device: torch.device, weights: Mapping[Key, torch.Tensor] | None = None
) -> torch.nn.Module:
    """A module that runs ``graph`` in ``dtype`` on ``device``. It takes the graph's inputs in order, and returns its
    outputs as a tuple.

    Args:
        weights: the constants by name and shape, in ``dtype`` on ``device``; random where not given.

    Raises:
        ModelError: the graph holds layers that cannot be run; names them.
    """
    constants = dict(weights) if weights is not None else random_weights(graph, dtype, device)
    steps = _steps(graph, constants)

    def forward(*tensors: Any) -> tuple[Any, ...]:
        values: Values = dict(zip([*constants, *(spec.name for spec in graph.inputs)], tensors, strict=True))
        for step in steps:
            step(values)
        return tuple(_found(values, spec) for spec in graph.outputs)

    try:
        return straightened(forward, list(constants.values()), _described(graph.inputs, dtype, device))
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        reason = plain_line(f"{type(error).__name__}: {error}", _REASON_CHARACTERS)
        raise ModelError(
            f"{graph.name} cannot be rebuilt to run as a whole; PyTorch does not trace it: {reason}"
        ) from error


def _described(specs: Sequence[TensorSpec], dtype: torch.dtype, device: torch.device) -> list[torch.Tensor]:
    """Tensors of these shapes and types that take no memory."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    types = [getattr(torch, spec.element) if spec.element in FIXED_WIDTH_BYTES else dtype for spec in specs]
    with FakeTensorMode():
        return [torch.empty(spec.shape, dtype=type_, device=device) for spec, type_ in zip(specs, types, strict=True)]


def _found(values: Values, spec: TensorSpec) -> Any:
    """A tensor that an earlier layer made, or a constant."""
    return values[spec.name] if spec.name in values else values[key_of(spec)]


def _steps(graph: Graph, constants: Mapping[Key, torch.Tensor]) -> list[Step]:
    """One step per layer, in order."""
    steps, refused = [], []
    for layer in graph.layers:
        try:
            steps.append(_view(layer) if layer.kind is LayerKind.FREE else _bound(layer, constants))
        except UnsupportedError as error:
            refused.append(f"{layer.operator} ({layer.name}: {error})")
    if refused:
        raise ModelError(f"{graph.name} cannot be rebuilt to run as a whole; {_listed(refused)}")
    return steps


def _listed(layers: Sequence[str]) -> str:
    rest = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
    return f"these layers have no implementation: {', '.join(layers[:_NAMED])}{rest}"


def _view(layer: Layer) -> Step:
    """A free layer: the first operand in the output's shape."""
    source, out = (*layer.inputs, *layer.weights)[0], layer.outputs[0]

    def run(values: Values) -> None:
        values[out.name] = _found(values, source).reshape(out.shape)

    return run


def _bound(layer: Layer, constants: Mapping[Key, torch.Tensor]) -> Step:
    """A layer as the stopwatch runs it alone, between the names of the model and those of a chain."""
    from headroom.measure.backends.torch_ops import bind_layer

    if layer.kind is LayerKind.RECURRENT:
        # Traced, its steps would come apart, which is not how any framework runs it.
        raise UnsupportedError("a recurrent layer is rebuilt only alone; give the PyTorch model itself")
    (alone,) = Chain.of([layer]).layers
    reads: list[tuple[str, str | Key]] = [
        *((inner.name, outer.name) for inner, outer in zip(alone.inputs, layer.inputs, strict=True)),
        *((inner.name, key_of(outer)) for inner, outer in zip(alone.weights, layer.weights, strict=True)),
    ]
    step = bind_layer(alone, {inner: constants[outer] for inner, outer in reads if isinstance(outer, tuple)})

    def run(values: Values) -> None:
        results = step({inner: values[outer] for inner, outer in reads})
        several = results if isinstance(results, tuple) else (results,)
        for spec, result in zip(layer.outputs, several, strict=False):
            if tuple(result.shape) != spec.shape:
                raise ModelError(
                    f"layer {layer.name!r} ({layer.operator}) gives {tuple(result.shape)} when it is rebuilt and "
                    f"{spec.shape} in the file, so the network cannot be run as a whole"
                )
            values[spec.name] = result

    return run
