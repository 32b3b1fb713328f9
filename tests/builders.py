"""Small graphs and predictions for tests, built by hand."""

from __future__ import annotations

from collections.abc import Sequence

from headroom.advise.timed import TimedGraph
from headroom.gpu.sheets import load_gpu
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Convolution, Elementwise, Free, Matmul, Normalization, Unknown, Work
from headroom.predict.prediction import Bottleneck, Prediction, Source

H200 = load_gpu("h200")


def tensor(name: str, *shape: int, element: str = "float32") -> TensorSpec:
    return TensorSpec(name, shape or (1, 64, 56, 56), element)


def layer(
    name: str,
    work: Work,
    reads: Sequence[str | TensorSpec],
    *,
    shape: tuple[int, ...] = (1, 64, 56, 56),
    weights: Sequence[TensorSpec] = (),
    module: str = "",
) -> Layer:
    """A layer that writes one tensor, called like the layer, of ``shape``."""
    inputs = tuple(TensorSpec(r, shape) if isinstance(r, str) else r for r in reads)
    return Layer(name, type(work).__name__, work, inputs, tuple(weights), (TensorSpec(name, shape),), module)


def relu(name: str, read: str, shape: tuple[int, ...] = (1, 64, 56, 56), module: str = "") -> Layer:
    elements = TensorSpec("", shape).elements
    return layer(name, Elementwise("relu", elements, activation=True), [read], shape=shape, module=module)


def add(name: str, *reads: str, shape: tuple[int, ...] = (1, 64, 56, 56)) -> Layer:
    return layer(name, Elementwise("add", TensorSpec("", shape).elements), reads, shape=shape)


def conv(name: str, read: str, channels: int = 64, size: int = 56, module: str = "") -> Layer:
    """A 3x3 convolution that keeps channels and size."""
    work = Convolution(
        batch=1,
        in_channels=channels,
        out_channels=channels,
        in_size=(size, size),
        out_size=(size, size),
        kernel=(3, 3),
        stride=(1, 1),
        padding=((1, 1), (1, 1)),
        dilation=(1, 1),
    )
    weights = [TensorSpec(f"{name}.weight", (channels, channels, 3, 3))]
    return layer(name, work, [read], shape=(1, channels, size, size), weights=weights, module=module)


def batch_norm(name: str, read: str, shape: tuple[int, ...] = (1, 64, 56, 56)) -> Layer:
    weights = [TensorSpec(f"{name}.{part}", (shape[1],)) for part in ("scale", "bias", "mean", "var")]
    return layer(name, Normalization("batch", TensorSpec("", shape).elements), [read], shape=shape, weights=weights)


def matmul(name: str, read: str, m: int, n: int, k: int) -> Layer:
    weights = [TensorSpec(f"{name}.weight", (k, n))]
    return Layer(
        name, "MatMul", Matmul(m, n, k), (TensorSpec(read, (m, k)),), tuple(weights), (TensorSpec(name, (m, n)),)
    )


def view(name: str, read: str, shape: tuple[int, ...] = (1, 64, 56, 56)) -> Layer:
    return layer(name, Free("reshape"), [read], shape=shape)


def unknown(name: str, read: str) -> Layer:
    return layer(name, Unknown("Mystery", "no reader knows it"), [read])


def graph(*layers: Layer, outputs: Sequence[str] | None = None, name: str = "test") -> Graph:
    """A graph of ``layers`` that reads ``x``; its outputs are those of the last layer unless named."""
    written = {t.name: t for item in layers for t in item.outputs}
    kept = tuple(written[n] for n in outputs) if outputs is not None else layers[-1].outputs
    first = next((t for item in layers for t in item.inputs if t.name == "x"), tensor("x"))
    return Graph(name, layers, (first,), kept, batch=1)


def prediction(time_us: float | None, **changes: object) -> Prediction:
    """A prediction of ``time_us`` ± 10 %, limited by compute, that fills the GPU, unless told otherwise."""
    values: dict[str, object] = {
        "time_us": time_us,
        "error_pct": None if time_us is None else 10.0,
        "source": Source.UNKNOWN if time_us is None else Source.PREDICTED,
        "bottleneck": Bottleneck.UNKNOWN if time_us is None else Bottleneck.COMPUTE,
        "floor_us": 0.0 if time_us is None else time_us / 2,
        "tail_utilization": 1.0,
        "waves": 4.0,
        "ctas": 528,
        "tile": (128, 128, 32),
    }
    return Prediction(**(values | changes))  # type: ignore[arg-type]


def timed(model: Graph, *times_us: float | None, **changes: object) -> TimedGraph:
    """Give each configuration of ``model``, in order, its time."""
    assert len(times_us) == len(model.configurations)
    predictions = tuple(prediction(time, **changes) for time in times_us)
    return TimedGraph(model, H200, DataType.BF16, "warm", predictions)


def fork(left_size: int = 56, right_channels: int = 32) -> Graph:
    """A stem, two convolutions of different shapes that both read it, and a join."""
    left = conv("left", "stem", size=left_size)
    right = conv("right", "stem", channels=right_channels)
    return graph(relu("stem", "x"), left, right, add("join", "left", "right"))
