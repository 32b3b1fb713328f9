"""Values are cast between data types in every inference: autocast's price."""

from __future__ import annotations

from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted
from headroom.advise.questions.losses.attention import casts_behind
from headroom.advise.questions.losses.spared import spared_launches
from headroom.advise.recorded import Recorded
from headroom.graph.tensor import DataType

_TORCH_TYPES = {DataType.BF16: "bfloat16", DataType.FP16: "float16"}


def casts(run: Recorded) -> Iterator[Finding]:
    """The casts that a model stored in one data type does without."""
    # Those of a composed attention end with it, and are counted there.
    attended = {launch for layer in run.composed for launch in casts_behind(run, layer)}
    launches = [launch for launch in run.extras("cast") if launch not in attended]
    weights = sum(_casts_a_weight(run, launch) for launch in launches)
    if not weights and run.execution.dtype in _TORCH_TYPES:
        yield from spared_launches(
            run,
            kind="dtype_casts",
            title=f"{counted(len(launches), 'cast')} of activations in every inference",
            action=(
                f"Find what casts before these layers (.float(), .to(dtype), an operator that returns fp32) and keep "
                f"the model's type there: they take {figures.time(run.time_us(launches))} of the GPU's time."
            ),
            launches=launches,
            limits="No weight is cast, so that storing the model in another type changes nothing.",
        )
        return
    dtype = _TORCH_TYPES.get(run.case.timed.dtype, "bfloat16")
    yield from spared_launches(
        run,
        kind="dtype_casts",
        title=f"{counted(len(launches), 'cast')} between data types in every inference",
        action=(
            f"Store the model in {dtype} instead of casting as it runs (autocast): {weights} of the casts are of "
            f"weights, which never change; all take {figures.time(run.time_us(launches))} of the GPU's time."
        ),
        launches=launches,
        code=f"model = model.to(torch.{dtype})\nx = x.to(torch.{dtype})  # and no torch.autocast around the call",
        limits="Layers that autocast keeps in fp32 (softmax, norms) then round to the narrow type between kernels.",
    )


def _casts_a_weight(run: Recorded, launch: int) -> bool:
    """Whether the tensor that is cast has the shape of a weight of the layer that it is cast for."""
    graph = run.case.timed.graph
    shapes = {tuple(w.shape) for layer in run.layers_of.get(launch, ()) for w in graph.layers[layer].weights}
    read = (operand.dims for call in run.chain(launch) for operand in run.step.calls[call].operands if operand.dims)
    return any(dims in shapes or dims[::-1] in shapes for dims in read)
