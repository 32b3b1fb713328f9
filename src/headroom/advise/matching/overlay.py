"""Lays a profile over a graph."""

from __future__ import annotations

from headroom.advise.execution import Execution
from headroom.advise.matching.evidence import Evidence
from headroom.advise.matching.latency import step_latency_us
from headroom.advise.matching.layers import atoms_of
from headroom.advise.matching.pairing import Pairing, pair
from headroom.advise.matching.refusal import refuse_other_models
from headroom.advise.matching.runs import runs_of
from headroom.advise.matching.training import refuse_training
from headroom.advise.matching.traits import ran_channels_last, ran_in
from headroom.advise.matching.units import units_of
from headroom.errors import ProfileError
from headroom.graph.graph import Graph
from headroom.measure.profiles.profile import Profile
from headroom.text import plain_line

#: What a table of scores may hold: a hundred times a large network's, half a gigabyte for all tables together.
_MOST_PAIRS = 16_000_000


def match(profile: Profile, graph: Graph) -> Execution:
    """The profile's typical step, every launch of it given to layers or to a purpose.

    Args:
        profile: a recorded run of the model on a GPU.
        graph: the model at the batch of the run; the data type may be any.

    Raises:
        ProfileError: the profile is one of another model, batch or input, or of training; the sentence says why.
    """
    step = profile.typical
    refuse_training(profile, step, graph)
    atoms, units = atoms_of(graph), units_of(step)
    if len(atoms) * len(units) > _MOST_PAIRS:
        raise ProfileError(
            f"{plain_line(profile.title)} holds {len(units):,} operations in one step, too many to lay over "
            f"{len(graph.layers):,} layers; mark each inference as a step, and record few"
        )
    pairing = pair(atoms, units)
    told = refuse_other_models(profile, graph, pairing)
    runs, others = runs_of(graph, step, pairing.units, pairing.layers_of)
    run_of = {layer: place for place, run in enumerate(runs) for layer in run.layers}
    matched_us = sum(run.time_us for run in runs)
    total_us = matched_us + sum(run.time_us for run in others) or 1.0
    known_us = sum(run.time_us for run in others if run.purpose != "unknown" and run.near is not None)
    return Execution(
        profile=profile,
        step=step,
        runs=runs,
        others=others,
        latency_us=step_latency_us(profile, step),
        matched_share=matched_us / total_us,
        run_of=run_of,
        explained_share=(matched_us + known_us) / total_us,
        dtype=ran_in(step, pairing.units),
        channels_last=ran_channels_last(step, pairing.units),
        notes=_deviations(graph, pairing, told),
    )


def _deviations(graph: Graph, pairing: Pairing, told: Evidence) -> tuple[str, ...]:
    notes = []
    if told.deviating:
        first = graph.layers[pairing.atoms[told.deviating[0][0]].layer]
        notes.append(f"{len(told.deviating)} layers read inputs of another size than the model's, first {first.name}")
    if told.missed_layers:
        first = graph.layers[pairing.atoms[told.missed_layers[0]].layer]
        notes.append(f"{len(told.missed_layers)} products or convolutions were not run, first {first.name}")
    if told.missed_units:
        notes.append(f"{len(told.missed_units)} products or convolutions ran that the model does not have")
    if told.plain_share < 1:
        notes.append(f"{1 - told.plain_share:.0%} of the layers between the products were not run on their own")
    return tuple(notes)
