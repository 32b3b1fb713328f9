"""Nodes that stand for several: written out before they are described."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.inline import branch_body

if TYPE_CHECKING:
    from headroom.graph.onnx.walk import Walk


def lowered(walk: Walk, node: onnx.NodeProto, call: Call, depth: int, module: str) -> bool:
    """Write the node out in the walk if it stands for several; say whether it did."""
    if call.domain:
        return False
    if call.operator == "If":
        return _branch(walk, node, call, depth, module)
    return False


def _branch(walk: Walk, node: onnx.NodeProto, call: Call, depth: int, module: str) -> bool:
    """A branch whose condition is known is taken; otherwise the node stays and is unknown."""
    condition = call.value(0)
    if condition is None or condition.data is None:
        return False
    taken = call.attribute("then_branch" if bool(condition.data.ravel()[:1].any()) else "else_branch")
    nodes, constants = branch_body(taken, node, f"{call.name}/")
    walk.add_constants(constants)
    walk.walk(nodes, depth + 1, module)
    return True
