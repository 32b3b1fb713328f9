"""A chain as one product with an epilogue, in the library's terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headroom.graph.chain import FLOATING, Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Convolution, Elementwise, Matmul
from headroom.measure.backends.geometry import fold
from headroom.measure.backends.geometry.frame import Frame, Shape, image
from headroom.measure.backends.geometry.matrices import views
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import convolution_roles, operands_of, product_roles


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor as it lies in memory, column by column: ``rows`` together, ``columns`` of them.

    ``transposed`` says that the product reads it the other way round. ``batch_stride`` is in elements, 0 for one
    matrix that serves all products. ``retransposed`` says that the model stores it the other way, and that it is
    brought into this one beforehand.
    """

    spec: TensorSpec
    rows: int
    columns: int
    transposed: bool
    batch_stride: int
    constant: bool
    retransposed: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """``D = activation(scale * left @ right + residual + bias)``, D of ``m`` rows and ``n`` columns, ``batch`` times.

    ``affine`` are constants folded into the right factor and the bias. ``layout`` is the order of memory that the
    chain's tensors are read and written in.
    """

    m: int
    n: int
    k: int
    batch: int
    left: Factor
    right: Factor
    frame: Frame
    result: TensorSpec
    layout: str
    bias: TensorSpec | None = None
    affine: fold.Affine | None = None
    residual: TensorSpec | None = None
    activation: str = ""

    @property
    def has_bias(self) -> bool:
        return self.bias is not None or self.affine is not None

    @property
    def epilogue(self) -> str:
        """The library's name for what happens to the sums before they are written."""
        parts = [part for part in (self.activation, "BIAS" if self.has_bias else "") if part]
        return "_".join(parts) or "DEFAULT"


def factor(spec: TensorSpec, dims: Shape, stored_transposed: bool, *, constant: bool) -> Factor:
    """A row-major factor of ``dims`` (batch, height, width), or its transpose if that is what memory holds."""
    batch, height, width = dims
    stride = height * width if batch > 1 else 0
    rows, columns = (height, width) if stored_transposed else (width, height)
    return Factor(spec, rows, columns, stored_transposed, stride, constant)


def problem_of(chain: Chain, dtype: DataType, layout: str) -> Problem:
    """The product that ``chain`` is.

    Raises:
        UnsupportedError: its first layer is no product, or something follows that no epilogue does.
    """
    anchor = chain.anchor
    if isinstance(anchor.work, Matmul):
        problem, column = _product(anchor, layout)
    elif isinstance(anchor.work, Convolution):
        problem, column = _pointwise_convolution(anchor, anchor.work, layout)
    else:
        raise UnsupportedError(f"cuBLASLt runs no {anchor.step}")
    problem = _followed(problem, chain.layers, column, dtype)
    if problem.residual is not None and dtype is DataType.FP8:
        raise UnsupportedError("cuBLASLt adds no fp8 matrix to an fp8 product")
    result = chain.outputs[0]
    if len(chain.outputs) != 1 or result.elements != problem.batch * problem.m * problem.n:
        raise UnsupportedError(f"the chain writes {len(chain.outputs)} tensors or another form than the product's")
    return replace(_for_fp8(problem) if dtype is DataType.FP8 else problem, result=result)


def _product(layer: Layer, layout: str) -> tuple[Problem, Shape]:
    roles = product_roles(layer)
    specs = {spec.name: spec for spec in operands_of(layer)}
    constants = {spec.name for spec in layer.weights}
    left_dims, right_dims, frame = views(roles, layer.outputs[0].shape)
    left = factor(specs[roles.left], left_dims, roles.transpose_left, constant=roles.left in constants)
    right = factor(specs[roles.right], right_dims, roles.transpose_right, constant=roles.right in constants)
    batch, m, n = frame.dims
    problem = Problem(m, n, left_dims[2], batch, left, right, frame, layer.outputs[0], layout)
    column = (1, 1, n)
    for name in roles.addends:
        problem = _added(problem, specs[name], column)
    return problem, column


def _pointwise_convolution(layer: Layer, work: Convolution, layout: str) -> tuple[Problem, Shape]:
    """A convolution of one tap, channels last: every position is a row of the product."""
    one_tap = work.is_pointwise and all(step == 1 for step in work.stride) and not any(map(any, work.padding))
    if not one_tap or work.groups != 1 or work.direction != "forward" or layout != "nhwc":
        raise UnsupportedError("only an ungrouped convolution of one tap at stride 1, channels last, is a product")
    roles = convolution_roles(layer)
    specs = {spec.name: spec for spec in operands_of(layer)}
    constants = {spec.name for spec in layer.weights}
    frame = image(layer.outputs[0].shape, len(work.kernel), layout)
    rows, k, n = frame.dims[0], work.in_channels, work.out_channels
    for size in frame.dims[2:]:
        rows *= size
    left = factor(specs[roles.data], (1, rows, k), False, constant=roles.data in constants)
    right = factor(specs[roles.filter], (1, k, n), True, constant=roles.filter in constants)
    problem = Problem(rows, n, k, 1, left, right, frame, layer.outputs[0], layout)
    column = (1, n, *[1] * (len(frame.groups) - 2))
    return (problem if roles.bias is None else _added(problem, specs[roles.bias], column)), column


def _followed(problem: Problem, layers: Sequence[Layer], column: Shape, dtype: DataType) -> Problem:
    """The product with everything that follows it."""
    constants = {spec.name for spec in layers[0].weights}
    foldable = problem.right.constant and problem.residual is None
    foldable = foldable and (problem.bias is None or problem.bias.name in constants)
    affine = fold.affine_run(layers[1:], problem.frame, column) if foldable else None
    at = 1
    if affine is not None:
        problem, at = replace(problem, affine=affine), 1 + len(affine.layers)
    for previous, layer in zip(layers[at - 1 :], layers[at:], strict=False):
        if not isinstance(layer.work, Elementwise) or problem.activation:
            raise UnsupportedError(f"no epilogue of cuBLASLt does {layer.step} there")
        others = [spec for spec in operands_of(layer) if spec.name != previous.outputs[0].name]
        if layer.work.function in ("add", "sum") and len(others) == 1:
            problem = _added(problem, others[0], column)
        elif not others:
            problem = replace(problem, activation=_activation(layer.work.function, dtype))
        else:
            raise UnsupportedError(f"no epilogue of cuBLASLt does {layer.step} of {len(others) + 1} operands")
    return problem


def _added(problem: Problem, spec: TensorSpec, column: Shape) -> Problem:
    """``problem`` plus an operand: the bias if it has one value per column, else the residual."""
    if spec.element != FLOATING:
        raise UnsupportedError(f"an operand holds {spec.element}, not floating-point numbers")
    dims = _channelwise(problem.frame, spec, column)
    if dims == column and not problem.has_bias:
        return replace(problem, bias=spec)
    if dims == problem.frame.dims and problem.residual is None:
        return replace(problem, residual=spec)
    raise UnsupportedError(f"no epilogue of cuBLASLt adds another operand of shape {spec.shape}")


def _channelwise(frame: Frame, spec: TensorSpec, column: Shape) -> Shape:
    """An operand's dimensions in the view; a convolution's own bias is a plain vector of its channels."""
    return column if spec.shape == (max(column),) else frame.operand(spec.shape)


def _activation(function: str, dtype: DataType) -> str:
    """The library's GELU is the one by tanh, which differs from the exact one by more than fp32's and tf32's error."""
    if function == "relu":
        return "RELU"
    if function == "fastgelu" or (function == "gelu" and dtype not in (DataType.FP32, DataType.TF32)):
        return "GELU"
    raise UnsupportedError(f"cuBLASLt has no epilogue {function}")


def _for_fp8(problem: Problem) -> Problem:
    """fp8 kernels of Hopper read both factors along k: a constant stored otherwise is transposed beforehand."""
    if problem.left.transposed or not (problem.right.transposed or problem.right.constant):
        raise UnsupportedError("fp8 factors have to lie along k in memory")
    right = problem.right
    if not right.transposed:
        right = replace(right, rows=right.columns, columns=right.rows, transposed=True, retransposed=True)
    return replace(problem, right=right)
