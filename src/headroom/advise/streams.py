"""The code that runs the branches of a region on streams."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from headroom.advise.forks import Fork
from headroom.advise.timed import TimedGraph

#: Layers of a branch that a line of code names.
_NAMED = 4


def fork_and_join(timed: TimedGraph, fork: Fork) -> str:
    """Python that runs each branch on a stream of its own; inside a captured CUDA graph they become its branches.

    The first branch stays on the stream that the model runs on anyway.
    """
    branches = fork.branches
    calls = _calls(timed, branches)
    lines = [
        f"streams = [torch.cuda.Stream() for _ in range({len(branches) - 1})]  # once",
        "",
        "main = torch.cuda.current_stream()",
        "for stream in streams:",
        "    stream.wait_stream(main)  # fork: what the branches read is done",
        f"a0 = {calls[0]}  # {_named(timed, branches[0])}",
    ]
    for index, branch in enumerate(branches[1:]):
        lines += [
            f"with torch.cuda.stream(streams[{index}]):",
            f"    a{index + 1} = {calls[index + 1]}  # {_named(timed, branch)}",
        ]
    lines += ["for stream in streams:", "    main.wait_stream(stream)  # join: before the results are read together"]
    if fork.tail:
        lines.append(f"# from here on, as before: {_named(timed, fork.tail)}")
    return "\n".join(lines)


def _calls(timed: TimedGraph, branches: Sequence[Sequence[int]]) -> list[str]:
    """How each branch is called: by its module where it is one of its own."""
    modules = [_module(timed, branch) if _is_whole(timed, branch) else "" for branch in branches]
    return [
        f"{_python(module)}(x)" if module and modules.count(module) == 1 else f"branch_{index}(x)"
        for index, module in enumerate(modules)
    ]


def _is_whole(timed: TimedGraph, branch: Sequence[int]) -> bool:
    """Whether calling the branch's module runs the branch and nothing else: a block holds its other branches too."""
    module = _module(timed, branch)
    inside = (i for i in timed.configuration_of if f"{timed.graph.layers[i].module}.".startswith(f"{module}."))
    return set(inside) <= set(branch)


def _python(module: str) -> str:
    """``layer2.0.conv`` as code: ``self.layer2[0].conv``."""
    return "self" + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in module.split("."))


def _module(timed: TimedGraph, branch: Sequence[int]) -> str:
    """The innermost module that holds all layers of a branch."""
    paths = [timed.graph.layers[layer].module.split(".") for layer in branch]
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    return ".".join(parts[0] for parts in shared)


def _named(timed: TimedGraph, branch: Sequence[int]) -> str:
    names = timed.names(branch)
    return ", ".join(names[:_NAMED]) + (f", {len(names) - _NAMED} more" if len(names) > _NAMED else "")
