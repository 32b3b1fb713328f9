"""Programs made of PyTorch calls, shared by the eager and the compiled backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor

from headroom.graph.tensor import DataType
from headroom.measure.backends.torch_ops.math_mode import math_mode
from headroom.store.rows import Implementation

#: Contexts that a program is launched in: the kernels that attention may use, cuDNN's own search.
Contexts = tuple[Callable[[], AbstractContextManager[object]], ...]


@dataclass
class TorchProgram:
    """A function of operands that are bound already.

    What it returns comes from PyTorch's allocator, which under a captured graph hands out addresses of the graph's
    own pool while the graph is made: replays allocate nothing, so no time is spent on it.
    """

    run: Callable[[], Sequence[Tensor]]
    dtype: DataType
    contexts: Contexts = ()
    _results: Sequence[Tensor] = field(default=(), repr=False)

    @property
    def workspace_bytes(self) -> int:
        """PyTorch does not tell what its libraries take from the allocator for the length of a call."""
        return 0

    def launch(self) -> None:
        with ExitStack() as stack, torch.no_grad():
            stack.enter_context(math_mode(self.dtype))
            for context in self.contexts:
                stack.enter_context(context())
            self._results = self.run()

    def outputs(self) -> Sequence[Tensor]:
        return self._results

    def prepare(self) -> None:
        """Run once: libraries choose and compile in their first call, which no graph may capture."""
        self.launch()


@dataclass
class SearchedProgram(TorchProgram):
    """A convolution whose plan cuDNN's own search chooses, launched from a thread of its own.

    PyTorch keeps the plan that it chose for a convolution per thread and shape, whatever made it choose: in a thread
    that has run the shape before, turning the search on changes nothing.
    """

    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), repr=False)

    def prepare(self) -> None:
        """Nothing: the search times kernels, so it waits for the GPU, which the check of the output has to itself."""

    def launch(self) -> None:
        # The stream that is current here, and captured perhaps, is not that of another thread.
        stream = torch.cuda.current_stream() if torch.cuda.is_available() else None
        self._thread.submit(self._launch_on, stream).result()

    def _launch_on(self, stream: torch.cuda.Stream | None) -> None:
        with torch.cuda.stream(stream):
            super().launch()


@dataclass(frozen=True)
class TorchCandidate:
    """A named way to make a :class:`TorchProgram`."""

    implementation: Implementation
    make: Callable[[], TorchProgram]

    def build(self) -> TorchProgram:
        program = self.make()
        program.prepare()
        return program
