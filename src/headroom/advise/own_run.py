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


def gpu_of_run(profile: Profile) -> GpuSpec:
    """The sheet of the GPU that the profile was recorded on.

    Raises:
        UsageError: the profile names none, or one without a sheet: which GPU it is about is then the user's to say.
    """
    title = plain_line(profile.title)
    if not profile.gpu:
        ran = "does not tell on which GPU it ran" if _has_launches(profile) else "ran on no GPU"
        raise UsageError(f"{title} {ran}: name the GPU to compare with, by --gpu (headroom gpus list shows them)")
    there = gpu_of_driver(profile.gpu)
    if there is None:
        raise UsageError(
            f"{title} was recorded on {plain_line(profile.gpu, 60)}, for which there is no sheet; write one and give "
            "it with --gpu"
        )
    return there


def own_run(profile: Profile, graph: Graph, gpu: GpuSpec) -> Execution:
    """The profile laid over the graph. A sheet of the user's own may be of any GPU.

    Raises:
        UsageError: it was recorded on another GPU than ``gpu``, off whose run nothing is saved here.
        ProfileError: it is not one of this model at this batch.
    """
    if profile.gpu and gpu.id in sheet_ids():
        there = gpu_of_driver(profile.gpu)
        if there is None or there.id != gpu.id:
            instead = "write a sheet of that GPU and take it" if there is None else f"take gpu {there.id}"
            raise UsageError(
                f"{plain_line(profile.title)} was recorded on {plain_line(profile.gpu, 60)}, not on {gpu.id}; savings "
                f"come off that run, so {instead}, or record one on {gpu.id}"
            )
    return match(profile, graph)


def _has_launches(profile: Profile) -> bool:
    return any(step.launches for step in profile.steps)


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
