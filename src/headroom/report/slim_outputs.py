"""The files that a plan for synapse vectors goes to, one writer per format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headroom.change.synapses.planning.applied import Applied
from headroom.change.synapses.planning.study import Study
from headroom.files import write_to
from headroom.report.slim import to_json


def write_outputs(study: Study, applied: Applied | None, paths: Mapping[str, Path]) -> None:
    """Write ``json`` and ``html`` to their paths, whole or not at all; ``-`` is standard output.

    Raises:
        UsageError: a place cannot be written.
    """
    if "json" in paths:
        write_to(paths["json"], to_json(study, applied))
    if "html" in paths:
        # The template is only loaded when a page is asked for.
        from headroom.report.html.slim import render_slim

        write_to(paths["html"], render_slim(study, applied))
