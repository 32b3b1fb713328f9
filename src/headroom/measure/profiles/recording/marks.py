"""Every module says its path while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headroom.measure.profiles.kineto import MODULE

if TYPE_CHECKING:
    import torch


@contextmanager
def speaking(module: torch.nn.Module, *, wanted: bool = True) -> Iterator[None]:
    """Within, the profiler sees a mark around every call of a module inside ``module``, if that is ``wanted``."""
    import torch
    from torch.profiler import record_function

    open_marks: list[Any] = []

    def enter(path: str) -> Any:
        def hook(*_: Any) -> None:
            open_marks.append(record_function(f"{MODULE}{path}"))
            open_marks[-1].__enter__()

        return hook

    def leave(*_: Any) -> None:
        open_marks.pop().__exit__(None, None, None)

    handles = []
    for path, part in module.named_modules() if wanted else ():
        # A scripted module takes no hooks.
        if path and not isinstance(part, torch.jit.ScriptModule):
            handles += [
                part.register_forward_pre_hook(enter(path), prepend=True),
                part.register_forward_hook(leave, always_call=True),
            ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
