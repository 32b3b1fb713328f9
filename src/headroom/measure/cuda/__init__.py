"""The real bench: one GPU, its operands, its stopwatch. Only the worker imports it: it needs PyTorch."""
