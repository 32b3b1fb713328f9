"""Recurrent cells. Stacks of them are joined by :mod:`headroom.graph.onnx.stacks`."""

from __future__ import annotations

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.operators.registry import Describe, Family
from headroom.graph.work import Recurrent


def _cell(cell: str) -> Describe:
    def describe(call: Call) -> Recurrent:
        """X is (length, batch, input) or, with ``layout`` 1, (batch, length, input); W is (directions, …)."""
        first, second, width = call.shape(0)
        length, batch = (second, first) if call.attribute("layout", 0) else (first, second)
        directions, gate_rows, _ = call.shape(1)
        hidden = int(call.attribute("hidden_size", gate_rows // Recurrent.GATES[cell]))
        return Recurrent(cell, batch, length, width, hidden, layers=1, directions=directions)

    return describe


FAMILY = Family(
    describe={
        "RNN": _cell("rnn"),
        "GRU": _cell("gru"),
        "LSTM": _cell("lstm"),
        "com.microsoft::DynamicQuantizeLSTM": _cell("lstm"),
    },
    # The sequence lengths bound the loop.
    settings={"RNN": (4,), "GRU": (4,), "LSTM": (4,)},
)
