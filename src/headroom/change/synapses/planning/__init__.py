"""A plan for a network's synapse vectors: what each layer could lose, what it would take then, what that costs.

:mod:`~headroom.change.synapses.planning.planner` tells the story; :func:`headroom.slim` is its front door. Modules that
run networks load PyTorch when they are imported: ``batches``, ``layers``, ``losses``, ``ways``, ``planner``, ``apply``.
"""
