"""Execution profiles: what a framework did on the host and on the GPU while it ran a model, whoever recorded it."""
