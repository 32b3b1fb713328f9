"""How a fusion is got in PyTorch: the lines to write, how far they go, and what no line gets today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headroom.advise.pytorch_lines import MAX_AUTOTUNE, REDUCE_OVERHEAD
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.work import Normalization


@dataclass(frozen=True, slots=True)
class Recipe:
    """``how`` continues a sentence after "In PyTorch"; ``code`` is what to write; ``limits`` is what it leaves.

    ``folds`` says whether a part of it is to fold BatchNorm into the weights, which is had at once.
    """

    how: str
    code: str
    limits: str = ""
    folds: bool = False


_UNTRACEABLE = "Where torch.fx cannot trace the model, torch.nn.utils.fuse_conv_bn_eval(conv, bn) folds one pair. "
_FOLD = "from torch.fx.experimental.optimization import fuse\n\nmodel = fuse(model.eval())"
_RELU = "y = torch.cudnn_convolution_relu(x, weight, bias, stride, padding, dilation, groups)"
_ADD_RELU = "y = torch.cudnn_convolution_add_relu(x, weight, residual, 1.0, bias, stride, padding, dilation, groups)"
_LINEAR = "y = torch.nn.functional.linear(x, weight, bias)"
_ADDMM = "y = torch.addmm(residual.flatten(0, -2), x.flatten(0, -2), linear.weight.t()).view_as(residual)"
_ADDMM_GELU = (
    "y = torch._addmm_activation(linear.bias, x.flatten(0, -2), linear.weight.t(), use_gelu=True)\n"
    "y = y.unflatten(0, x.shape[:-1])"
)
_ADDMM_RELU = _ADDMM_GELU.replace(", use_gelu=True", "")


def recipe_for(layers: Sequence[Layer], implementations: Sequence[str] = ()) -> Recipe:
    """The recipe for a chain of ``layers``, in order; ``implementations`` are the kernels that were measured fused."""
    compiled = bool(implementations) and all(name.startswith("inductor") for name in implementations)
    if layers[0].kind is LayerKind.CONVOLUTION:
        return _convolution(layers)
    if layers[0].kind in (LayerKind.MATMUL, LayerKind.MATVEC) and not compiled:
        return _matmul(layers)
    return Recipe("torch.compile makes one kernel of them", REDUCE_OVERHEAD)


def _convolution(layers: Sequence[Layer]) -> Recipe:
    folds = any(isinstance(layer.work, Normalization) for layer in layers[1:])
    rest = tuple(layer.step for layer in layers[1:] if not isinstance(layer.work, Normalization))
    folding = ["fold BatchNorm into the weights"] if folds else []
    lines = [_FOLD] if folds else []
    caveat = _UNTRACEABLE if folds else ""
    if not rest:
        return Recipe(folding[0], _FOLD, caveat, folds)
    epilogue = {("relu",): _RELU, ("add", "relu"): _ADD_RELU}.get(rest)
    if epilogue is not None:
        how = " and ".join([*folding, "let one cuDNN call do the rest"])
        caveat += (
            "cuDNN's heuristic picks the plan of that call, and no setting of PyTorch pins another; torch.compile "
            "leaves the convolution a kernel of its own."
        )
        return Recipe(how, "\n".join([*lines, epilogue]), caveat, folds)
    how = " and ".join([*folding, "let torch.compile make one Triton kernel of the rest"])
    caveat += (
        f"No call of PyTorch runs a convolution with {' + '.join(rest)} in one kernel: that takes a cuDNN graph "
        "(nvidia-cudnn-frontend) behind a custom operator, or TensorRT."
    )
    return Recipe(how, "\n".join([*lines, REDUCE_OVERHEAD]), caveat, folds)


def _matmul(layers: Sequence[Layer]) -> Recipe:
    followers = [layer.step for layer in layers[1:]]
    added = _added(layers)
    if followers == ["add"] and added == ["bias"]:
        return Recipe("a linear layer adds its bias in cuBLAS's epilogue", _LINEAR)
    if followers == ["add"] and added == ["residual"]:
        return Recipe("addmm adds the residual in cuBLAS's epilogue", _ADDMM, "cuBLAS's heuristic picks the algorithm.")
    if followers[-1] in ("gelu", "relu") and set(followers[:-1]) <= {"add"} and added == ["bias"]:
        call = _ADDMM_GELU if followers[-1] == "gelu" else _ADDMM_RELU
        tanh = " and computes GELU by its tanh formula" if followers[-1] == "gelu" else ""
        return Recipe(
            how="max-autotune tries Triton products that take the rest in",
            code=f"{MAX_AUTOTUNE}\n# or, for one product:\n{call}",
            limits=f"torch._addmm_activation is private{tanh}; torch.compile's default mode calls cuBLAS and leaves "
            "the rest to a second kernel.",
        )
    return Recipe(
        how="max-autotune tries Triton products that take the rest in",
        code=MAX_AUTOTUNE,
        limits="Only Triton's templates take the rest in, and only where one beats cuBLAS with a second kernel.",
    )


def _added(layers: Sequence[Layer]) -> list[str]:
    """What a chain adds to its product with a weight, in order: cuBLAS's epilogues add one bias or one residual.

    Empty for a product of two activations.
    """
    weights = len(layers[0].weights)
    own = ["bias"] if weights > 1 else []
    adds = (layer for layer in layers[1:] if layer.step == "add")
    return [*own, *("bias" if layer.weights else "residual" for layer in adds)] if weights else []
