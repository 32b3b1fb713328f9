"""What a Kineto trace says of the GPU's side: kernels, copies and fills, and the calls that wait for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from headroom.measure.profiles.events import Event, whole
from headroom.measure.profiles.profile import Launch, LaunchKind, Step

#: The categories of what runs on a GPU, in lower case; older versions write the shorter ones.
LAUNCH_KINDS = {
    "kernel": LaunchKind.KERNEL,
    "gpu_memcpy": LaunchKind.COPY,
    "memcpy": LaunchKind.COPY,
    "gpu_memset": LaunchKind.FILL,
    "memset": LaunchKind.FILL,
}

#: Calls of the runtime and the driver that return when the GPU has done its work. An asynchronous copy from pageable
#: memory may wait too, but does not say so.
WAITS = frozenset({
    "cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventSynchronize", "cudaMemcpy", "cudaMemcpy2D",
    "cuCtxSynchronize", "cuStreamSynchronize", "cuEventSynchronize", "cuMemcpyDtoH_v2", "cuMemcpyHtoD_v2",
    "hipDeviceSynchronize", "hipStreamSynchronize", "hipEventSynchronize", "hipMemcpy",
})  # fmt: skip

#: One such call launches every node of a captured graph; all of them carry its correlation.
_GRAPH_LAUNCHES = frozenset({"cudaGraphLaunch", "cuGraphLaunch", "hipGraphLaunch"})


def launch(event: Event, host: Event | None, call: int | None) -> Launch:
    """The launch that ``event`` shows, asked for by the host's ``host`` from within the step's ``call``."""
    graph = bool(event.whole("graph node id")) or (host is not None and host.name in _GRAPH_LAUNCHES)
    return Launch(
        event.name,
        LAUNCH_KINDS[event.category.lower()],
        event.start_us,
        event.duration_us,
        event.whole("stream") or 0,
        event.whole("device") or 0,
        None if graph else call,
        host.start_us if host else None,
        _triple(event.arguments.get("grid")),
        _triple(event.arguments.get("block")),
        event.whole("registers per thread"),
        event.whole("shared memory"),
        event.whole("bytes"),
        graph,
    )


def gpu_name(properties: object, steps: Sequence[Step]) -> str:
    """The driver's name of the device that ran most launches, from the trace's list of devices."""
    ran = Counter(launch.device for step in steps for launch in step.launches)
    if not ran or not isinstance(properties, list):
        return ""
    ((wanted, _),) = ran.most_common(1)
    for device in properties:
        if isinstance(device, dict) and whole(device.get("id")) == wanted and isinstance(device.get("name"), str):
            return str(device["name"])[:200]
    return ""


def _triple(value: object) -> tuple[int, int, int] | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    x, y, z = (whole(each) for each in value)
    return None if x is None or y is None or z is None else (x, y, z)
