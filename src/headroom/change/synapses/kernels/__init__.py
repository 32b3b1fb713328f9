"""Layers over retained synapse vectors as CUDA kernels of our own, and what picks them.

``gather.cu`` is a convolution or linear layer as an implicit GEMM that walks a table of retained (channel, r, s);
``gemv.cu`` a linear layer of few rows. :mod:`~headroom.change.synapses.kernels.pack` lays out weights and table once;
:mod:`~headroom.change.synapses.kernels.variants` names the instances; nothing here imports PyTorch or CUDA but
:mod:`~headroom.change.synapses.kernels.operators`, :mod:`~headroom.change.synapses.kernels.layers`,
:mod:`~headroom.change.synapses.kernels.programs` and :mod:`~headroom.change.synapses.kernels.swap`, which puts the
fastest into a network on a GPU.
"""
