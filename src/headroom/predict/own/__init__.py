"""A GPU's own calibration: the shared constants, moved by the rows that its user measured."""
