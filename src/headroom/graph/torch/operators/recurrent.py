"""Recurrent stacks and single recurrent cells."""

from __future__ import annotations

from headroom.graph.torch.call import Call, Operand
from headroom.graph.torch.registry import described, operators
from headroom.graph.work import Recurrent, Unknown, Work


@operators("lstm", "gru", "rnn_tanh", "rnn_relu")
def stack(call: Call) -> Work:
    """All layers, directions and steps of one ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN``."""
    if call.overload == "data":
        # The steps per sequence are values of a tensor here, which an export does not know.
        return Unknown(
            call.operator, f"a packed sequence hides its lengths; the layer writes {described(call.outputs)}"
        )
    cell = call.operator.partition("_")[0]
    weights: tuple[Operand, ...] = call.arguments["params"]
    length, batch = _length_and_batch(call.first.shape, bool(call.get("batch_first")))
    input_to_hidden, hidden_to_hidden = weights[0].shape, weights[1].shape
    hidden = input_to_hidden[0] // Recurrent.GATES[cell]
    state = hidden_to_hidden[1]
    return Recurrent(
        cell=cell,
        batch=batch,
        length=length,
        input_size=input_to_hidden[1],
        hidden_size=hidden,
        layers=call.arguments["num_layers"],
        directions=2 if call.get("bidirectional") else 1,
        projection=state if state != hidden else 0,
    )


@operators("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell(call: Call) -> Work:
    """One step of one layer."""
    name = call.operator.partition("_")[0]
    rows, weight = call.first.shape, call.operand("w_ih").shape
    return Recurrent(
        cell=name,
        batch=rows[0] if len(rows) == 2 else 1,
        length=1,
        input_size=weight[1],
        hidden_size=weight[0] // Recurrent.GATES[name],
    )


def _length_and_batch(shape: tuple[int, ...], batch_first: bool) -> tuple[int, int]:
    if len(shape) == 2:
        return shape[0], 1
    return (shape[1], shape[0]) if batch_first else (shape[0], shape[1])
