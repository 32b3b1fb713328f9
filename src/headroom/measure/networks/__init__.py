"""Whole networks as frameworks run them: latency, energy and memory beside the bound.

:func:`headroom.measure.networks.client.measure_network` asks; :mod:`headroom.measure.networks.job` answers inside the
measuring worker.
"""
