"""Benchmarks that travel: a model's layers as C++ source that needs a compiler, CUDA and cuDNN, and no Python.

:mod:`case` is what is measured, as plain data; :mod:`recorder` stands in for cuDNN's frontend, so that the very code
that describes a chain for the stopwatch writes it down instead; :mod:`collect` gathers the cases of a model's chains,
:mod:`missing` leaves out what a database knows, :mod:`tables` prints C++ and :mod:`export` fills the folder. What runs
is in ``runtime/``: C++ that does not depend on the model.
"""
