"""Views, and the operators that are views whenever the memory layout allows it.

PyTorch transposes, slices and splits without touching memory: such a layer is free, and the copy is charged
where one happens, in ``contiguous``, ``clone`` or a ``reshape`` that cannot be a view. (An ONNX runtime
copies in its Transpose, Slice and Split instead; compute layers are the same through both readers.)
"""

from __future__ import annotations

from headroom.graph.torch.call import Call
from headroom.graph.torch.registry import operators
from headroom.graph.work import Elementwise, Free, Movement, Work


@operators(
    "view", "_unsafe_view", "view_as", "reshape", "reshape_as", "_reshape_alias", "flatten", "unflatten", "ravel",
    "squeeze", "unsqueeze", "expand", "expand_as", "broadcast_to", "broadcast_tensors", "alias", "detach",
    "transpose", "swapaxes", "swapdims", "permute", "movedim", "moveaxis", "t", "numpy_T", "mT", "mH", "adjoint",
    "matrix_H", "slice", "select", "narrow", "split", "split_with_sizes", "chunk", "tensor_split", "hsplit",
    "vsplit", "dsplit", "unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes", "unbind", "unfold", "diagonal",
    "as_strided", "real", "imag", "view_as_real", "view_as_complex", "conj", "_conj", "resolve_conj",
    "resolve_neg", "contiguous", "to", "_to_copy", "type_as", "meshgrid", "atleast_1d", "atleast_2d",
    "atleast_3d", "lift", "requires_grad",
)  # fmt: skip
def view_or_copy(call: Call) -> Work:
    if call.is_view:
        return Free(call.operator)
    function = "cast" if call.first.element != call.out.element else call.operator
    return Movement(function, sum(out.elements for out in call.outputs), axes=call.reordered)


@operators("lift_fresh", "lift_fresh_copy")
def constant(call: Call) -> Work:
    """A constant in the Python code, which the export made a tensor of the model."""
    return Free(call.operator)


@operators("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout")
def dropout(call: Call) -> Work:
    """Free at inference; ``F.dropout`` without ``training=self.training`` really runs."""
    if call.get("train"):
        return Elementwise("dropout", call.out.elements, flops_per_element=2)
    return Free("dropout")
