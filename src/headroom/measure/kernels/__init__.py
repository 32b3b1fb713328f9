"""Our own CUDA kernels: small programs that measure the GPU or test the stopwatch, compiled when they are needed."""
