"""Which cases cuDNN's forward function, with its eight algorithms, runs too: what GPUs before the graph API have."""

from __future__ import annotations

from headroom.measure.travel.case import Case


def takes_convolution(case: Case) -> bool:
    """Whether ``case`` is a forward convolution of two dimensions, alone or as one call knows it: then a residual, a
    bias, a ReLU, each at most once and in this order. Both ends of a dimension have to be padded alike."""
    first, *rest = case.operations
    numbers = dict(first.numbers)
    tensors = {tensor.uid: tensor for tensor in case.tensors}
    result = tensors[case.operations[-1].writes]
    if first.name != "conv_fprop" or len(result.dims) != 4 or numbers["pre_padding"] != numbers["post_padding"]:
        return False
    if any(tensor.type != result.type and tensor.fill.kind != "nothing" for tensor in case.tensors):
        return False
    steps = []
    for operation in rest:
        if operation.name == "relu" and not operation.numbers:
            steps.append("relu")
        elif operation.name == "add":
            added = tensors[operation.reads[1]].dims
            steps.append("residual" if added == result.dims else "bias")
        else:
            return False
    return steps in ([], ["bias"], ["bias", "relu"], ["residual", "bias", "relu"])
