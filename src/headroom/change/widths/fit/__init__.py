"""Widths that fit: which widths of a network's groups take least time together, planned, proved and measured."""
