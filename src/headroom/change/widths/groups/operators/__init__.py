"""How channels pass through operators, one family a file; importing this registers them all."""

from headroom.change.widths.groups.operators import (
    contraction,
    convolution,
    movement,
    normalization,
    pointwise,
    reduction,
    spatial,
)

__all__ = ["contraction", "convolution", "movement", "normalization", "pointwise", "reduction", "spatial"]
