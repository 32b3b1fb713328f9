"""A network as it is given to slim, with the batches it is judged by. PyTorch is loaded when one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headroom.errors import UsageError
from headroom.graph.torch.callable import imported, load_module, require_torch

if TYPE_CHECKING:
    from headroom.change.synapses.planning.batches import Batches

Data = str | Callable[[], Iterable[Any]] | Iterable[Any]


@dataclass(frozen=True, eq=False)
class Subject:
    """A network in memory, with what it is judged by. ``target`` is its address, where it has one."""

    network: Any
    example: Any
    batches: Batches
    target: str = ""


def subject_of(model: Any, example_inputs: Any, data: Data | None, samples: int, seed: int) -> Subject:
    """The network, one example input, and batches to judge by.

    Raises:
        UsageError: there is no example input, it takes several, or PyTorch is missing.
        ModelError: the address or the data cannot be read.
    """
    require_torch(model if isinstance(model, str) else type(model).__name__)
    import torch

    from headroom.change.synapses.planning.batches import one_input, random_batches, user_batches

    target = model if isinstance(model, str) else ""
    if target:
        if example_inputs is not None:
            raise UsageError("example inputs go with a module, not with an address")
        model, example_inputs = load_module(target)
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"slim takes a PyTorch module or package.module:callable, not a {type(model).__name__}")
    batches = None if data is None else user_batches(_data(data), samples)
    if example_inputs is None:
        if batches is None:
            raise UsageError("a network without example inputs needs data: return (module, inputs), or give --data")
        example_inputs = batches.calibration[0].inputs[:1]
    example = one_input(example_inputs)
    return Subject(model, example, batches or random_batches(example, seed), target)


def _data(given: Data) -> Any:
    """What was given, or what is at its address."""
    return imported(given) if isinstance(given, str) else given
