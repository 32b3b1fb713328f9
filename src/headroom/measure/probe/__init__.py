"""This GPU's sheet, measured: our own kernels at every level of memory, on every kind of unit, each answer checked."""
