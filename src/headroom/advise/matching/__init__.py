"""Matching: a framework's profile laid over a graph, so that time has layers and layers have kernels."""

from headroom.advise.matching.overlay import match

__all__ = ["match"]
