"""Many GPUs, of one machine or of several, at work for one database; :mod:`headroom.measure.fleet.sweep` begins it."""
