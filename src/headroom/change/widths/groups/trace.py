"""Follow every channel through one run of a module: which stored tensors share it, and what it passes on its way.

The module runs once on its example inputs, under a dispatch mode that sees each ATen operator. Beside each tensor goes
a label tensor of the same shape (:mod:`.labels`). Operators that only move data (slices, concatenations, paddings,
shuffles, views) are applied to the labels as they are, so that no case of them needs code of its own. Layers with
weights give their outputs new labels and tie their inputs' labels to the weights that read them; where two channels
meet, in an addition say, they are tied. What nobody has taught the trace freezes the channels that pass through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from headroom.change.widths.groups.labels import NONE, compact, is_labelled, pairs, present
from headroom.change.widths.groups.operator_call import Call
from headroom.change.widths.groups.stored import Atoms, Axis, Held
from headroom.change.widths.groups.ties import Ties
from headroom.change.widths.groups.trails import Trails

Rule = Callable[["ChannelTrace", Call], None]


class ChannelTrace(TorchDispatchMode):  # type: ignore[misc]  # PyTorch's annotations are not followed
    """What one run told. Enter it, run the module, leave it; then read :meth:`classes`, ``trails``, ``frozen``.

    ``even`` names weights of grouped convolutions whose groups keep their number and all change their width; every
    other grouped convolution gains or loses whole groups.
    """

    def __init__(
        self, tensors: Mapping[str, Held], rule_of: Callable[[Call], Rule | None], even: frozenset[str] = frozenset()
    ) -> None:
        super().__init__()
        self.atoms = Atoms({name: tuple(held.tensor.shape) for name, held in tensors.items()})
        self.even = even
        self.frozen: list[tuple[Tensor, str]] = []
        #: Axes whose size a layer is free to choose: output channels, features, an embedding's width.
        self.generators: dict[Axis, None] = {}
        #: Axes that a product sums over.
        self.summed: dict[Axis, None] = {}
        #: Channels that a product of two activations sums over: those of the left operand.
        self.queries: list[Tensor] = []
        #: Weights of grouped convolutions that are not depthwise.
        self.grouped: dict[str, None] = {}
        #: Channels that were cut apart or put together in one operator, whose code may count on how many they are.
        self.cuts: list[np.ndarray] = []
        self.trails = Trails(self.atoms.count)
        self.seen = np.zeros(self.atoms.count, dtype=bool)
        self._rule_of = rule_of
        self._stored = {id(held.tensor): name for name, held in tensors.items()}
        self._elements: dict[int, Tensor] = {}
        self._labels: dict[int, Tensor] = {}
        self._alive: list[Tensor] = []
        self._ties = Ties(self.atoms.count)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        call = Call(func, tuple(args), kwargs or {}, result)
        operands = call.operands
        if any(self._is_known(operand) for operand in operands) or not operands:
            # Arithmetic on labels is nobody's to see: a mode around this one would be asked about each operator.
            with torch._C._DisableTorchDispatch():
                self._follow(call)
        return result

    def _follow(self, call: Call) -> None:
        rule = self._rule_of(call)
        found = (self.unowned(operand) for operand in call.operands)
        known = [labels for labels in found if labels is not None and is_labelled(labels)]
        try:
            if rule is not None:
                rule(self, call)
            elif len(known) == 1 and all(result.shape == known[0].shape for result in call.results):
                # Taken for an elementwise operator, which the proof then judges.
                self.step(known[0])
                for result in call.results:
                    self.label(result, known[0])
            else:
                self._not_followed(call, known)
        except (RuntimeError, ValueError, LookupError, TypeError):
            # A form of the operator that its rule has not met: the run itself must go on.
            self._not_followed(call, known)

    def _is_known(self, tensor: Tensor) -> bool:
        return id(tensor) in self._labels or id(tensor) in self._elements or id(tensor) in self._stored

    def _not_followed(self, call: Call, known: list[Tensor]) -> None:
        for labels in known:
            self.freeze(labels, f"passes through {call.function.overloadpacket}, whose effect on widths is not known")

    def elements(self, tensor: Tensor) -> Tensor | None:
        """The stored elements that ``tensor`` consists of; ``None`` where it is computed from anything else."""
        if id(tensor) in self._stored:
            return self.atoms.elements(self._stored[id(tensor)])
        return self._elements.get(id(tensor))

    def labels(self, tensor: Tensor) -> Tensor | None:
        """The channels of a tensor's elements, a stored tensor's along its last axis; ``None`` where it has none."""
        found = self._labels.get(id(tensor))
        if found is None:
            elements = self.elements(tensor)
            return None if elements is None else self._stored_labels(elements)
        return found if is_labelled(found) else None

    def _stored_labels(self, elements: Tensor) -> Tensor | None:
        name = self.atoms.holder(elements)
        if name is None:
            return None
        wide = [axis for axis, size in enumerate(self.atoms.shapes[name]) if size > 1]
        if not wide:
            return None
        axis = Axis(name, wide[-1])
        self.generators[axis] = None
        return self.atoms.along(elements, axis)

    def unowned(self, tensor: Tensor) -> Tensor | None:
        """The labels of a tensor made in the run, into which channels may yet be written."""
        return self._labels.get(id(tensor))

    def label(self, tensor: Tensor, labels: Tensor | None) -> None:
        """Say which channels a result's elements belong to; a view that is written into tells its base."""
        if labels is None:
            return
        labels = labels.expand(tensor.shape)
        before = self._labels.get(id(tensor))
        if before is not None and 0 not in before.stride():
            before.copy_(labels)
        else:
            self._keep(tensor)
            self._labels[id(tensor)] = labels
        self.count(labels)

    def label_elements(self, tensor: Tensor, elements: Tensor) -> None:
        """Say which stored elements a result consists of."""
        self._keep(tensor)
        self._elements[id(tensor)] = elements

    def label_fresh(self, tensor: Tensor) -> None:
        """A tensor made in the run: nobody owns its elements until something is written into it."""
        self._keep(tensor)
        self._labels[id(tensor)] = torch.full(tensor.shape, NONE)

    def cut(self, labels: Tensor) -> None:
        self.cuts.append(present(labels).numpy())

    def _keep(self, tensor: Tensor) -> None:
        """Labels are found by identity, which a freed tensor would hand on to the next."""
        self._alive.append(tensor)

    def tie(self, first: Tensor, second: Tensor) -> None:
        """The channels that meet element by element are one."""
        met = pairs(first, second)
        if met.numel():
            self._ties.add(met)
            self.seen[met.numpy().reshape(-1)] = True

    def freeze(self, labels: Tensor, reason: str) -> None:
        self.frozen.append((present(labels), reason))

    def count(self, labels: Tensor) -> None:
        """These channels came by here: channels with different trails do not change places."""
        self.seen[present(labels).numpy()] = True

    def step(self, labels: Tensor | None = None, place: Iterable[int] = ()) -> int:
        """Number the operator at hand, and put it, with a place inside it, on the trail of channels."""
        number = self.trails.step()
        if labels is not None:
            self.mark(present(labels), number, *place)
        return number

    def mark(self, atoms: Tensor, *what: int) -> None:
        """Put something on the trail of channels."""
        self.trails.mark(atoms, *what)

    def classes(self) -> np.ndarray:
        """The channel that each atom belongs to, as far as is known by now."""
        return self._ties.classes()

    def channels(self, labels: Tensor) -> Tensor:
        """Labels in which tied channels are equal."""
        known = torch.from_numpy(self.classes().astype(np.int64))
        (few,) = compact(labels)
        return torch.where(few >= 0, known[few.clamp(min=0)], few).expand(labels.shape)
