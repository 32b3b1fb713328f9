"""The GPU waits for the host: launches come slower than the GPU runs them."""

from __future__ import annotations

from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import saving_error_pct
from headroom.graph.work import Attention

#: A replayed graph's time from recorded kernels, beside the graph itself: of 36 runs four of five lie within 0.06, so
#: of a bell curve's nine of ten within this.
REPLAY_ERROR = 0.08

#: The same where attention has a mask: a captured model may run it composed, at up to 2.6 times the time of all.
MASKED_REPLAY_ERROR = 1.6

CUDA_GRAPH = """\
static_input = example_input.clone()
with torch.no_grad():
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            model(static_input)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        static_output = model(static_input)

# for every inference:
static_input.copy_(new_input)
graph.replay()
result = static_output.clone()"""


def host_bound(run: Recorded) -> Iterator[Finding]:
    """What a CUDA graph saves: the run's latency less its kernels back to back."""
    if run.is_graph:
        return
    replayed_us = run.timelines.replayed_us
    saves_us = run.latency_us - replayed_us
    if saves_us <= 0:
        return
    host_us, gpu_us = run.timelines.host_us, run.step.gpu_busy_us
    is_masked = _has_masked_attention(run)
    replay_error = MASKED_REPLAY_ERROR if is_masked else REPLAY_ERROR
    others_us = [each.latency_us() - replayed_us for each in run.timelines.other_hosts]
    why = (
        f"the host needs {figures.time(host_us, 100 * run.timelines.host_error)} to ask for "
        f"{len(run.step.launches)} launches, which keep the GPU busy for {figures.time(gpu_us)}"
        if run.timelines.is_host_bound
        else f"{len(run.step.launches)} launches follow one another with gaps"
    )
    yield run.finding(
        kind="launch_gaps",
        title="The GPU waits for the host" if run.timelines.is_host_bound else "Gaps between launches",
        action=(
            f"Capture the model in a CUDA graph and replay it: {why}; replayed back to back they take a predicted "
            f"{figures.time_with_error(replayed_us, 100 * replay_error)}. "
            f"torch.compile(model, mode='reduce-overhead') does the same and fuses."
        ),
        layers=run.layers(range(len(run.step.launches))),
        saved=(saves_us, saving_error_pct(saves_us, others_us, replay_error * replayed_us)),
        code=CUDA_GRAPH,
        limits=(
            "Shapes and addresses must not change between replays, nothing may wait for the GPU inside, and what "
            "PyTorch decides while capturing may choose other kernels." + (_MASKED if is_masked else "")
        ),
    )


def _has_masked_attention(run: Recorded) -> bool:
    """Whether a fused attention has a mask in the model, which a run that finds it empty leaves out, or was given one.

    Attention that ran composed is composed in the prediction as well.
    """
    fused = [each.work for i, each in enumerate(run.case.timed.graph.layers) if i not in run.composed]
    if any(isinstance(work, Attention) and work.masked for work in fused):
        return True
    calls = (call for call in run.step.calls if call.name == "aten::scaled_dot_product_attention")
    return not run.composed and any(len(call.operands) > _MASK and call.operands[_MASK].dims for call in calls)


#: Place of the mask among the operands of scaled_dot_product_attention.
_MASK = 3

_MASKED = (
    " This model's attention has a mask: while capturing, PyTorch cannot look whether it hides anything and may run "
    "attention as products and a softmax, which can more than double the time. Pass no mask where every token counts."
)
