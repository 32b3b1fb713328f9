"""Networks with an inefficiency planted into them, beside which the network itself is the remedy.

What converters and careless code do: a padding layer before every convolution (as a model loader of MXNet did), a look
at a value of the GPU from the host in the middle, activations copied into another order and back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def pad_before_convolutions(module: torch.nn.Module) -> None:
    """Every padded convolution pads nothing itself, and a padding layer stands before it."""
    from torch import nn

    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and any(child.padding):
                rows, columns = (int(size) for size in child.padding)
                child.padding = (0, 0)
                setattr(parent, name, nn.Sequential(nn.ZeroPad2d((columns, columns, rows, rows)), child))


def look_at_values(module: torch.nn.Module) -> None:
    """After every child of the network the host asks the GPU for a number."""

    def look(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
        output.flatten()[0].item()

    for child in module.children():
        child.register_forward_hook(look)


def copy_to_other_layout(module: torch.nn.Module) -> None:
    """Before every convolution its input is brought into NCHW order, whatever order it has."""
    from torch import nn

    def copy(_module: Any, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        import torch

        return (inputs[0].contiguous(memory_format=torch.contiguous_format).clone(),)

    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            child.register_forward_pre_hook(copy)


#: What can be planted, by name.
PLANTED: dict[str, Callable[[torch.nn.Module], None]] = {
    "padding": pad_before_convolutions,
    "host looks": look_at_values,
    "copies": copy_to_other_layout,
}
