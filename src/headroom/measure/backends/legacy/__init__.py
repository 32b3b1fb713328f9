"""cuDNN's older functions, which its graphs do not replace: pooling, softmax, reductions, recurrent layers.

Each is called as it is, from the C library: :mod:`library` loads it and checks what it returns, :mod:`forms` knows the
functions of one tensor, :mod:`recurrent` the recurrent one with its algorithms.
"""
