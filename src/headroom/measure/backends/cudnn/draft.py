"""A graph of cuDNN being drawn, with what will feed each of its tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headroom.graph.chain import FLOATING
from headroom.graph.tensor import DataType, TensorSpec
from headroom.measure.backends.cudnn.library import data_type, frontend
from headroom.measure.backends.geometry.frame import Frame, Shape, strides_of
from headroom.measure.backends.geometry.memory import stored
from headroom.measure.bench import Operands, UnsupportedError

if TYPE_CHECKING:
    from torch import Tensor

#: Makes what a tensor of the graph reads from the operands of the chain.
Source = Callable[[Operands], "Tensor"]


@dataclass(frozen=True, slots=True)
class Feed:
    """A tensor of the graph that is read: its identifier, its place in memory, and where its values come from."""

    uid: int
    dims: Shape
    strides: Shape
    source: Source


@dataclass(frozen=True, slots=True)
class Result:
    """The tensor of the graph that is written, and the tensor of the chain that it is.

    Its memory is viewed in ``dims`` in order ``layout``; without one it lies row by row in the chain's own shape.
    """

    uid: int
    dims: Shape
    strides: Shape
    spec: TensorSpec
    layout: str


class Draft:
    """Draws tensors and operations of one chain in one data type and layout.

    Products are accumulated, and values between operations kept, in fp32. ``library`` draws: cuDNN's frontend by
    default, or what stands in for it where a graph is only written down. ``options`` say what the graph is made for:
    ``handle``, or ``device_property`` where plans are only listed.
    """

    def __init__(self, dtype: DataType, layout: str, library: Any = None, **options: Any) -> None:
        self.library = frontend() if library is None else library
        types = self.library.data_type
        self.io = data_type(dtype, types)
        self.layout = layout
        self.graph = self.library.pygraph(
            io_data_type=self.io, intermediate_data_type=types.FLOAT, compute_data_type=types.FLOAT, **options
        )
        self.feeds: list[Feed] = []
        self._read: dict[tuple[str, Shape, Shape | None], Any] = {}

    def operand(self, spec: TensorSpec, dims: Shape, strides: Shape | None = None) -> Any:
        """The tensor of the graph for ``spec`` of the chain, viewed in ``dims``; the same one when asked again.

        With ``strides`` the view is that of a tensor stored row by row, whatever order its dimensions stand in.
        """
        if spec.element != FLOATING:
            raise UnsupportedError(f"an operand holds {spec.element}, not floating-point numbers")
        key = (spec.name, dims, strides)
        if key not in self._read:

            def source(operands: Operands) -> Tensor:
                if strides is None:
                    return operands.tensor(spec.name, self.layout)
                return stored(operands.tensor(spec.name), dims, strides)

            self._read[key] = self.feed(dims, source, strides)
        return self._read[key]

    def feed(self, dims: Shape, source: Source, strides: Shape | None = None, *, exact: bool = False) -> Any:
        """A tensor of the graph that reads what ``source`` makes; ``exact`` ones are fp32 in any data type."""
        strides = strides_of(dims, self.layout) if strides is None else strides
        stored_as = self.library.data_type.FLOAT if exact else self.io
        tensor = self.graph.tensor(
            dim=list(dims), stride=list(strides), data_type=stored_as, name=f"operand{len(self.feeds)}"
        )
        self.feeds.append(Feed(tensor.get_uid(), dims, strides, source))
        return tensor

    def number(self, value: float) -> Any:
        """A constant of the graph."""
        return self.graph.tensor_scalar(value, self.library.scalar_type.RUNTIME_PARAM)

    def write(self, tensor: Any, spec: TensorSpec, frame: Frame) -> Result:
        """Make ``tensor`` the result, which is ``spec`` of the chain."""
        tensor.set_output(True).set_data_type(self.io).set_dim(list(frame.dims)).set_stride(list(frame.strides))
        layout = "" if frame.permuted or frame.memory is not None else frame.layout
        return Result(tensor.get_uid(), frame.dims, frame.strides, spec, layout)
