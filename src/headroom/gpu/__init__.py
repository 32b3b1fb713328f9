"""What a GPU is: a :class:`~headroom.gpu.spec.GpuSpec` sheet with a source for every value."""
