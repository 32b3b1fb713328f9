"""Cases for questions, from graphs and rows."""

from __future__ import annotations

from builders import H200
from headroom.advise.assemble import assemble_case
from headroom.advise.bounds import lower_bounds
from headroom.advise.case import Case
from headroom.advise.execution import Execution
from headroom.advise.other_dtypes import OtherTypes
from headroom.advise.timed import TimedGraph
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from measured_rows import Rows


def case_of(
    model: Graph,
    rows: Rows | None = None,
    dtype: DataType = DataType.BF16,
    gpu: GpuSpec = H200,
    execution: Execution | None = None,
) -> Case:
    """The case that an analysis makes of ``model`` and ``rows``."""
    return assemble_case(model, gpu, dtype, "warm", rows, execution=execution)


def case_from(timed: TimedGraph) -> Case:
    """A case without rows, around times that a test made up."""
    return Case(timed, lower_bounds(timed), other_dtypes=OtherTypes(timed))
