"""Widths that fit the GPU: staircases, groups of widths that move together, and the choice among them."""
