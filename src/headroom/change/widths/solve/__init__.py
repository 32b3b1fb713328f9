"""Choosing widths: the exact solver and the tail-effect paper's algorithm, both over tables of layer times."""

from headroom.change.widths.solve.exact import Unfinished, fastest, widest
from headroom.change.widths.solve.paper import Outcome, algorithm_2
from headroom.change.widths.solve.problem import ChoosableWidth, Count, LayerTable, Width, WidthProblem

__all__ = [
    "ChoosableWidth",
    "Count",
    "LayerTable",
    "Outcome",
    "Unfinished",
    "Width",
    "WidthProblem",
    "algorithm_2",
    "fastest",
    "widest",
]
