"""What a layer computes: one frozen record per kind, with its macs, its flops and its GEMM view.

A multiply-add is one *mac* and two *flops*. Records hold geometry only, never tensor names, so two layers
with equal records (and equal tensor shapes) are one configuration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

from headroom.graph.kinds import LayerKind


@dataclass(frozen=True, slots=True)
class Gemm:
    """A batch of matrix products ``(m x k)(k x n)``, the im2col view of a convolution included."""

    m: int
    n: int
    k: int
    batch: int = 1

    @property
    def macs(self) -> int:
        return self.batch * self.m * self.n * self.k


class Work(Protocol):
    """What every record answers. ``gemm`` is ``None`` where there is no matrix product."""

    @property
    def kind(self) -> LayerKind: ...
    @property
    def macs(self) -> int: ...
    @property
    def flops(self) -> int: ...
    @property
    def gemm(self) -> Gemm | None: ...


class _HasMacs(Protocol):
    @property
    def macs(self) -> int: ...


class _MacWork:
    """Work whose arithmetic is its multiply-adds."""

    __slots__ = ()

    @property
    def flops(self: _HasMacs) -> int:
        return 2 * self.macs


class _PlainWork:
    """Work with no matrix product and no multiply-adds worth the name."""

    __slots__ = ()

    @property
    def macs(self) -> int:
        return 0

    @property
    def gemm(self) -> Gemm | None:
        return None


@dataclass(frozen=True, slots=True)
class Convolution(_MacWork):
    """A convolution over 1, 2 or 3 spatial dimensions.

    ``in_size`` and ``out_size`` are the spatial sizes of the tensors that the layer reads and writes;
    ``padding`` is (begin, end) per dimension, so asymmetric padding is exact. For a transposed convolution
    (``direction="dgrad"``: the same arithmetic as the input gradient) ``in_channels`` and ``in_size`` are
    still those of the tensor that the layer reads. ``direction="wgrad"`` is the weight gradient of the
    forward convolution described by the other fields.
    """

    batch: int
    in_channels: int
    out_channels: int
    in_size: tuple[int, ...]
    out_size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1
    direction: str = "forward"

    @property
    def kind(self) -> LayerKind:
        return LayerKind.CONVOLUTION

    @property
    def is_depthwise(self) -> bool:
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def is_pointwise(self) -> bool:
        return math.prod(self.kernel) == 1

    @property
    def macs(self) -> int:
        return self.gemm.macs

    @property
    def gemm(self) -> Gemm:
        """Im2col: M runs along batch and space, N along output channels, K along channels and filter.

        The gradients keep the number of multiply-adds and permute the roles of M, N and K.
        """
        taps = math.prod(self.kernel)
        c, k = self.in_channels // self.groups, self.out_channels // self.groups
        if self.direction == "dgrad":
            # Every input element meets every filter tap once: M counts *input* positions there, and the
            # columns are (output channel, tap) pairs that col2im adds up.
            return Gemm(self.batch * math.prod(self.in_size), k * taps, c, self.groups)
        m = self.batch * math.prod(self.out_size)
        if self.direction == "wgrad":
            return Gemm(k, c * taps, m, self.groups)
        return Gemm(m, k, c * taps, self.groups)

    @property
    def input_share(self) -> float:
        """Share of the input that is read at all: below 1 where the stride steps over whole positions."""
        if self.direction != "forward":
            return 1.0
        share = 1.0
        for size, out, kernel, stride in zip(self.in_size, self.out_size, self.kernel, self.stride, strict=True):
            if stride > kernel and size > 0:
                share *= min(1.0, out * kernel / size)
        return share


@dataclass(frozen=True, slots=True)
class Matmul(_MacWork):
    """``batch`` products of an ``m x k`` and a ``k x n`` matrix. ``m`` or ``n`` of 1 makes it a matvec."""

    m: int
    n: int
    k: int
    batch: int = 1

    @property
    def kind(self) -> LayerKind:
        return LayerKind.MATVEC if min(self.m, self.n) == 1 else LayerKind.MATMUL

    @property
    def macs(self) -> int:
        return self.batch * self.m * self.n * self.k

    @property
    def gemm(self) -> Gemm:
        return Gemm(self.m, self.n, self.k, self.batch)


@dataclass(frozen=True, slots=True)
class Attention(_MacWork):
    """Scaled dot-product attention: ``softmax(Q K^T / sqrt(d) + mask) V``, all heads.

    ``batch`` counts independent sequences; grouped-query attention has ``kv_heads < heads``. ``causal``
    says that half the score matrix is masked away; macs count the full matrix, as every published count
    does, and ``useful_macs`` what a causal implementation has to compute.
    """

    batch: int
    heads: int
    query_length: int
    key_length: int
    head_dim: int
    value_dim: int
    kv_heads: int
    causal: bool = False
    masked: bool = False

    @property
    def kind(self) -> LayerKind:
        return LayerKind.ATTENTION

    @property
    def score_elements(self) -> int:
        return self.batch * self.heads * self.query_length * self.key_length

    @property
    def macs(self) -> int:
        return self.score_elements * (self.head_dim + self.value_dim)

    @property
    def useful_macs(self) -> int:
        return self.macs // 2 if self.causal and self.query_length == self.key_length else self.macs

    @property
    def flops(self) -> int:
        # Scale, maximum, subtract, exponential, sum and divide: about five flops per score.
        return 2 * self.macs + 5 * self.score_elements

    @property
    def gemm(self) -> Gemm | None:
        """The score product; the value product has the same batch and swapped sizes."""
        return Gemm(self.query_length, self.key_length, self.head_dim, self.batch * self.heads)


@dataclass(frozen=True, slots=True)
class Recurrent(_MacWork):
    """A stack of recurrent cells, run over a sequence: ``cell`` is ``rnn``, ``gru`` or ``lstm``."""

    cell: str
    batch: int
    length: int
    input_size: int
    hidden_size: int
    layers: int = 1
    directions: int = 1
    projection: int = 0

    GATES: ClassVar[dict[str, int]] = {"rnn": 1, "gru": 3, "lstm": 4}

    @property
    def kind(self) -> LayerKind:
        return LayerKind.RECURRENT

    @property
    def state_size(self) -> int:
        """Width of the state that is fed back: the projection's where there is one."""
        return self.projection or self.hidden_size

    @property
    def macs(self) -> int:
        gates = self.GATES[self.cell]
        total = 0
        for layer in range(self.layers):
            width = self.input_size if layer == 0 else self.state_size * self.directions
            per_step = gates * self.hidden_size * (width + self.state_size)
            per_step += self.projection * self.hidden_size
            total += per_step * self.directions * self.batch * self.length
        return total

    @property
    def flops(self) -> int:
        # Gate activations and the state update: about five flops per gate element.
        gates = self.GATES[self.cell] * self.hidden_size * self.layers * self.directions
        return 2 * self.macs + 5 * gates * self.batch * self.length

    @property
    def gemm(self) -> Gemm:
        """One step of the first layer, all gates at once; steps follow each other."""
        gates = self.GATES[self.cell]
        return Gemm(self.batch, gates * self.hidden_size, self.input_size + self.state_size)

    @property
    def sequential_steps(self) -> int:
        """Steps that cannot overlap: layers may run as a wavefront, directions side by side."""
        return self.length + self.layers - 1


@dataclass(frozen=True, slots=True)
class Normalization(_PlainWork):
    """Batch, layer, group, instance, RMS or local response normalisation over ``elements`` values.

    ``group_elements`` is the number of values that share one mean and variance computed at run time;
    0 for batch normalisation at inference, whose statistics are constants.
    """

    function: str
    elements: int
    group_elements: int = 0
    flops_per_element: int = 2

    @property
    def kind(self) -> LayerKind:
        return LayerKind.NORMALIZATION

    @property
    def flops(self) -> int:
        return self.elements * self.flops_per_element


@dataclass(frozen=True, slots=True)
class Pooling(_PlainWork):
    """Maximum or average pooling; global pooling has a window as large as the input."""

    function: str
    out_elements: int
    window: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def kind(self) -> LayerKind:
        return LayerKind.POOLING

    @property
    def flops(self) -> int:
        return self.out_elements * math.prod(self.window)


@dataclass(frozen=True, slots=True)
class Softmax(_PlainWork):
    """Softmax (or log-softmax) over ``rows`` independent rows of ``row_elements`` values."""

    rows: int
    row_elements: int

    @property
    def kind(self) -> LayerKind:
        return LayerKind.SOFTMAX

    @property
    def flops(self) -> int:
        return 5 * self.rows * self.row_elements


@dataclass(frozen=True, slots=True)
class Elementwise(_PlainWork):
    """One value out per value in. ``activation`` separates non-linearities from arithmetic."""

    function: str
    elements: int
    flops_per_element: int = 1
    activation: bool = False

    @property
    def kind(self) -> LayerKind:
        return LayerKind.ACTIVATION if self.activation else LayerKind.ELEMENTWISE

    @property
    def flops(self) -> int:
        return self.elements * self.flops_per_element


@dataclass(frozen=True, slots=True)
class Reduction(_PlainWork):
    """Sum, mean, maximum, … of ``elements`` values into ``out_elements``."""

    function: str
    elements: int
    out_elements: int

    @property
    def kind(self) -> LayerKind:
        return LayerKind.REDUCTION

    @property
    def flops(self) -> int:
        return self.elements


@dataclass(frozen=True, slots=True)
class Movement(_PlainWork):
    """Data copied to another place or order: transpose, concat, slice, gather, pad, resize, cast.

    ``partial_read`` says that only as many values are read from the first operand as are written
    (slice, gather), so that a small slice of a large tensor is not charged for all of it. ``axes`` is the
    permutation of a transpose (for each dimension of the result, the operand's); of a copy, the order in which
    the operand's dimensions lie in memory, outermost first, where that is not their own.
    """

    function: str
    elements: int
    partial_read: bool = False
    flops_per_element: int = 0
    axes: tuple[int, ...] = ()

    @property
    def kind(self) -> LayerKind:
        return LayerKind.MOVEMENT

    @property
    def flops(self) -> int:
        return self.elements * self.flops_per_element


@dataclass(frozen=True, slots=True)
class Embedding(_PlainWork):
    """Rows of a table looked up by index."""

    rows: int
    width: int

    @property
    def kind(self) -> LayerKind:
        return LayerKind.EMBEDDING

    @property
    def flops(self) -> int:
        return 0

    @property
    def partial_read(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Free(_PlainWork):
    """A view or nothing at all: reshape, identity, dropout at inference."""

    function: str

    @property
    def kind(self) -> LayerKind:
        return LayerKind.FREE

    @property
    def flops(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Unknown(_PlainWork):
    """An operator that no reader knows. ``estimated_macs`` only weighs it in the coverage."""

    operator: str
    reason: str
    estimated_macs: int = 0

    @property
    def kind(self) -> LayerKind:
        return LayerKind.UNKNOWN

    @property
    def flops(self) -> int:
        return 0
