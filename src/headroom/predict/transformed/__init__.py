"""Convolutions that do less arithmetic than their definition: Winograd's and the FFT's kernels.

One file per algorithm, each from what the library launches: its transforms and their traffic, its (batched) product
and that product's size. What they share is in :mod:`.parts`; :mod:`.choice` finds the fastest. All of them are for
fp32 on plain multipliers, unit steps and one group.
"""

from headroom.predict.transformed.choice import (
    ALGORITHMS,
    Transformed,
    can_run,
    fastest_transformed,
    title,
)
from headroom.predict.transformed.parts import Machinery

__all__ = ["ALGORITHMS", "Machinery", "Transformed", "can_run", "fastest_transformed", "title"]
