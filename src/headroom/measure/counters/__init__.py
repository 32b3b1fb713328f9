"""What the hardware counts while a layer runs, through NVIDIA's ``ncu`` where the user has it and may use it.

:func:`headroom.measure.counters.client.count` asks; :mod:`headroom.measure.counters.job` answers inside the measuring
worker, which starts ``ncu`` on :mod:`headroom.measure.counters.runner`.
"""
