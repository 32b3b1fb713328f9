"""DeLTA: the traffic and the time of an im2col convolution, as published, vectorised.

Lym, Lee, O'Connor, Chatterjee, Erez: *DeLTA: GPU Performance Model for Deep Learning Applications with
In-depth Memory System Traffic Analysis*. "Paper" in this package means that text. Where it has a slip or
leaves something open, the comment beside the code says which reading was taken; ``docs/delta.md`` says why.

:mod:`shapes` holds many layers as arrays, :mod:`tiles` and :mod:`occupancy` choose and place CTAs,
:mod:`traffic` is section IV, :mod:`time` section V, :mod:`model` puts them together, :mod:`explain` spells
out every term of one layer, :mod:`prior` is what the paper compares itself with, and :mod:`published` holds
the paper's own GPUs.
"""

from headroom.predict.delta.explain import Term, explain
from headroom.predict.delta.machine import Machine
from headroom.predict.delta.model import Estimate, estimate
from headroom.predict.delta.reading import PAPER, Reading
from headroom.predict.delta.shapes import ConvBatch
from headroom.predict.delta.tiles import CUDNN8_TILES, PAPER_TILES, TileBatch, TileTable

__all__ = [
    "CUDNN8_TILES",
    "PAPER",
    "PAPER_TILES",
    "ConvBatch",
    "Estimate",
    "Machine",
    "Reading",
    "Term",
    "TileBatch",
    "TileTable",
    "estimate",
    "explain",
]
