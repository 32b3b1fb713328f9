"""The user's own run: laid over the graph, and refused where advice on it would not be about that run."""

from __future__ import annotations

from headroom.advise.execution import Execution
from headroom.advise.matching import match
from headroom.errors import UsageError
from headroom.gpu.sheets import gpu_of_driver, sheet_ids
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.profiles.profile import Profile
from headroom.text import plain_line

#: Types that values of 32 bits are multiplied in: a run in one is advised in the other as well.
_OF_32_BITS = frozenset({DataType.FP32, DataType.TF32})


def own_run(profile: Profile, graph: Graph, gpu: GpuSpec) -> Execution:
    """The profile laid over the graph.

    Raises:
        UsageError: it was recorded on another GPU than ``gpu``, off whose run nothing is saved here.
        ProfileError: it is not one of this model at this batch.
    """
    there = gpu_of_driver(profile.gpu) if profile.gpu else None
    if there is not None and gpu.id in sheet_ids() and gpu.id != there.id:
        raise UsageError(
            f"{profile.title} was recorded on {plain_line(profile.gpu, 60)}, not on {gpu.id}; savings come off that "
            f"run, so take gpu {there.id}, or record one on {gpu.id}"
        )
    return match(profile, graph)


def check_type(execution: Execution, asked: DataType) -> None:
    """Whether the run's kernels tell anything of ``asked``.

    Raises:
        UsageError: it ran in another type.
    """
    ran_in = execution.dtype
    if ran_in in (None, asked) or {ran_in, asked} <= _OF_32_BITS:
        return
    raise UsageError(
        f"the profile ran in {ran_in}, and its kernels tell nothing of {asked}: leave out dtype (question 1 lists the "
        f"bounds of every type, question 6 what another one gives), or record a run in {asked}"
    )
