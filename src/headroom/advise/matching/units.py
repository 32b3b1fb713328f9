"""A step's launches, gathered into units of a layer's size: an operator's call, or a kernel with its helpers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from headroom.advise.matching.grids import written_spans
from headroom.advise.matching.kernels import Kernel, Part, kernel
from headroom.advise.matching.operators import operator
from headroom.advise.matching.shapes import call_signature
from headroom.advise.matching.signature import Family, Signature
from headroom.measure.profiles.profile import Call, Launch, LaunchKind, Step

_PYTORCH = "aten::"

#: PyTorch's operators that move nothing unless they call one that does.
_VIEWS = frozenset({
    "transpose", "permute", "expand", "slice", "split", "reshape", "view", "to", "_to_copy", "contiguous", "as_strided",
    "clone", "empty", "empty_like", "empty_strided", "select", "narrow", "chunk", "t", "unsqueeze", "squeeze",
    "flatten", "resolve_conj", "resolve_neg", "alias", "detach", "resize", "dropout", "_reshape_alias", "unbind",
    "unflatten",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """Something that the framework ran on its own.

    ``launches`` and ``call`` index the step's; ``call`` is the operator's, ``None`` for bare kernels. ``kernel`` is
    what the main launch does. What ran on the host has a call and no launches. ``module`` is the call's, or
    the node's name where the profile has that.
    """

    signature: Signature
    launches: tuple[int, ...]
    call: int | None = None
    kernel: Kernel = field(default_factory=lambda: Kernel(Family.OTHER))
    module: str = ""

    @property
    def bare(self) -> bool:
        return self.call is None


def launch_kernel(launch: Launch) -> Kernel:
    """What a launch does; copies and fills are known by their kind."""
    if launch.kind is LaunchKind.COPY:
        return Kernel(Family.MOVEMENT, frozenset({"copy"}), purpose="copy")
    if launch.kind is LaunchKind.FILL:
        return Kernel(Family.MOVEMENT, part=Part.BEFORE, purpose="fill")
    return kernel(launch.name)


def units_of(step: Step) -> tuple[Unit, ...]:
    """The step's units in the order in which they ran; every launch is in exactly one.

    A step without any launch ran on the host alone: there the calls themselves are the work.
    """
    if not step.launches:
        return tuple(_on_host(step))
    owners = [_layer_call(step.calls, launch.call) for launch in step.launches]
    owned: dict[int, list[int]] = defaultdict(list)
    loose: list[int] = []
    for index, owner in enumerate(owners):
        if owner is None:
            loose.append(index)
        else:
            owned[owner].append(index)
    units = [_called(step, call, tuple(launches)) for call, launches in owned.items()]
    units += _bare(step, loose)
    return tuple(sorted(units, key=lambda unit: (step.launches[unit.launches[0]].start_us, unit.launches[0])))


def _layer_call(calls: Sequence[Call], innermost: int | None) -> int | None:
    """The outermost call above a launch that does what a layer does; ``None`` if none is known."""
    found, current, steps = None, innermost, 0
    while current is not None and 0 <= current < len(calls) and steps <= len(calls):
        if operator(calls[current].name) is not None:
            found = current
        current, steps = calls[current].parent, steps + 1
    return found


def _on_host(step: Step) -> Iterator[Unit]:
    owners = [_layer_call(step.calls, index) for index in range(len(step.calls))]
    working = {owner for owner, call in zip(owners, step.calls, strict=True) if not _is_view(call)}
    callers = {call.parent for call in step.calls}
    for index, call in enumerate(step.calls):
        known = operator(call.name)
        if known is not None and owners[index] == index and index in working:
            own = Kernel(*known, purpose="copy" if known[0] is Family.MOVEMENT else "")
            yield Unit(call_signature(call, *known), (), index, own, call.module)
        elif owners[index] is None and index not in callers and call.name.isidentifier():
            # A compiler's kernel, or a runtime's operator that no layer is known for.
            compiled = kernel(call.name)
            yield Unit(Signature(compiled.family, compiled.functions), (), index, compiled, call.module)


def _is_view(call: Call) -> bool:
    """Whether a call only looks at a tensor in another way; PyTorch's copies call ``copy_`` in the end."""
    name = call.name.removeprefix(_PYTORCH)
    return _PYTORCH in call.name and name.rstrip("_") in _VIEWS


def _called(step: Step, call: int, launches: tuple[int, ...]) -> Unit:
    known = operator(step.calls[call].name)
    assert known is not None
    main = _main([launch_kernel(step.launches[index]) for index in launches], known[0])
    functions = known[1] | (main.functions if known[0].multiplies else frozenset())
    signature = call_signature(step.calls[call], known[0], functions)
    if not signature.source and known[0] is Family.POINTWISE:
        # Recorded without shapes: the grids still bound the sizes.
        spans = (
            written_spans(step.launches[index]) for index in launches if launch_kernel(step.launches[index]) == main
        )
        signature = replace(signature, spans=next(spans, ()))
    return Unit(signature, launches, call, main, step.calls[call].module)


def _main(kernels: Sequence[Kernel], family: Family) -> Kernel:
    """The launch that does the operator's own work: of its family, else the first that is no helper."""
    own = [each for each in kernels if each.family is family and each.part is Part.WHOLE]
    whole = [each for each in kernels if each.part is Part.WHOLE and not each.purpose]
    return (own or whole or list(kernels))[0]


def _bare(step: Step, indices: Sequence[int]) -> list[Unit]:
    """Kernels without an operator, each with the helpers that ran for it before and after."""
    units: list[Unit] = []
    waiting: list[int] = []
    for index in sorted(indices, key=lambda each: (step.launches[each].start_us, each)):
        launch = step.launches[index]
        found = launch_kernel(launch)
        if found.part is Part.BEFORE:
            waiting.append(index)
        elif found.part is Part.AFTER and units and not waiting:
            units[-1] = replace(units[-1], launches=(*units[-1].launches, index))
        else:
            # A copy on its own may be a layer; what waits is for the layer behind it.
            held, waiting = ([], waiting) if found.purpose else (waiting, [])
            signature = Signature(found.family, found.functions, spans=written_spans(launch))
            units.append(Unit(signature, (*held, index), None, found))
    if waiting:
        units.append(Unit(Signature(Family.OTHER), tuple(waiting), None, launch_kernel(step.launches[waiting[0]])))
    return units
