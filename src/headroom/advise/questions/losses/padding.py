"""Padding that the layer behind it could do: put in by converters, or run by the framework."""

from __future__ import annotations

from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.findings.common import counted
from headroom.advise.questions.losses.spared import spared_launches, spared_layers
from headroom.advise.recorded import Recorded
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.work import Convolution, Movement

_PADS = frozenset({"pad", "constant_pad_nd"})


def needless_padding(case: Case) -> Iterator[Finding]:
    """Pad layers of the model itself: those that pad by nothing, and those before a convolution that could pad."""
    graph = case.timed.graph
    nothing = [i for i, layer in enumerate(graph.layers) if _is_pad(layer) and _pads_nothing(layer)]
    absorbed = [i for i in range(len(graph.layers)) if _convolution_could(graph, i)]
    for layers, title, action, code, limits in (
        (
            nothing,
            "by zero values",
            "Remove the Pad layers that add nothing; frameworks copy the whole tensor for them.",
            "",
            "A framework that sees the zeros skips the layer: then nothing is gained.",
        ),
        (
            absorbed,
            "before convolutions that could pad themselves",
            "Let the convolution pad: give it the padding and remove the Pad layer before it, which copies the whole "
            "tensor; a convolution pads for nothing.",
            _code(graph, absorbed),
            "Holds for padding with zeros that is the same on both sides; the shapes tell that it can be, and the file "
            "has to say that it is.",
        ),
    ):
        if layers:
            found = f"{counted(len(layers), 'Pad layer')} {title}"
            yield spared_layers(case, "needless_padding", found, action, layers, code=code, limits=limits)


def padding_launches(run: Recorded) -> Iterator[Finding]:
    """Padding that ran and that no layer of the model asks for: a converter's of space, the library's of channels."""
    launches = run.extras("pad")
    channels = [launch for launch in launches if "addpadding" in run.step.launches[launch].name.lower()]
    space = [launch for launch in launches if launch not in channels]
    for found, title, action, code, limits in (
        (
            space,
            f"{counted(len(space), 'padding launch', 'padding launches')} that the model does not ask for",
            "Give each convolution its padding as an argument instead of padding its input",
            "torch.nn.Conv2d(in_channels, out_channels, kernel_size, padding=p)  # instead of torch.nn.ZeroPad2d(p)",
            "Holds for padding with zeros that is the same on both sides.",
        ),
        (
            channels,
            f"{counted(len(channels), 'launch', 'launches')} in which cuDNN pads channels for its kernels",
            "Make channel counts multiples of 8 where the model is free to: cuDNN rounds others up in every inference",
            "",
            "An image's 3 channels are what they are: another plan may take them as they come, but no setting asks "
            "for that, and inputs that are made with zero channels more need weights with as many.",
        ),
    ):
        yield from spared_launches(
            run,
            kind="padding",
            title=title,
            action=f"{action}; padding takes {figures.time(run.time_us(found))} of the GPU's time.",
            launches=found,
            code=code,
            limits=limits,
        )


def _is_pad(layer: Layer) -> bool:
    """Whether a layer pads, whatever its reader made of it: one that adds nothing is a view to the graph."""
    function = str(getattr(layer.work, "function", ""))
    return function.lower() in _PADS or layer.operator.rpartition("::")[2].lower() in _PADS


def _pads_nothing(layer: Layer) -> bool:
    return bool(layer.inputs) and layer.inputs[0].shape == layer.outputs[0].shape


def _convolution_could(graph: Graph, index: int) -> bool:
    """Whether a Pad layer adds as much to each side of space as a convolution, its only reader, could add itself."""
    layer = graph.layers[index]
    if not _is_pad(layer) or not isinstance(layer.work, Movement) or not layer.inputs:
        return False
    before, after = layer.inputs[0].shape, layer.outputs[0].shape
    grows = [b - a for a, b in zip(before, after, strict=True)]
    if any(grows[:2]) or not any(grows) or any(more < 0 or more % 2 for more in grows[2:]):
        return False
    readers = [other for other in graph.layers if any(t.name == layer.outputs[0].name for t in other.inputs)]
    kept = {tensor.name for tensor in graph.outputs}
    return layer.outputs[0].name not in kept and len(readers) == 1 and isinstance(readers[0].work, Convolution)


def _code(graph: Graph, pads: list[int]) -> str:
    """The argument that the first of the convolutions needs: what it has, and what its Pad layer adds."""
    if not pads:
        return ""
    pad = graph.layers[pads[0]]
    reader = next(other for other in graph.layers if any(t.name == pad.outputs[0].name for t in other.inputs))
    assert isinstance(reader.work, Convolution)
    grows = [(b - a) // 2 for a, b in zip(pad.inputs[0].shape[2:], pad.outputs[0].shape[2:], strict=True)]
    needed = tuple(begin + more for (begin, _), more in zip(reader.work.padding, grows, strict=True))
    name = reader.module or reader.name
    return f"padding={needed}  # of {name}; then remove {pad.module or pad.name}"
