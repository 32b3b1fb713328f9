"""Pooling that PyTorch runs by kernels of its own, many times slower than the fastest that were measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.choices import Choices
from headroom.advise.findings.common import counted
from headroom.advise.recorded import Recorded
from headroom.advise.savings import beyond_a_graph, saving
from headroom.advise.settings import Layout, layout_of
from headroom.advise.timelines import Change
from headroom.graph.kinds import LayerKind

#: A kernel is slow that takes this many times the fastest: what is less may be the cache's, which is warm under the
#: stopwatch.
_SLOW = 4.0

#: How much longer than its row the new kernel may take, as a share of it: of rows that are kept in both orders of
#: values the slower takes up to 2.1 times the faster, and a run may need the slower.
_OTHER_ORDER = 1.1

#: For how many shapes one kind of module is compiled in any case, however few of them this model has.
_COMPILED_AT_MOST = 64

#: Paths of modules in a line of code.
_PATHS_A_LINE = 4


def slow_pooling(run: Recorded) -> Iterator[Finding]:
    """One finding for all such layers, with the kernels' times that the database holds of each."""
    layers = tuple(_slow_layers(run))
    best_us = sum(run.case.timed.times_us[layer] for layer in layers)
    found = saving(run, _compiled(run, layers), _OTHER_ORDER * best_us)
    if found.saves_us <= 0:
        return
    ran_us = sum(run.time_us(run.launches_of(layer, alone=True)) for layer in layers)
    nhwc = " PyTorch's own are slow in channels_last." if layout_of(run, Choices.of(run.case)) is Layout.NHWC else ""
    beyond = f" The saving is what that gives {beyond_a_graph(run)}." if found.beyond_graph else ""
    yield run.finding(
        kind="slow_pooling",
        title=f"Slow pooling kernels in {counted(len(layers), 'layer')}",
        action=(
            f"Compile these layers by themselves: their kernels take {figures.time(ran_us)} of the GPU's time, the "
            f"fastest that were measured {figures.time(best_us)}.{nhwc}{beyond}"
        ),
        layers=layers,
        saved=(found.saves_us, found.error_pct),
        code=_code(run, layers),
        limits="Unless a CUDA graph is replayed, each call of a compiled module costs the host a check of its inputs. "
        "PyTorch compiles one kind of module for so many shapes only (torch._dynamo.config.recompile_limit, 8 if not "
        "set) and silently runs the others as before. Compiling the whole model does the same for these layers.",
    )


def _slow_layers(run: Recorded) -> Iterator[int]:
    timed = run.case.timed
    for layer, described in enumerate(timed.graph.layers):
        if described.kind in {LayerKind.POOLING, LayerKind.REDUCTION} and timed.is_measured([layer]):
            time_us = run.time_us(run.launches_of(layer, alone=True))
            if time_us > _SLOW * timed.times_us[layer] > 0:
                yield layer


def _compiled(run: Recorded, layers: Sequence[int]) -> Change:
    """Each layer's longest launch as long as the fastest kernel, and its others gone."""
    change = Change()
    for layer in layers:
        launches = run.launches_of(layer, alone=True)
        kept = max(launches, key=lambda launch: run.step.launches[launch].duration_us)
        gone = run.without([launch for launch in launches if launch != kept])
        change |= gone | Change(gpu_us={kept: run.case.timed.times_us[layer]})
    return change


def _code(run: Recorded, layers: Sequence[int]) -> str:
    """Every module compiled in its place; none for layers that stand in no module of their own."""
    modules = sorted(set(filter(None, run.case.timed.modules(layers))))
    if not modules:
        return ""
    rows = (modules[at : at + _PATHS_A_LINE] for at in range(0, len(modules), _PATHS_A_LINE))
    paths = "\n".join("    " + " ".join(f'"{each}",' for each in row) for row in rows)
    return (
        f"torch._dynamo.config.recompile_limit = {max(_COMPILED_AT_MOST, 2 * len(modules))}\n"
        f"for path in (\n{paths}\n):\n    model.set_submodule(path, torch.compile(model.get_submodule(path)))"
    )
