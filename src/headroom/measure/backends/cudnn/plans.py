"""The plans of one graph: listed as the library prefers them, named exactly, built and run one by one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from headroom.measure.backends.cudnn.describe import Description
from headroom.measure.backends.cudnn.knobs import replayed, settings
from headroom.measure.backends.cudnn.library import frontend
from headroom.measure.bench import UnsupportedError

#: Plans of the library's first heuristic that a quick look tries.
QUICK_PLANS = 8


class Plans:
    """All that the library has for one graph.

    Plans are addressed on the graph that the frontend hands to the library, not on its wrapper: the wrapper's list
    merges plans whose knobs differ only in ones that its version cannot name.
    """

    def __init__(self, description: Description, *, strict: bool) -> None:
        """Give the graph to the library.

        Args:
            strict: leave out engines that multiply fp32 operands on tensor cores, which rounds them to tf32.

        Raises:
            UnsupportedError: the library cannot represent it.
        """
        try:
            description.graph.validate()
            description.graph.build_operation_graph()
        except (RuntimeError, ValueError, frontend().cudnnGraphNotSupportedError) as error:
            raise UnsupportedError(reason_of(error)) from error
        self._graph = description.graph._lowered_graph
        self._strict = strict
        self._index: dict[str, int] = {}
        self._allowed: dict[str, bool] = {}
        self._built: set[int] = set()

    def names(self, which: str) -> Iterator[str]:
        """Names of the plans, each once: those of heuristics A, B and the fallback, then engines none of them named.

        With ``which`` of ``heuristic`` only the first few of A, or of the next one that has any.
        """
        modes = frontend().heur_mode
        for mode in (modes.A, modes.B, modes.FALLBACK):
            if which == "heuristic" and self._index:
                return
            yield from islice(self._proposed(mode), QUICK_PLANS if which == "heuristic" else None)
        if which == "heuristic":
            return
        for engine, knobs in settings(self._graph, set(self._allowed), len(self._index)):
            name = self._append(engine, knobs)
            if name is not None:
                yield name

    def find(self, name: str) -> bool:
        """List the plan ``name``, however it was first found; whether there is one."""
        if any(name == proposed for proposed in self.names("all")):
            return True
        setting = replayed(name)
        return setting is not None and self._append(*setting) == name

    def _proposed(self, mode: Any) -> Iterator[str]:
        first = self._graph.get_execution_plan_count()
        try:
            self._graph.create_execution_plans([mode])
        except (RuntimeError, frontend().cudnnGraphNotSupportedError):
            return  # This heuristic has nothing to say; another may.
        self._bar_tensor_cores()
        for index in range(first, self._graph.get_execution_plan_count()):
            name = self._enlist(index)
            if name is not None:
                yield name

    def _append(self, engine: int, knobs: dict[Any, int]) -> str | None:
        try:
            self._graph.create_execution_plan(engine, knobs)
        except (RuntimeError, frontend().cudnnGraphNotSupportedError):
            return None
        self._bar_tensor_cores()
        return self._enlist(self._graph.get_execution_plan_count() - 1)

    def _enlist(self, index: int) -> str | None:
        """The plan's name if it is new and allowed."""
        name: str = self._graph.get_plan_name_at_index(index)
        if name in self._index or not self._is_allowed(name, index):
            return None
        self._index[name] = index
        return name

    def _bar_tensor_cores(self) -> None:
        """On fp32 operands tensor cores round products to tf32; the mark applies to the plans listed so far."""
        if self._strict:
            notes = frontend().numerical_note
            self._graph.deselect_numeric_notes([notes.TENSOR_CORE, notes.DOWN_CONVERT_INPUTS])

    def _is_allowed(self, name: str, index: int) -> bool:
        """Whether strict fp32 lets this engine run. The frontend says so only when it is asked to build a barred
        plan; engines carry the notes, so one plan of each is asked."""
        engine = engine_of(name)
        if engine not in self._allowed:
            self._allowed[engine] = not self._strict or not self._is_barred(index)
        return self._allowed[engine]

    def _is_barred(self, index: int) -> bool:
        try:
            self._graph.build_plan_at_index(index)
        except (RuntimeError, frontend().cudnnGraphNotSupportedError) as error:
            return "Deselecting" in str(error)
        self._built.add(index)
        return False

    def build(self, name: str) -> int:
        """Build the plan ``name``; its workspace in bytes.

        Raises:
            UnsupportedError: the library declines.
        """
        index = self._index[name]
        try:
            if index not in self._built:
                self._graph.build_plan_at_index(index)
            self._built.add(index)
            return int(self._graph.get_workspace_size_plan_at_index(index))
        except (RuntimeError, frontend().cudnnGraphNotSupportedError) as error:
            raise UnsupportedError(reason_of(error)) from error

    def run(self, name: str, pointers: dict[int, int], workspace: int, handle: Any) -> None:
        """Enqueue the plan on the handle's stream. ``pointers`` are device addresses by tensor identifier."""
        self._graph._execute_plan_at_index(pointers, workspace, self._index[name], handle.backend_handle)


def engine_of(name: str) -> str:
    """``eng22`` of ``eng22_k2=5_k13=1``."""
    return name.partition("_")[0]


def reason_of(error: BaseException) -> str:
    """The first line of the library's message that says something, at most 300 characters of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Reason:" in line] or lines or [type(error).__name__]
    return telling[0][:300]
