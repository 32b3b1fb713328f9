"""What the CUDA kernels of changed networks share: instructions beyond C++ (``ptx.cuh``)."""
