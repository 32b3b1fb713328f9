"""How well recorded profiles are laid over graphs, and whether profiles of other models are refused.

    python benchmarks/matching.py [DATA_FOLDER]

Lays every trace in ``benchmarks/results/profiles`` over the graph of its network, and over every other graph of the
data folder. Writes ``benchmarks/results/matching.json`` and ``docs/matching.md``.
"""

from __future__ import annotations

import difflib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import headroom as hr
from bound_networks import BOUNDS
from headroom.advise.execution import Execution
from headroom.advise.matching import match
from headroom.errors import HeadroomError, ProfileError
from headroom.files import write_whole
from headroom.graph.graph import Graph
from headroom.measure.profiles.profile import Profile
from headroom.measure.profiles.reading import read_profile
from matching_page import page
from record import RESULTS, ROOT, read_data_folder, write_result

#: The batches that networks are read at besides 1: those of the traces, and one more that must be refused.
BATCHES = (8, 32)

#: Which launches got the layer; an index of the graph's layers, or a purpose and the layer nearby.
Owners = Mapping[int, tuple[object, ...]]


def main() -> None:
    data = read_data_folder()
    graphs = read_graphs(data / "models")
    rows, pairs, owned = [], [], {}
    for path in sorted((RESULTS / "profiles").glob("*.json.gz")):
        name = path.name.removesuffix(".json.gz")
        profile = read_profile(path)
        row, owned[name] = describe(name, profile, graphs[right_graph(name)])
        rows.append(row)
        pairs += [verdict(name, profile, key, graphs) for key in graphs]
        print(f"{name:42s} {row['explained_share']:.4f}", flush=True)
    for row in rows:
        row["replayed"], row["replayed_same"] = agreement(owned, row["profile"])
    kept = [pair for pair in pairs if notable(pair)]
    result = write_result("matching", {"graphs": list(graphs), "profiles": rows, "pairs": kept, **totals(pairs)})
    write_whole(ROOT / "docs" / "matching.md", page(json.loads(result.read_text())))


def read_graphs(models: Path) -> dict[str, Graph]:
    """Every graph that can be read, by file name, and the traced networks at other batches as ``FILE@BATCH``."""
    graphs = {path.name: hr.load(path) for path in sorted(models.glob("*.onnx"))}
    for network in ("resnet50", "vit_b_16"):
        for batch in BATCHES:
            try:
                graphs[f"{BOUNDS[network]}@{batch}"] = hr.load(models / BOUNDS[network], batch=batch)
            except HeadroomError as error:
                print(f"{network} at batch {batch}: {error}")
    return graphs


def right_graph(name: str) -> str:
    network, batch, _ = name.rsplit("-", 2)
    return BOUNDS[network] + (f"@{batch}" if batch != "1" else "")


def products(graph: Graph) -> list[object]:
    """The configurations of a model's convolutions, products and attentions, in order."""
    return [(layer.work, layer.gemm) for layer in graph.layers if layer.kind.computes_gemm]


def describe(name: str, profile: Profile, graph: Graph) -> tuple[dict[str, Any], tuple[Execution, Owners]]:
    """A profile over its own graph: a row, and who got its launches."""
    begun = time.perf_counter()
    execution = match(profile, graph)
    milliseconds = 1e3 * (time.perf_counter() - begun)
    total_us = sum(launch.duration_us for launch in execution.step.launches)
    multiplying = [at for at, layer in enumerate(graph.layers) if layer.kind.computes_gemm]
    beside_us: dict[str, float] = defaultdict(float)
    for run in execution.others:
        beside_us[run.purpose] += run.time_us
    mine = owners(execution)
    row = {
        "profile": name,
        "launches": len(execution.step.launches),
        "gpu_us": total_us,
        "matched_share": execution.matched_share,
        "explained_share": execution.explained_share,
        "found_share": sum(at in execution.run_of for at in multiplying) / len(multiplying),
        "run_share": sum(at in execution.run_of for at in working(graph)) / len(working(graph)),
        "beside_us": beside_us,
        "latency_us": execution.latency_us,
        "dtype": execution.dtype,
        "channels_last": execution.channels_last,
        "notes": list(execution.notes),
        "milliseconds": milliseconds,
        "stripped_same": stripped(profile, graph, mine),
    }
    return row, (execution, mine)


def working(graph: Graph) -> list[int]:
    """The layers that launch something whatever runs them: a copy may be a view."""
    return [at for at, layer in enumerate(graph.layers) if layer.kind.does_work and layer.kind != "movement"]


def owners(execution: Execution) -> Owners:
    found: dict[int, tuple[object, ...]] = {}
    for run in execution.runs:
        found.update(dict.fromkeys(run.launches, run.layers))
    for other in execution.others:
        found.update(dict.fromkeys(other.launches, (other.purpose, other.near)))
    return found


def stripped(profile: Profile, graph: Graph, mine: Owners) -> int | None:
    """How many launches get the same layer or purpose when no operator is known; of a replayed graph none ever is."""
    step = profile.typical
    if not step.calls:
        return None
    bare = replace(step, calls=(), launches=tuple(replace(launch, call=None) for launch in step.launches))
    theirs = owners(match(replace(profile, steps=(bare,)), graph))
    return sum(theirs[launch] == owner for launch, owner in mine.items())


def agreement(owned: Mapping[str, tuple[Execution, Owners]], name: str) -> tuple[int | None, int | None]:
    """Launches that a replayed graph shares with the eager run in order, and how many got the same layer."""
    if not name.endswith("_graph"):
        return None, None
    (replayed, theirs), (eager, mine) = owned[name], owned[name.removesuffix("_graph")]
    eagerly, again = in_order(eager), in_order(replayed)
    matcher = difflib.SequenceMatcher(None, [name for name, _ in eagerly], [name for name, _ in again], autojunk=False)
    shared = [(a + step, b + step) for a, b, size in matcher.get_matching_blocks() for step in range(size)]
    return len(shared), sum(mine[eagerly[a][1]] == theirs[again[b][1]] for a, b in shared)


def in_order(execution: Execution) -> list[tuple[str, int]]:
    """The launches' names and indices in the order in which they ran."""
    launches = execution.step.launches
    return [(launches[at].name, at) for at in sorted(range(len(launches)), key=lambda at: launches[at].start_us)]


def verdict(name: str, profile: Profile, key: str, graphs: Mapping[str, Graph]) -> dict[str, Any]:
    own = right_graph(name)
    try:
        match(profile, graphs[key])
        reason = None
    except ProfileError as error:
        reason = str(error)
    same = key == own or products(graphs[key]) == products(graphs[own])
    return {"profile": name, "graph": key, "right": same, "own": key == own, "reason": reason}


def notable(pair: Mapping[str, Any]) -> bool:
    """What is kept of the pairs: each that a reader could doubt, and each that names a batch."""
    return bool(pair["right"]) or pair["reason"] is None or "--batch" in pair["reason"]


def kind_of(reason: str) -> str:
    for words, kind in (
        ("add --batch", "another batch, which the sentence names"),
        ("the profile runs", "other numbers of convolutions, matrix products or attentions"),
        ("the profile launches", "other numbers of such kernels (replayed graphs)"),
        ("nothing in the profile", "no operator has the size of a layer"),
        ("give the model the input", "another input"),
    ):
        if words in reason:
            return kind
    return "operations between the products that fit no layer"


def totals(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    wrong = [pair for pair in pairs if not pair["right"]]
    right = [pair for pair in pairs if pair["right"]]
    return {
        "wrong": len(wrong),
        "refused": sum(pair["reason"] is not None for pair in wrong),
        "right": len(right),
        "accepted": sum(pair["reason"] is None for pair in right),
        "reasons": dict(Counter(kind_of(pair["reason"]) for pair in wrong if pair["reason"]).most_common()),
    }


if __name__ == "__main__":
    main()
